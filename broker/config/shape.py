"""The configuration as frozen values: what `config.read` gives and `plan` takes."""

from typing import Literal

import msgspec

from broker.model import Settings, Spec


class Address(msgspec.Struct, frozen=True):
    """A literal IP address and a port; port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Limits(msgspec.Struct, frozen=True):
    """Limits of connections, None meaning derived from the descriptor limit, and of one caller's requests.

    The burst must carry a herd: 10,000 workers of one uid may start in the same second.
    """

    connections: int | None = None
    connections_per_uid: int | None = None
    unidentified_per_uid: int = 256
    requests_per_second: int = 1_000
    requests_burst: int = 20_000


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[daemon]`. Paths are absolute after reading; None means the default of where the daemon runs."""

    listen: tuple[Address, ...] = (Address("127.0.0.1", 9911),)
    admin: Address | None = Address("127.0.0.1", 9912)
    socket: str | None = None
    runtime_dir: str | None = None
    minter_socket: str | None = None  # of the minters as a service of their own; None: children of the daemon
    audit_file: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    operators: tuple[str, ...] = ("root",)  # user names and "group:NAME"
    imds: bool = False  # IMDSv2 at /latest
    limits: Limits = Limits()


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """`[credentials.NAME]`: which source mints it, with which (unrendered) spec."""

    name: str
    source: str
    spec: Spec
    base: str | None = None  # `from`
    warm: Literal["start", "first-use"] | None = None
    required: bool | None = None
    on_denied: Literal["evict", "keep"] = "evict"
    share_identity: bool = False
    env: Settings = ()  # plain variables that travel with it

    @property
    def settings(self) -> Settings:
        """What belongs into a worker's environment beside the secret; `env` has the last word."""
        return tuple(dict((*self.spec.settings(), *self.env)).items())


class Rule(msgspec.Struct, frozen=True):
    """One way for a process to match a caller; exactly one of the two is set."""

    uid: int | None = None
    group: str | None = None


class CallerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`[callers.NAME]`."""

    name: str
    rules: tuple[Rule, ...] = ()
    worker_token: bool = False
    grants: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    allow_root: bool = False
    bare: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration. `generation` is the SHA-256 over the files read, in hexadecimal."""

    daemon: DaemonSettings
    credentials: tuple[Credential, ...]
    callers: tuple[CallerEntry, ...]
    generation: str
    files: tuple[str, ...] = ()  # what was read, in order; empty under zero configuration
    zero: bool = False


class Snapshot(msgspec.Struct, frozen=True):
    """The files of one generation as they were read, so that a minter sees exactly what the daemon saw.

    `files` are (absolute path, content), the main file first. Under zero configuration there are none, and `zero` is
    (runtime folder, uid). A minter that read the disk itself could meet a half-edited file that no reload has accepted
    yet, and leases would die of it.
    """

    files: tuple[tuple[str, bytes], ...] = ()
    zero: tuple[str, int] | None = None

    def pack(self) -> bytes:
        """As bytes for another process of ours."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def unpack(cls, packed: bytes) -> "Snapshot":
        """What `pack` made."""
        return msgspec.msgpack.decode(packed, type=cls)
