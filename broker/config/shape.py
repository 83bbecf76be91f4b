"""The configuration as frozen values: what `config.read` gives and `plan` takes."""

from typing import Literal

import msgspec

from broker.model import Settings, Spec

# The only addresses beside loopback that AWS's SDKs send a token to without TLS and that pods can reach.
POD_HOSTS = frozenset({"169.254.170.23", "fd00:ec2::23"})


class Address(msgspec.Struct, frozen=True):
    """A literal IP address and a port; port 0 takes any free one."""

    host: str
    port: int

    @property
    def for_pods(self) -> bool:
        """Whether Kubernetes callers alone are served there."""
        return self.host in POD_HOSTS

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Limits(msgspec.Struct, frozen=True):
    """Of connections, None meaning derived from the descriptor limit, of a caller's requests, and of mints.

    The burst must carry a herd: 10,000 workers of one uid may start in the same second. `upstream_per_second` is of
    each family of sources, such as aws.
    """

    connections: int | None = None
    connections_per_uid: int | None = None
    unidentified_per_uid: int = 256
    requests_per_second: int = 1_000
    requests_burst: int = 20_000
    upstream_per_second: int = 10


SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # where a pod has its own, unless it is told not to


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """`[daemon.kubernetes]`: how a minter reaches the API server, by default as any pod does.

    `api_server` None is what KUBERNETES_SERVICE_HOST and _PORT name.
    """

    api_server: str | None = None
    token_file: str = f"{SERVICE_ACCOUNT}/token"
    ca_file: str = f"{SERVICE_ACCOUNT}/ca.crt"


class DaemonSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[daemon]`. Paths are absolute after reading; None means the default of where the daemon runs."""

    listen: tuple[Address, ...] = (Address("127.0.0.1", 9911),)
    admin: Address | None = Address("127.0.0.1", 9912)
    socket: str | None = None
    runtime_dir: str | None = None
    minter_socket: str | None = None  # of the minters as a service of their own; None: children of the daemon
    audit_file: str | None = None
    state_dir: str | None = None  # where sealed leases wait for the next start; None: nowhere
    state_key: str | None = None  # the file with the key; None: a systemd credential, else the kernel's keyring
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    operators: tuple[str, ...] = ("root",)  # user names and "group:NAME"
    imds: bool = False  # IMDSv2 at /latest
    limits: Limits = Limits()
    kubernetes: Cluster = Cluster()


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


class Pods(msgspec.Struct, frozen=True):
    """The pods of one service account, known by tokens that are meant for this audience."""

    namespace: str
    service_account: str
    audience: str


class Rule(msgspec.Struct, frozen=True):
    """One way for a process to match a caller; exactly one of the three is set."""

    uid: int | None = None
    group: str | None = None
    kubernetes: Pods | None = None


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

    @property
    def audiences(self) -> tuple[str, ...]:
        """Every audience that a Kubernetes caller's token may be meant for; empty where there is no such caller."""
        rules = (rule.kubernetes for caller in self.callers for rule in caller.rules)
        return tuple(sorted({pods.audience for pods in rules if pods}))


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
