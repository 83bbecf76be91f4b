"""What happened, as frozen values: keeper and desk return them, `ledger` makes metrics, audit and logs of them."""

from collections.abc import Callable

import msgspec

from broker.details import MintBegun, SocketAnswered, TurnedAway
from broker.model import Facts, Pod


class LeaseMinted(msgspec.Struct, frozen=True):
    """A new lease is held. `took` is the mint's duration in seconds."""

    credential: str
    serial: int
    expires_at: float
    took: float
    facts: Facts
    skew: float | None = None


class OlderLease(msgspec.Struct, frozen=True):
    """Upstream answered with a lease that ends no later than the held one, which therefore stays."""

    credential: str
    took: float


class MintFailed(msgspec.Struct, frozen=True):
    """A mint failed. `held` says whether a valid lease is still served; `retry_in` is in seconds."""

    credential: str
    code: str
    advice: str
    transient: bool
    retry_in: float
    held: bool
    took: float


class LeaseEvicted(msgspec.Struct, frozen=True):
    """Upstream's second final denial: the lease is served no longer."""

    credential: str
    serial: int


class StaleServed(msgspec.Struct, frozen=True):
    """A lease was handed out although its last refresh failed."""

    credential: str


class UpstreamAsked(msgspec.Struct, frozen=True):
    """One mint was asked of a source; `code` is "ok" or the error's code."""

    source: str
    code: str


class ClockMoved(msgspec.Struct, frozen=True):
    """The clocks have moved apart since the last look, in seconds: told once for each time.

    `asleep` is how long the machine slept; `ahead` by how much the wall clock was set forward, or made up for a pause
    that the boot clock did not count; negative where it was set back.
    """

    asleep: float
    ahead: float


class MinterLost(msgspec.Struct, frozen=True):
    """A minter process ended unasked; `why` is "deadline", "died" (amid a question) or "at rest" (after one)."""

    why: str


class LeaseHanded(msgspec.Struct, frozen=True):
    """A token id and uid first received this lease. What is not short-lived has no expiry to tell."""

    caller: str
    how: str
    uid: int | None
    token_id: str | None
    credential: str
    identity: str | None
    serial: int
    expires_at: float | None
    dialect: str
    pod: Pod | None = None


class RequestDenied(msgspec.Struct, frozen=True):
    """A request was refused. `reason` is ours, never text of the caller's."""

    reason: str
    status: int
    request_id: str
    uid: int | None = None
    caller: str | None = None  # where it was known who asked
    token_id: str | None = None
    dialect: str | None = None  # "socket" for the control plane
    pod: Pod | None = None
    peer: str | None = None  # its address, where that tells pods from one another
    credential: str | None = None  # that was asked for by a name which the configuration has


class Limited(msgspec.Struct, frozen=True):
    """A limit, of "failures", "requests" or "refreshes", has held back `count` of them since it was last told."""

    limit: str
    count: int
    uid: int | None
    caller: str | None = None
    token_id: str | None = None
    pod: Pod | None = None
    peer: str | None = None


class TokenIssued(msgspec.Struct, frozen=True):
    """A worker token was issued; the token itself is not known here. Held ones have no expiry."""

    token_id: str
    caller: str
    uid: int | None
    expires_at: float | None
    by_uid: int | None  # None: a pod swapped its own token for it
    pod: Pod | None = None


class TokenRevoked(msgspec.Struct, frozen=True):
    """A worker token ends; `why` is "revoked" (by a user), "expired", "closed" or "caller-gone" (from a reload on)."""

    token_id: str
    why: str
    caller: str
    uid: int | None = None
    by_uid: int | None = None


class KeysRetired(msgspec.Struct, frozen=True):
    """What was made for a job that is over has been ended upstream; `keys` are ids. `job` is a worker token's id."""

    credential: str
    caller: str
    job: str | None
    keys: tuple[str, ...]


class KeysLeft(msgspec.Struct, frozen=True):
    """It could not be ended. `again_in` is in seconds; None where this broker tries no more."""

    credential: str
    caller: str
    job: str | None
    keys: tuple[str, ...]
    code: str
    advice: str
    again_in: float | None = None


class RefreshAsked(msgspec.Struct, frozen=True):
    """Somebody has `leases` of a credential minted anew, before they are due; `callers` are those they were first for.

    What becomes of it is told as of every mint.
    """

    credential: str
    callers: tuple[str, ...]
    leases: int
    by_uid: int


class AskRefused(msgspec.Struct, frozen=True):
    """The minter service refused what the daemon asked. `reason` is ours; what cannot be a name is left out."""

    reason: str
    uid: int | None  # of who asked
    credential: str | None = None
    caller: str | None = None
    generation: str | None = None


class ReviewsFail(msgspec.Struct, frozen=True):
    """Tokens of pods cannot be reviewed, or the cluster's keys not be renewed; told once for each code.

    `what` is "review" or "renewal"; `by_keys` says that tokens are judged by the keys that are held, for now.
    """

    what: str
    code: str
    advice: str
    by_keys: bool


class ReviewsWork(msgspec.Struct, frozen=True):
    """The API server answers again."""


class Reloaded(msgspec.Struct, frozen=True):
    """The configuration was read again; `error` is set when it was refused and nothing changed.

    `by_uid` is who asked for it over the control socket; None for a signal.
    """

    generation: str
    error: str | None = None
    by_uid: int | None = None


class TokensDropped(msgspec.Struct, frozen=True):
    """The digests that a restart should have left were not believed, or could not be read: nobody has a token yet."""

    why: str


class LeasesTakenOver(msgspec.Struct, frozen=True):
    """Sealed leases of the process before us are held again; `took` is in seconds."""

    count: int
    took: float


class SealedDropped(msgspec.Struct, frozen=True):
    """Sealed leases were not believed, `count` of them for one reason; `code` is our word for it."""

    code: str
    why: str
    count: int
    credentials: tuple[str, ...]


class StateOff(msgspec.Struct, frozen=True):
    """Leases are not kept for the next start, although a folder for them is configured."""

    why: str


class WriteFailed(msgspec.Struct, frozen=True):
    """One of the daemon's own files, "audit", "tokens" or "state", cannot be written; it serves on.

    `first` of a row of them.
    """

    file: str
    why: str
    first: bool


class WriteHealed(msgspec.Struct, frozen=True):
    """It can be written again; `missed` are lines of the audit that are lost, or saves that failed."""

    file: str
    missed: int


Event = (
    LeaseMinted
    | OlderLease
    | MintFailed
    | LeaseEvicted
    | StaleServed
    | MintBegun
    | UpstreamAsked
    | ClockMoved
    | MinterLost
    | LeaseHanded
    | RequestDenied
    | SocketAnswered
    | TurnedAway
    | Limited
    | TokenIssued
    | TokenRevoked
    | KeysRetired
    | KeysLeft
    | RefreshAsked
    | AskRefused
    | ReviewsFail
    | ReviewsWork
    | Reloaded
    | TokensDropped
    | LeasesTakenOver
    | SealedDropped
    | StateOff
    | WriteFailed
    | WriteHealed
)

Note = Callable[[Event], None]  # whoever is told what happened
