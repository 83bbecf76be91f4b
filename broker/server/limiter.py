"""Who asks too much, and who guesses: a bucket of requests for each caller, a count of failures for each uid.

Whoever is over a limit waits for each answer. On loopback nothing is counted by address: all workers come from
127.0.0.1. Where pods alone are served each has an address of its own, and no uid that means anything. What a uid, or a
pod, fails to show holds up nobody who shows something good, itself included. Who has leases minted anew too often is
told when to come again.
"""

import math
from collections import Counter
from collections.abc import Hashable
from typing import TypeVar

import msgspec

from broker.config.shape import Limits
from broker.errors import Refused
from broker.events import Limited, Note
from broker.model import Caller
from broker.rounds import Clock
from broker.server.link import Peer

MOST_FAILURES = 100  # of a uid within WINDOW are answered like any other refusal; the rest cheaply and late
WINDOW = 10.0
DELAY = 0.5  # SDKs wait for an answer for 1 s
TOGETHER = 256  # of a uid wait no longer than that; twice as many wait twice as long: 512 answers a second at most
LONGEST_DELAY = 30.0
REFRESHES = 10  # that a user may ask for at once; as many as codes are mistyped while a day's credentials are minted
REFRESH_EVERY = 30.0  # and one after so many seconds, from then on

_Key = TypeVar("_Key", bound=Hashable)


class _Overrun(msgspec.Struct):
    """What a limit has held back since `began`."""

    began: float
    count: int = 0


class Buckets:
    """A bucket for each key, which holds `burst` and is filled at `rate` a second."""

    __slots__ = ("_burst", "_clock", "_filled", "_note", "_rate", "_spent")

    def __init__(self, burst: int, rate: float, note: Note, clock: Clock) -> None:
        self._burst = burst
        self._rate = rate
        self._note = note
        self._clock = clock
        self._filled = clock.now()
        self._spent: dict[Hashable, int] = {}

    def _fill(self) -> None:
        """By the time that has passed; what makes no whole one is for the next time."""
        filling = int((self._clock.now() - self._filled) * self._rate)
        self._filled += filling / self._rate
        self._spent = {key: spent - filling for key, spent in self._spent.items() if spent > filling}

    def _take(self, key: Hashable) -> bool:
        """One out of the bucket, if there is one."""
        spent = self._spent.get(key, 0)
        if spent >= self._burst:
            return False
        self._spent[key] = spent + 1
        return True

    def _overrun(self, overruns: dict[_Key, _Overrun], key: _Key) -> int:
        overrun = overruns.get(key)
        if overrun is None:
            overrun = overruns[key] = _Overrun(self._clock.now())
        overrun.count += 1
        return overrun.count


class Limiter(Buckets):
    """Spends and counts; `tick` once a second fills the buckets and tells what was held back, once a window."""

    __slots__ = ("_failures", "_over")

    def __init__(self, limits: Limits, note: Note, clock: Clock) -> None:
        super().__init__(limits.requests_burst, limits.requests_per_second, note, clock)
        self._over: dict[Caller | Peer, _Overrun] = {}
        self._failures: dict[Peer, _Overrun] = {}

    def allows(self, caller: Caller) -> bool:
        """Take one request out of this caller's bucket: its uid's where it has one, its pod's, else its token's."""
        key: Hashable = caller.uid
        if key is None:
            key = (caller.pod.uid if caller.pod else caller.token_id) or caller.name
        return self._take(key) or self._hold_back(caller)

    def allows_probe(self, peer: Peer) -> bool:
        """The same for what anybody may ask, by whose connection it is."""
        return self._take(peer) or self._hold_back(peer)

    def failed(self, peer: Peer) -> bool:
        """Somebody of this uid or pod has not said who he is; whether he has done so too often of late."""
        return self._overrun(self._failures, peer) > MOST_FAILURES

    def tick(self) -> None:
        """Fill the buckets by the time that has passed, and tell of windows that have ended."""
        self._fill()  # by ticks: no clock is read at each request
        self._tell(self._clock.now())

    def close(self) -> None:
        """Tell what is not told yet."""
        self._tell(float("inf"))

    def _hold_back(self, who: Caller | Peer) -> bool:
        self._overrun(self._over, who)
        return False

    def _tell(self, now: float) -> None:
        for peer, failures in _ended(self._failures, now):
            if failures > MOST_FAILURES:
                self._note(_limited("failures", failures - MOST_FAILURES, peer))
        for who, count in _ended(self._over, now):
            if isinstance(who, Caller):
                self._note(Limited("requests", count, who.uid, who.name, who.token_id, who.pod))
            else:
                self._note(_limited("requests", count, who))


class Refreshes(Buckets):
    """How often a user may have leases minted anew; `tick` once a second tells who was held back."""

    __slots__ = ("_over",)

    def __init__(self, note: Note, clock: Clock) -> None:
        super().__init__(REFRESHES, 1 / REFRESH_EVERY, note, clock)
        self._over: dict[int, _Overrun] = {}

    def take(self, uid: int) -> None:
        """One for this uid. Raises Refused, with when to come again."""
        self._fill()
        if self._take(uid):
            return
        self._overrun(self._over, uid)
        wait = max(math.ceil(self._filled + REFRESH_EVERY - self._clock.now()), 1)
        advice = (
            f"you have had leases minted anew {self._burst} times of late: the next time in {wait}s. Nobody needs to, "
            "for what is held is renewed by itself: `credbroker status` says when, and why it fails if it does"
        )
        raise Refused(429, "TooManyRefreshes", advice, retry_after=wait)

    def tick(self) -> None:
        """Tell of windows that have ended."""
        for uid, count in _ended(self._over, self._clock.now()):
            self._note(Limited("refreshes", count, uid))


def _ended(overruns: dict[_Key, _Overrun], now: float) -> list[tuple[_Key, int]]:
    """Take out those whose window is over, each with its count."""
    over = [key for key, overrun in overruns.items() if now - overrun.began >= WINDOW]
    return [(key, overruns.pop(key).count) for key in over]


def _limited(limit: str, count: int, peer: Peer) -> Limited:
    if isinstance(peer, str):
        return Limited(limit, count, None, peer=peer)
    return Limited(limit, count, peer)


class Delays:
    """How long answers are held back, by uid or pod: the more of its answers wait, the longer."""

    def __init__(self) -> None:
        self._waiting: Counter[Peer] = Counter()

    def begin(self, peer: Peer) -> float:
        """One more waits; for how many seconds."""
        waiting = self._waiting[peer]
        self._waiting[peer] = waiting + 1
        return min(DELAY * (1 + waiting // TOGETHER), LONGEST_DELAY)

    def end(self, peer: Peer) -> None:
        """One waits no more."""
        self._waiting[peer] -= 1
        if not self._waiting[peer]:
            del self._waiting[peer]
