"""The whole report: every client that is there, what it will do, and the checks beside."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from broker.control_client import Client
from broker.doctor import checks, looking, reaching
from broker.doctor.asking import Fetched, digest
from broker.doctor.broker_found import Broker, broker_of, is_bare
from broker.doctor.chain import OK, Prediction
from broker.doctor.checks import Check
from broker.doctor.clients import CLIENTS
from broker.doctor.facts import Facts
from broker.model import Kind
from broker.worker_env.google import TOKEN, TOKEN_FILE

_LONGEST = 1 << 20


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One client on one cloud."""

    client: str
    cloud: str
    provider: str | None
    verdict: str
    why: str
    remedy: str | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `doctor` found; `python` is the interpreter whose clients these are.

    `bare` is an environment with nothing of a broker's in it: what wins in it is not what would win in a worker's.
    """

    ok: bool
    bare: bool = False
    broker: bool
    python: str | None
    clients: tuple[Row, ...]
    checks: tuple[Check, ...]


def examine(environ: Mapping[str, str], python: str | None, find: Callable[[], Client]) -> Report:
    """Look at everything. `find` gives the daemon of the control socket, or raises NoDaemon."""
    reachable = reaching.reachable()
    broker = broker_of(environ, find)
    facts = msgspec.structs.replace(
        looking.look(environ, environ.get("HOME") or str(Path.home()), python),
        planes=broker.planes,
        reachable=reachable,
        lease_variables=lease_variables(environ, dict(broker.fetched).get(Kind.GOOGLE.value)),
    )
    return reported(facts, broker, python)


def reported(facts: Facts, broker: Broker, python: str | None) -> Report:
    """The report about what was found."""
    rows = tuple(
        _row(client.name, client.cloud, client.prediction(facts))
        for client in CLIENTS
        if client.cloud in broker.clouds and client.is_there(facts)
    )
    beside = (
        checks.token_file(facts.environ),
        checks.proxies(facts.environ, broker.planes),
        checks.clock(dict(broker.fetched)),
        checks.metadata(facts.reachable),
    )
    found = (*broker.checks, *(one for one in beside if one is not None))
    ok = all(one.ok for one in found) and all(row.verdict == OK for row in rows)
    return Report(
        ok=ok,
        bare=is_bare(facts.environ, broker.planes),
        broker=broker.answers,
        python=python,
        clients=rows,
        checks=found,
    )


def lease_variables(environ: Mapping[str, str], lease: Fetched | None) -> frozenset[str]:
    """Which of gcloud's variables hold the lease that was just given."""
    if lease is None or not lease.digest:
        return frozenset()
    held = {TOKEN: environ.get(TOKEN), TOKEN_FILE: _content(environ.get(TOKEN_FILE))}
    return frozenset(name for name, text in held.items() if text and digest(text.strip()) == lease.digest)


def _content(path: str | None) -> str | None:
    try:
        if path is None or not stat.S_ISREG(Path(path).stat().st_mode):
            return None
        with Path(path).open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace")
    except OSError:
        return None


def _row(name: str, cloud: str, found: Prediction) -> Row:
    return Row(
        client=name, cloud=cloud, provider=found.provider, verdict=found.verdict, why=found.why, remedy=found.remedy
    )
