"""What travels over the control socket: frozen values, encoded as JSON. Pure; both sides read it."""

from typing import Any, Literal

import msgspec

from broker.model import Settings


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that a worker is granted. `first` is what a dialect serves that cannot name one."""

    name: str
    kind: str  # "aws", "gcp", ...
    first: bool
    settings: Settings = ()  # plain variables that travel with it
    region: str | None = None
    project: str | None = None
    quota_project: str | None = None
    profile: str | None = None  # whose non-secret settings the worker keeps


class WorkerOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What `exec` and `env` ask for. `hold` ties the tokens to this connection; else they live `ttl` seconds."""

    caller: str | None = None  # None: every caller that the asking user is
    use: tuple[str, ...] = ()
    hold: bool = False
    ttl: float = 28_800.0


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that makes a worker's environment: where to ask, how to say who one is, what there is."""

    caller: str
    host: str
    port: int
    header_token: str
    path_token: str
    granted: tuple[Granted, ...]
    token_ids: tuple[str, ...] = ()


class ClaimOrder(msgspec.Struct, frozen=True, kw_only=True):
    """After a restart of the daemon: this connection holds a worker's tokens from now on, by showing one of them."""

    token: str


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens that this connection holds, and where they are good."""

    host: str
    port: int
    token_ids: tuple[str, ...]


class TokenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What `token issue` asks for; seconds."""

    caller: str
    ttl: float = 28_800.0
    purpose: Literal["header", "path"] = "header"
    uid: int | None = None


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A worker token as it is listed; `token` only in the answer to its issue."""

    id: str
    caller: str
    purpose: str
    uid: int | None
    issued_by: int | None  # None: a pod swapped its own token for it
    expires_at: float | None  # None: as long as the connection that holds it
    unclaimed: bool = False  # a restart has cut it off from that connection
    token: str | None = None
    beside: str | None = None  # the token of the same worker that it ends with
    pod: str | None = None  # namespace/name


class RevokeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Which tokens to end, of those that the asking user may see: these, or those of a caller, or `everything`."""

    ids: tuple[str, ...] = ()
    caller: str | None = None
    everything: bool = False


class Revoked(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of tokens that have been ended, and those of none that the asking user may see."""

    ids: tuple[str, ...]
    missing: tuple[str, ...] = ()


class LeaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One lease for `status`; times are seconds since the epoch, `left` seconds of life."""

    credential: str
    source: str
    kind: str
    caller: str
    identity: str | None
    account: str | None
    state: str  # "fresh", "stale" (its refresh fails), "cold", "minting", "denied"
    serial: int
    expires_at: float | None
    left: float | None
    refreshed_at: float | None
    next_refresh_in: float | None
    served: int
    error: str | None
    advice: str | None
    note: str | None
    short_lived: bool = True
    uid: int | None = None  # whose it is, where it is rendered for a user
    user: str | None = None
    group: str | None = None  # or for a group
    job: str | None = None  # or made for one job: the id of its worker token, or its pod

    @property
    def whose(self) -> str | None:
        """The same in a word for people; None where callers share it."""
        who = self.user or (None if self.uid is None else str(self.uid)) or (self.group and f"group:{self.group}")
        job = self.job and f"job {self.job}"
        return ", ".join(word for word in (who, job) if word) or None


class CallerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One caller for `status`."""

    name: str
    grants: tuple[str, ...]
    tokens: int


class ReloadRefused(msgspec.Struct, frozen=True, kw_only=True):
    """The last reload was refused, `at` seconds since the epoch; the first mistake, and how many, are for operators."""

    at: float
    mistake: str | None = None
    mistakes: int | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The running daemon."""

    version: str
    pid: int
    generation: str
    files: tuple[str, ...]
    listen: tuple[str, ...]
    admin: str | None
    attestation: str  # "on", or why it is off
    ready: bool
    leases: tuple[LeaseRow, ...]
    callers: tuple[CallerRow, ...]
    minters: tuple[int, ...] = ()
    state: str = ""  # whether leases are kept for the next start, or why not; empty: the daemon does not say
    reload_refused: ReloadRefused | None = None  # and what was read before is in force


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who the asking process is to this daemon. `token` is what a worker showed; else it is known by its uid."""

    uid: int
    user: str | None
    callers: tuple[str, ...]
    how: str
    operator: bool
    granted: tuple[Granted, ...]
    token: Token | None = None


class WhoOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Who is the worker that has this token? Its SHA-256 in hexadecimal asks; the token itself need not travel."""

    digest: str


class ExplainOrder(msgspec.Struct, frozen=True, kw_only=True):
    """May this caller have this credential? `uid` is whose process it is."""

    caller: str
    credential: str
    uid: int | None = None


class MintAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One mint that upstream would be asked for. `spec` is what is set of it; `rendered`: its templates are filled."""

    credential: str
    source: str
    place: str
    spec: dict[str, Any]
    rendered: bool


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a caller may have a credential, or may not. Places are files, lines and keys of the configuration."""

    allowed: bool
    reason: str  # "granted", or as in the audit line of a denial
    why: str
    advice: str | None  # what to do next
    caller: str
    credential: str
    place: str  # of the caller's entry, which is the `nth` of `callers`
    nth: int
    callers: int
    grants: tuple[str, ...]
    grant: int | None  # its place among the grants, from 1
    default_of: str | None  # the kind for which it answers those who name none
    uid: int | None
    user: str | None
    group: str | None  # the group that matched
    matched: str | None  # by what the uid is this caller; without one, which pods are
    also: tuple[str, ...]  # other callers that this uid is: their grants join
    first: str | None  # which of them comes first with this grant: known by its uid, the process is that one here
    mints: tuple[MintAsked, ...]  # in the order in which they are asked: bases first
    generation: str


class DenialRow(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused, and what to do next; `at` is in seconds since the epoch."""

    request_id: str
    at: float
    status: int
    reason: str
    what: str
    advice: str
    uid: int | None
    caller: str | None
    token_id: str | None
    dialect: str | None
    credential: str | None


class RefreshOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Mint anew now: what the asking user may see, or only as these callers get it. A code is good for one mint."""

    mfa_code: str | None = None
    callers: tuple[str, ...] = ()


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal: our code, what to do next, and every mistake where it is the configuration's."""

    code: str
    message: str
    exit_status: int = 1
    mistakes: tuple[tuple[str, str], ...] = ()
