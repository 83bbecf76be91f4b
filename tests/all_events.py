"""One of every event, with a secret-looking word wherever a caller could have put one."""

from broker.details import MintBegun, SocketAnswered, TurnedAway
from broker.events import (
    AskRefused,
    ClockMoved,
    Event,
    KeysLeft,
    KeysRetired,
    LeaseEvicted,
    LeaseHanded,
    LeaseMinted,
    LeasesTakenOver,
    Limited,
    MinterLost,
    MintFailed,
    OlderLease,
    RefreshAsked,
    Reloaded,
    RequestDenied,
    ReviewsFail,
    ReviewsWork,
    SealedDropped,
    StaleServed,
    StateOff,
    TokenIssued,
    TokenRevoked,
    TokensDropped,
    UpstreamAsked,
    WriteFailed,
    WriteHealed,
)
from broker.model import Facts
from tests.leaping import EPOCH

MINTED = LeaseMinted("train", 3, EPOCH + 3600, 0.4, Facts(arn="arn:aws:sts::123456789012:role"), skew=2.5)
FAILED = MintFailed("train", "Timeout", "no answer", transient=True, retry_in=1.5, held=True, took=0.3)
REFUSED = MintFailed("train", "AccessDenied", "not allowed", transient=False, retry_in=30.0, held=False, took=0.2)
HANDED = LeaseHanded("trainer", "token", 1000, "t1", "train", "arn", 3, EPOCH + 3600, "aws")
DENIED = RequestDenied("not-granted", 403, "request-1", uid=1000)
ISSUED = TokenIssued("t1", "trainer", 1000, EPOCH + 60, 0)
HELD = TokenIssued("t2", "trainer", None, None, 0)
REVOKED = TokenRevoked("t1", "expired", "trainer", 1000)
RELOADED = Reloaded("0123456789abcdef")
BROKEN = Reloaded("0123456789abcdef", error="a.toml:1: is wrong")
AWAY = ReviewsFail("review", "ConnectionFailed", "it does not answer", by_keys=True)
EVICTED = LeaseEvicted("train", 3)
RETIRED = KeysRetired("hmac", "trainer", "t1", ("GOOG1E",))
LEFT = KeysLeft("hmac", "trainer", "t1", ("GOOG1E",), "Timeout", "no answer", 2.0)
GIVEN_UP = KeysLeft("hmac", "trainer", "t1", ("GOOG1E",), "Http403", "ask for the role")
ASK_REFUSED = AskRefused("grant", 990, credential="admin", caller="trainer", generation="0123456789abcdef")

EVENTS: tuple[Event, ...] = (
    MINTED,
    FAILED,
    REFUSED,
    HANDED,
    DENIED,
    ISSUED,
    HELD,
    REVOKED,
    RELOADED,
    BROKEN,
    EVICTED,
    RefreshAsked("train", ("trainer",), 1, 1000),
    OlderLease("train", 0.1),
    StaleServed("train"),
    MintBegun("train", "trainer", with_code=False),
    SocketAnswered("POST", "/refresh/{name}", 200, 1000, 0.2, "train"),
    TurnedAway("socket", 1000, 12),
    UpstreamAsked("aws-assume-role", "ok"),
    ClockMoved(7200.04, -0.02),
    MinterLost("deadline"),
    RETIRED,
    LEFT,
    GIVEN_UP,
    ASK_REFUSED,
    Limited("failures", 12_345, 1000),
    Limited("requests", 7, 1000, "trainer", "t1"),
    AWAY,
    ReviewsWork(),
    TokensDropped("it is damaged"),
    WriteFailed("audit", "No space left on device", first=True),
    WriteHealed("audit", 3),
    LeasesTakenOver(12, 0.02),
    SealedDropped("not-opened", "it is damaged", 3, ("train",)),
    StateOff("others may enter it"),
)
