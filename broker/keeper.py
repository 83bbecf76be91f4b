"""One lease as a pure state machine. It holds no clock, no task and no metric: time comes in, events go out."""

from collections.abc import Callable

import msgspec

from broker import schedule
from broker.drift import STEP
from broker.errors import BrokerError, Malformed
from broker.events import Event, LeaseEvicted, LeaseMinted, MintFailed, OlderLease
from broker.model import Lease, Minted
from broker.plan import Rendered

NEVER = float("inf")
WAITED_FOR = 600.0  # so long a job's first mint is tried again unasked: it may be gone, and nobody says so
IDLE_LIFE = 3600.0  # what counts as a lifetime where nothing was ever minted
LONGEST_LIFE = 400 * 86_400.0  # a longer one is nonsense, such as the year 9999
SAME_END = 1.0  # two ends this close are the same session handed on again


class Keeper:
    """Holds one lease and says when the next mint is due.

    `due` is on the boot clock and NEVER while a mint is in flight. `jitter` gives numbers in -1..1. `kept` is refreshed
    whether or not anybody asks; what is `gone` was let go of, and nobody will refresh it again.
    """

    def __init__(self, rendered: Rendered, now: float, jitter: Callable[[], float]) -> None:
        self.rendered = rendered
        self.due = now
        self.in_flight = False
        self.failures = 0
        self.denials = 0
        self.error: BrokerError | None = None
        self.lease: Lease | None = None  # the last one, usable or not: for status
        self.doubted = False  # the wall clock says that the lease is over, the boot clock that it is not
        self.kept = False
        self.gone = False
        self.asked = now
        self.served = 0
        self.handed: set[tuple[str | None, int | None]] = set()  # who has had this lease already
        self._serial = 0
        self._ends_by = 0.0  # the held lease ends between `lease.ends` and this
        # How far the wall clock is ahead of the boot clock: now, at the mint, and if nothing of the life were lost.
        self._ahead = self._ahead_at_mint = 0.0
        self._level = NEVER
        self._denied_at = 0.0
        self._jitter = jitter

    def held(self, now: float) -> Lease | None:
        """The lease that may be handed out, if there is one: never in its last 30 s, nor one that is doubted."""
        lease = self.lease
        if lease is None or self.doubted:
            return None
        return lease if lease.ends - now > schedule.SERVE_FLOOR else None

    def cross_check(self, now: float, wall: float) -> None:
        """Doubt the lease where the wall clock has run so far ahead that it would be over.

        That may be a step, or a pause of the machine that the boot clock did not count. A step back gives no life back
        that a pause has cost, before it or after it; but where it brings the clock to where it was at the mint, there
        was no pause: the clock had been wrong.
        """
        if self.lease is None:
            return
        before, self._ahead = self._ahead, wall - now
        if self._ahead < before - STEP:
            undone = abs(self._ahead - self._ahead_at_mint) <= STEP
            self._level = self._ahead if undone else self._level + self._ahead - before
        self._level = min(self._level, self._ahead)
        self.doubted = self.lease.ends - now - self._lost <= schedule.SERVE_FLOOR

    @property
    def _lost(self) -> float:
        """Seconds of the lease's life that may have gone by in pauses."""
        return self._ahead - self._level

    def resumed(self, now: float, wall: float, ahead: float) -> None:
        """The machine slept, or its wall clock ran ahead by `ahead` seconds: what that makes due is due soon."""
        self.cross_check(now, wall)
        if self.lease is None or self.in_flight or self.failures:
            return
        due = self.due - ahead
        if due <= now:
            due = now + (schedule.after_pause(self._jitter()) if self.held(now) else 0.0)
        self.due = due

    def idle(self, now: float) -> bool:
        """Whether nobody has asked for it in two of its lifetimes, and nothing says to keep it.

        What a job has is never renewed unasked: its processes have read it, and would not read another.
        """
        if self.rendered.spec.per_job:
            return not self.in_flight and not (self.failures and now - self.asked <= WAITED_FOR)
        life = self.lease.ends - self.lease.began if self.lease else IDLE_LIFE
        return not self.kept and not self.in_flight and now - self.asked > 2 * life

    def resting(self, now: float) -> bool:
        """Whether the last try failed and the next is not due yet: asking now would only hurry upstream."""
        return self.failures > 0 and not self.in_flight and self.due > now

    def adopt(self, rendered: Rendered) -> None:
        """The same lease by another generation of the configuration; what travels with it may have changed."""
        self.rendered = rendered
        settings = rendered.credential.settings
        if self.lease is not None and self.lease.settings != settings:
            self.lease = msgspec.structs.replace(self.lease, settings=settings)

    def begin(self) -> None:
        """A mint takes off. There is never a second one beside it."""
        if self.in_flight:
            raise RuntimeError("a mint is already in flight")
        self.in_flight = True
        self.due = NEVER

    def minted(self, minted: Minted, began: float, now: float, wall: float, ahead: float = 0.0) -> tuple[Event, ...]:
        """The mint that began at `began` has come home at `now`.

        Its life is counted from `began`: upstream may have answered just then, and the machine slept ever since; or it
        was paused, and only the wall clock ran `ahead` by so many seconds meanwhile.
        """
        ends = began + minted.lifetime
        if not (ends - now > schedule.SERVE_FLOOR and minted.lifetime < LONGEST_LIFE):
            error = Malformed("upstream gave a credential that is expired, about to expire, or has no sensible expiry")
            return self.failed(error, began, now)
        self.in_flight = False
        self.failures = self.denials = 0
        self.error = None
        took = now - began
        self.cross_check(now, wall)
        held = self.held(now)
        if held is not None and ends <= self._ends_by - self._lost + SAME_END and minted.again is None:
            # With `again` it may have changed whatever its end, which is then of our own making.
            self.due = schedule.same_again_at(now, held.ends - self._lost)
            return (OlderLease(self.rendered.label, took),)
        self._serial += 1
        self._ends_by = now + minted.lifetime
        settings = self.rendered.credential.settings
        self.lease = Lease(minted.value, self._serial, wall, minted.expires_at, began, ends, minted.facts, settings)
        self._ahead_at_mint = self._level = self._ahead = wall - now - max(ahead, 0.0)
        self.cross_check(now, wall)
        self.handed = set()
        self.due = max(now + schedule.SOONEST, self._refresh_at(began, ends, minted.again) - max(ahead, 0.0))
        return (LeaseMinted(self.rendered.label, self._serial, minted.expires_at, took, minted.facts, minted.skew),)

    def take_over(self, lease: Lease, now: float, wall: float) -> bool:
        """Hold what a process before us held, unless this one has minted already; whether it does."""
        if self.lease is not None or self.denials:
            return False
        self.lease = msgspec.structs.replace(lease, settings=self.rendered.credential.settings)
        self._serial, self._ends_by = lease.serial, lease.ends
        self._ahead_at_mint = self._level = self._ahead = wall - now
        if not self.in_flight and not self.failures:
            self.due = max(now, self._refresh_at(lease.began, lease.ends))
        return True

    def _refresh_at(self, began: float, ends: float, again: float | None = None) -> float:
        if self.rendered.spec.per_job:
            return ends - schedule.SERVE_FLOOR  # and then it is `idle`
        return schedule.refresh_at(began, ends, self._jitter(), again)

    def ends_at(self, now: float, wall: float) -> float:
        """When the lease is over by the wall clock; what pauses may have cost is gone."""
        return wall + self.lease.left(now) - self._lost if self.lease else wall

    def failed(self, error: BrokerError, began: float, now: float) -> tuple[Event, ...]:
        """The mint failed. The held lease stays; only a second final denial evicts it, 30 s or more after the first."""
        self.in_flight = False
        self.failures += 1
        self.error = error
        if error.transient:
            lease = self.held(now)
            left = lease.ends - schedule.SERVE_FLOOR - now if lease else None
            wait = schedule.retry_in(self.failures, self._jitter(), error.retry_after, left)
        else:
            self._count_denial(now)
            wait = schedule.DENIED_RETRY
        self.due = now + wait
        evicted = self._evict() if self.denials > 1 else ()
        held = self.held(now) is not None
        event = MintFailed(self.rendered.label, error.code, error.advice, error.transient, wait, held, now - began)
        return (event, *evicted)

    def _count_denial(self, now: float) -> None:
        """Somebody who refreshes by hand, twice in a second, has heard one denial and not two."""
        if now - self._denied_at >= schedule.DENIED_RETRY or not self.denials:
            self.denials += 1
            self._denied_at = now

    def _evict(self) -> tuple[Event, ...]:
        if self.lease is None or self.rendered.credential.on_denied == "keep":
            return ()
        serial, self.lease = self.lease.serial, None
        return (LeaseEvicted(self.rendered.label, serial),)
