"""What is looked at beside the clients: proxies, the token file, the clock, instance metadata. Changes nothing."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.doctor.asking import Fetched
from broker.doctor.aws_steps import TOKEN_FILE
from broker.doctor.chain import FIREWALL
from broker.worker_env.outer import WORKER_TOKEN_FILE

_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_EXEMPT = ("no_proxy", "NO_PROXY")


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One finding; `remedy` where it is not well."""

    name: str
    said: str
    remedy: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing needs to be done."""
        return self.remedy is None


def proxies(environ: Mapping[str, str], planes: frozenset[str]) -> Check:
    """A proxy between a client and the broker breaks it: each spelling that is set must exempt the broker's host."""
    used = [name for name in _PROXIES if environ.get(name)]
    if not used:
        return Check(name="proxies", said="none is set")
    exempt = [environ[name] for name in _EXEMPT if environ.get(name)]
    hosts = sorted({plane.rpartition(":")[0].strip("[]") for plane in planes} or {"127.0.0.1"})
    missing = [host for host in hosts if not exempt or not all(_covers(text, host) for text in exempt)]
    if not missing:
        return Check(name="proxies", said=f"{used[0]} is set; NO_PROXY exempts {', '.join(hosts)}")
    names = ", ".join(missing)
    said = f"{used[0]} is set, and NO_PROXY and no_proxy do not both exempt {names}"
    return Check(name="proxies", said=said, remedy=f"add {names} to NO_PROXY and no_proxy")


def _covers(text: str, host: str) -> bool:
    return not {"*", host}.isdisjoint(entry.strip() for entry in text.split(","))


def token_file(environ: Mapping[str, str]) -> Check | None:
    """Readable, and by nobody else; None where the environment names none."""
    path = environ.get(TOKEN_FILE) or environ.get(WORKER_TOKEN_FILE)
    if not path:
        return None
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        return Check(name="token file", said=f"{path}: {error.strerror}", remedy="take a new environment")
    if not os.access(path, os.R_OK):
        return Check(name="token file", said=f"{path} cannot be read by this user", remedy="take a new environment")
    if stat.S_IMODE(mode) & 0o077:
        return Check(name="token file", said=f"{path} is open to others", remedy=f"chmod 600 {path}")
    return Check(name="token file", said=f"{path} is private")


def clock(fetched: Mapping[str, Fetched]) -> Check | None:
    """By this clock no lease that was just given may be over; None where none was given."""
    if not fetched:
        return None
    over = [cloud for cloud, lease in fetched.items() if lease.left <= 0]
    if over:
        return Check(name="clock", said=f"by this clock the {over[0]} lease is over already", remedy="set it by NTP")
    return Check(name="clock", said="agrees with the leases")


def metadata(reachable: frozenset[str]) -> Check:
    """A worker that reaches the instance's metadata server has the node's own role."""
    if not reachable:
        return Check(name="instance metadata", said="out of this uid's reach")
    said = f"this uid reaches {', '.join(sorted(reachable))}: the node's own role is anybody's"
    return Check(name="instance metadata", said=said, remedy=FIREWALL)
