"""One lease as a pure state machine. It holds no clock, no task and no metric: time comes in, events go out."""

from collections.abc import Callable

import msgspec

from broker import schedule
from broker.errors import BrokerError, Malformed
from broker.events import Event, LeaseEvicted, LeaseMinted, MintFailed, OlderLease
from broker.model import Lease, Minted
from broker.plan import Rendered

NEVER = float("inf")
LONGEST_LIFE = 400 * 86_400.0  # a longer one is nonsense, such as the year 9999
SAME_END = 1.0  # two ends this close are the same session handed on again


class Keeper:
    """Holds one lease and says when the next mint is due.

    `due` is on the boot clock and NEVER while a mint is in flight. `jitter` gives numbers in -1..1.
    """

    def __init__(self, rendered: Rendered, now: float, jitter: Callable[[], float]) -> None:
        self.rendered = rendered
        self.due = now
        self.in_flight = False
        self.failures = 0
        self.denials = 0
        self.error: BrokerError | None = None
        self.lease: Lease | None = None  # the last one, usable or not: for status
        self.served = 0
        self.handed: set[tuple[str | None, int | None]] = set()  # who has had this lease already
        self._serial = 0
        self._ends_by = 0.0  # the held lease ends between `lease.ends` and this
        self._jitter = jitter

    def held(self, now: float) -> Lease | None:
        """The lease that may be handed out, if there is one: never in its last 30 s."""
        lease = self.lease
        return lease if lease is not None and lease.ends - now > schedule.SERVE_FLOOR else None

    def resting(self, now: float) -> bool:
        """Whether the last try failed and the next is not due yet: asking now would only hurry upstream."""
        return self.failures > 0 and not self.in_flight and self.due > now

    def adopt(self, rendered: Rendered) -> None:
        """The same lease by another generation of the configuration; what travels with it may have changed."""
        self.rendered = rendered
        if self.lease is not None:
            self.lease = msgspec.structs.replace(self.lease, settings=rendered.credential.settings)

    def begin(self) -> None:
        """A mint takes off. There is never a second one beside it."""
        if self.in_flight:
            raise RuntimeError("a mint is already in flight")
        self.in_flight = True
        self.due = NEVER

    def minted(self, minted: Minted, began: float, now: float, wall: float) -> tuple[Event, ...]:
        """The mint that began at `began` has come home at `now`.

        Its life is counted from `began`: upstream may have answered just then, and the machine slept ever since.
        """
        ends = began + minted.lifetime
        if not (ends - now > schedule.SERVE_FLOOR and minted.lifetime < LONGEST_LIFE):
            error = Malformed("upstream gave a credential that is expired, about to expire, or has no sensible expiry")
            return self.failed(error, began, now)
        self.in_flight = False
        self.failures = self.denials = 0
        self.error = None
        took = now - began
        held = self.held(now)
        if held is not None and ends <= self._ends_by + SAME_END and minted.again is None:
            # With `again` it may have changed whatever its end, which is then of our own making.
            self.due = schedule.same_again_at(now, held.ends)
            return (OlderLease(self.rendered.label, took),)
        self._serial += 1
        self._ends_by = now + minted.lifetime
        settings = self.rendered.credential.settings
        self.lease = Lease(minted.value, self._serial, wall, minted.expires_at, began, ends, minted.facts, settings)
        self.handed = set()
        self.due = max(now + schedule.SOONEST, schedule.refresh_at(began, ends, self._jitter(), minted.again))
        return (LeaseMinted(self.rendered.label, self._serial, minted.expires_at, took, minted.facts, minted.skew),)

    def failed(self, error: BrokerError, began: float, now: float) -> tuple[Event, ...]:
        """The mint failed. The held lease stays; only a second final denial evicts it."""
        self.in_flight = False
        self.failures += 1
        self.error = error
        if error.transient:
            wait = schedule.retry_in(self.failures, self._jitter(), error.retry_after)
        else:
            self.denials += 1
            wait = schedule.DENIED_RETRY
        self.due = now + wait
        evicted = self._evict() if self.denials > 1 else ()
        held = self.held(now) is not None
        event = MintFailed(self.rendered.label, error.code, error.advice, error.transient, wait, held, now - began)
        return (event, *evicted)

    def _evict(self) -> tuple[Event, ...]:
        if self.lease is None or self.rendered.credential.on_denied == "keep":
            return ()
        serial, self.lease = self.lease.serial, None
        return (LeaseEvicted(self.rendered.label, serial),)
