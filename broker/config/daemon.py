"""`[daemon]` -> DaemonSettings. Pure."""

import ipaddress
import os
import re
from pathlib import PurePath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from broker.config.shape import Address, Cluster, DaemonSettings, Limits
from broker.config.table import Table

FIXED = (  # what needs a restart
    *("listen", "admin", "socket", "runtime_dir", "minter_socket", "audit_file", "state_dir", "state_key"),
    *("limits", "log_level", "imds"),
)
LARGEST_PORT = 65_535
LONGEST_SOCKET = 107  # sun_path holds 108 bytes with its closing zero

_TYPES = {field.name: field.type for field in msgspec.structs.fields(DaemonSettings)}
ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_ADDRESS_FORM = 'must be a literal IP address and a port, such as "127.0.0.1:9911" or "[::1]:9911"'
_NOT_LOOPBACK = "must be a loopback address"
_NOT_FOR_PODS = "must be a loopback address, or 169.254.170.23 or [fd00:ec2::23] for Kubernetes callers"

# The one can never be reached where the other is less.
_NESTED = (
    ("connections_per_uid", "connections"),
    ("unidentified_per_uid", "connections_per_uid"),
    ("unidentified_per_uid", "connections"),
)
_SHORT_BURST = "a bucket of {}, filled once a second, never gives {} a second: raise requests_burst"

Name = Annotated[str, Meta(min_length=1)]
# A name or an address, a port perhaps, and nothing else: no path, no user.
ApiServer = Annotated[
    str,
    Meta(
        max_length=300,
        pattern=r"^https://(?:[0-9A-Za-z](?:[0-9A-Za-z.-]*[0-9A-Za-z])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$(?!\n)",
        examples=["https://10.0.0.1:6443"],
    ),
]


def read_daemon(table: Table) -> DaemonSettings:
    """The settings; every mistake is noted, and a default stands in for what is wrong."""
    default = DaemonSettings()
    settings = DaemonSettings(
        listen=_listen(table) or default.listen,
        admin=_address(table, table.take("admin", str), "admin") or default.admin,
        socket=table.take_path("socket", Name),
        runtime_dir=table.take_path("runtime_dir", Name),
        minter_socket=table.take_path("minter_socket", Name),
        audit_file=table.take_path("audit_file", Name),
        state_dir=table.take_path("state_dir", Name),
        state_key=_state_key(table.below("state_key")) if "state_key" in table else default.state_key,
        log_level=table.take("log_level", _TYPES["log_level"], default.log_level),
        operators=_operators(table),
        imds=table.take("imds", bool, default.imds),
        limits=_limits(table.below("limits")) if "limits" in table else default.limits,
        kubernetes=_cluster(table.below("kubernetes")) if "kubernetes" in table else default.kubernetes,
    )
    table.take("include", str)  # `disk` has followed it already
    table.close()
    _distinct(table, settings)
    _apart(table, settings)
    for key in ("socket", "minter_socket"):
        if len(os.fsencode(getattr(settings, key) or "")) > LONGEST_SOCKET:
            table.note(f"is too long for a Unix socket; at most {LONGEST_SOCKET} bytes", key)
    return settings


def _listen(table: Table) -> tuple[Address, ...]:
    given = table.take("listen", Annotated[tuple[str, ...], Meta(min_length=1)], ())
    found = (_address(table, text, "listen", index) for index, text in enumerate(given))
    return tuple(address for address in found if address)


def _address(table: Table, text: str | None, *steps: str | int) -> Address | None:
    if text is None:
        return None
    address = address_in(text)
    if address is None:
        table.note(_ADDRESS_FORM, *steps)
        return None
    for_workers = steps[0] == "listen"
    if not _is_loopback(address) and not (for_workers and address.for_pods):
        table.note(_NOT_FOR_PODS if for_workers else _NOT_LOOPBACK, *steps)
        return None
    return address


def address_in(text: str) -> Address | None:
    """The literal address and port that a text is, its host in one spelling; None if it is none."""
    found = ADDRESS.fullmatch(text)
    host = _ip(found[1], found[2]) if found else None
    if not found or host is None or int(found[3]) > LARGEST_PORT:
        return None
    return Address(str(host), int(found[3]))


def _ip(bracketed: str | None, plain: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.IPv6Address(bracketed) if bracketed else ipaddress.IPv4Address(plain)
    except ValueError:
        return None


def _is_loopback(address: Address) -> bool:
    """Whether a mapped 127.0.0.1 counts depends on the version of Python; here it does not."""
    host = ipaddress.ip_address(address.host)
    return host.is_loopback and not getattr(host, "ipv4_mapped", None)


def _distinct(table: Table, settings: DaemonSettings) -> None:
    """Two listeners cannot share an address, unless each takes any free port."""
    seen = {settings.admin} - {None}
    for index, address in enumerate(settings.listen):
        if address in seen and address.port:
            table.note("is the address of another listener too (admin is 127.0.0.1:9912 unless told)", "listen", index)
        seen.add(address)


def _state_key(table: Table) -> str | None:
    given = table.take_path("file", Name)
    table.close()
    if "file" not in table:
        table.note('names no file; write state_key = { file = "..." }')
    return given


def _apart(table: Table, settings: DaemonSettings) -> None:
    """A key beside what it seals would be copied with it."""
    folder, key = settings.state_dir, settings.state_key
    if folder is None:
        if "state_key" in table:
            table.note("is of no use without state_dir", "state_key")
    elif key and PurePath(os.path.normpath(key)).is_relative_to(os.path.normpath(folder)):
        table.note("must not lie in state_dir: whoever copies the folder would have the key too", "state_key", "file")
    elif settings.runtime_dir and os.path.normpath(settings.runtime_dir) == os.path.normpath(folder):
        table.note("must be another folder than runtime_dir", "state_dir")


def _operators(table: Table) -> tuple[str, ...]:
    given: tuple[str, ...] = table.take("operators", tuple[Name, ...], DaemonSettings().operators)
    for index, name in enumerate(given):
        if name == "group:":
            table.note("names no group after `group:`", "operators", index)
    return given


def _cluster(table: Table) -> Cluster:
    default = Cluster()
    cluster = Cluster(
        api_server=table.take("api_server", ApiServer),
        token_file=table.take_path("token_file", Name) or default.token_file,
        ca_file=table.take_path("ca_file", Name) or default.ca_file,
    )
    table.close()
    return cluster


def _limits(table: Table) -> Limits:
    names = [field.name for field in msgspec.structs.fields(Limits)]
    given: dict[str, Any] = {name: table.take(name, Annotated[int, Meta(ge=1)]) for name in names}
    table.close()
    told = {name: value for name, value in given.items() if value is not None}
    limits = Limits(**told)
    for less, more in _NESTED:
        if less in told and (most := getattr(limits, more)) is not None and told[less] > most:
            table.note(f"is more than {more}, which is {most}", less)
    if told.keys() & {"requests_per_second", "requests_burst"} and limits.requests_burst < limits.requests_per_second:
        key = "requests_burst" if "requests_burst" in told else "requests_per_second"
        table.note(_SHORT_BURST.format(limits.requests_burst, limits.requests_per_second), key)
    return limits
