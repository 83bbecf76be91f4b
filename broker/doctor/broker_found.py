"""Which broker a worker has: of its environment, else of the control socket; what it grants, and one real lease each.

A port or a socket that a stranger holds is no broker: it gets nothing, and every variable that leads there is a shadow.
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import msgspec

from broker import control_api as api
from broker.control_client import Client
from broker.doctor import asking
from broker.doctor.asking import HOSTS, Fetched
from broker.doctor.aws_steps import FULL_URI
from broker.doctor.azure import ENDPOINT
from broker.doctor.chain import authority
from broker.doctor.checks import Check
from broker.doctor.databricks import URL
from broker.errors import BrokerError, NoDaemon
from broker.model import Kind
from broker.worker_env.oci import TOKEN as RPST
from broker.worker_env.outer import WORKER, WORKER_TOKEN_FILE

# By cloud: the variables that name the worker plane, and those that name a file or folder of the worker's.
_MARKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Kind.AWS.value: ((FULL_URI,), ("AWS_CONFIG_FILE",)),
    Kind.GOOGLE.value: (HOSTS, ("CLOUDSDK_CONFIG",)),
    Kind.AZURE.value: ((ENDPOINT,), ()),
    Kind.DATABRICKS.value: ((URL,), ()),
    Kind.OCI.value: ((), (RPST, "OCI_CONFIG_FILE")),
}
CLOUDS = tuple(_MARKS)


def is_bare(environ: Mapping[str, str], planes: frozenset[str]) -> bool:
    """Whether nothing of this environment leads to a broker: neither `exec` nor `env` nor a profile has set it up."""
    names = (name for addresses, _ in _MARKS.values() for name in addresses if environ.get(name))
    return not environ.get(WORKER) and not any(authority(environ[name]) in planes for name in names)


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `clouds` are those whose clients should use it: all, where nobody can be asked."""

    answers: bool
    checks: tuple[Check, ...]
    planes: frozenset[str] = frozenset()
    clouds: tuple[str, ...] = CLOUDS
    fetched: tuple[tuple[str, Fetched], ...] = ()


def broker_of(environ: Mapping[str, str], find: Callable[[], Client]) -> Broker:
    """The broker of this environment; `find` gives the daemon of the control socket, or raises NoDaemon."""
    try:
        return _of_worker(environ, environ[WORKER]) if environ.get(WORKER) else _of_socket(environ, find())
    except NoDaemon as error:
        said = error.advice.partition(": start one with")[0]
        remedy = "start `credbroker serve`, or name its --socket"
        return Broker(answers=False, checks=(Check(name="broker", said=said, remedy=remedy),))


def meant(environ: Mapping[str, str], plane: str) -> tuple[str, ...]:
    """The clouds for which this environment was made a worker's; `--without` leaves no mark."""
    token_file = environ.get(WORKER_TOKEN_FILE)
    folder = PurePosixPath(token_file).parent if token_file else None
    return tuple(
        cloud
        for cloud, (names, places) in _MARKS.items()
        if any(authority(environ[name]) == plane for name in names if environ.get(name))
        or any(folder in PurePosixPath(environ.get(place, "")).parents for place in places)
    )


def _of_worker(environ: Mapping[str, str], url: str) -> Broker:
    plane = authority(url)
    _check_owner(plane)
    asking.knock(plane)
    clouds = meant(environ, plane)
    said = f"{plane} answers and is the daemon's, root's or this user's" + ("" if clouds else "; no cloud is set up")
    return _with_leases(environ, None, frozenset({plane}), clouds, Check(name="broker", said=said))


def _of_socket(environ: Mapping[str, str], client: Client) -> Broker:
    who, listening = client.get("/whoami", api.Who), client.get("/status", api.Status).listen
    for plane in listening:
        _check_owner(plane)
    clouds = tuple(cloud for cloud in CLOUDS if any(one.kind == cloud for one in who.granted))
    said = f"{client.path} answers and is the daemon's, root's or this user's; you are {', '.join(who.callers) or '-'}"
    remedy = None if clouds else "add a caller for this user to the configuration, or a grant"
    check = Check(name="broker", said=said, remedy=remedy)

    def lease(cloud: str) -> Fetched:
        name = next(one.name for one in who.granted if one.kind == cloud and one.first)
        return Fetched(identity=name, left=asking.lasts(client.lease(name)["expires_at"]))

    return _with_leases(environ, lease, frozenset(listening), clouds, check)


def _with_leases(
    environ: Mapping[str, str],
    otherwise: Callable[[str], Fetched] | None,
    planes: frozenset[str],
    clouds: tuple[str, ...],
    found: Check,
) -> Broker:
    """One lease a cloud, by the variables where they lead to the broker, else in the other way."""
    checks, fetched = [found], []
    for cloud in clouds:
        try:
            led = any(authority(environ[name]) in planes for name in _MARKS[cloud][0] if environ.get(name))
            lease = otherwise(cloud) if otherwise and not led else asking.fetch(cloud, environ, planes)
        except BrokerError as error:
            checks.append(Check(name=f"{cloud} lease", said=error.advice, remedy="see `credbroker status`"))
            continue
        if lease is not None:
            fetched.append((cloud, lease))
            checks.append(Check(name=f"{cloud} lease", said=f"{lease.identity or 'given'}, {int(lease.left)} s left"))
    return Broker(answers=True, checks=tuple(checks), planes=planes, clouds=clouds, fetched=tuple(fetched))


def _check_owner(plane: str) -> None:
    if not asking.owned(plane):
        raise NoDaemon(f"{plane} is held by a stranger, who is neither you nor the daemon: nothing was sent")
