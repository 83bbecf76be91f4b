"""The promises of a lease as a state machine over any keeper, the real one or a mutant.

The model beside it is small and knows more than the keeper can: when upstream really answered. A lease that it knows to
be over must not be held; one that is surely good must be.
"""

import math
from types import ModuleType
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broker.errors import BrokerError, Denied, Malformed, NotReady, Throttled, Unreachable
from broker.events import LeaseEvicted, LeaseMinted, MintFailed, OlderLease
from broker.model import Facts, Minted, Value
from tests.always import run_always
from tests.keeper_days import DAY, jitters, lifetimes, mint_times, nonsense, patience, pauses, shares
from tests.leaping import EPOCH, START
from tests.made import a_rendered, a_role, keys

HAIR = 1e-6  # what floating point may lose


class Known(msgspec.Struct, frozen=True):
    """A lease as the model knows it: it truly ends at `end`; by what the keeper sees, from `soonest` to `latest`."""

    value: Value
    expires_at: float
    serial: int
    soonest: float
    end: float
    latest: float


class KeeperMachine(RuleBasedStateMachine):
    """Time passes, mints begin, come home and fail. `module` is where the keeper is from."""

    module: ModuleType

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.jitter = 0.0
        self.evicts = True
        self.keeper = self._keeper("evict")
        self.began: float | None = None
        self.known: Known | None = None
        self.serial = self.failures = self.denials = 0
        self.denied_at = 0.0
        self.handed: set[tuple[str | None, int | None]] = set()
        self.due = (START, START)

    def _keeper(self, on_denied: str) -> Any:
        rendered = a_rendered(a_role(on_denied=on_denied))
        return self.module.Keeper(rendered, self.now, lambda: self.jitter)

    @initialize(evicts=st.booleans())
    def is_configured(self, evicts: bool) -> None:
        self.evicts = evicts
        self.keeper = self._keeper("evict" if evicts else "keep")

    @rule(seconds=pauses)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.keeper.in_flight and self.keeper.due > self.now)
    @rule()
    def falls_due(self) -> None:
        self.now = self.keeper.due

    @precondition(lambda self: self.known is not None)
    @rule(left=st.sampled_from([45.0, 31.0, 29.0, 1.0, -1.0]), surely=st.booleans())
    def nearly_lapses(self, left: float, surely: bool) -> None:
        if self.known is not None:
            self.now = max(self.now, (self.known.end if surely else self.known.soonest) - left)

    @precondition(lambda self: self.began is None)
    @rule()
    def begins(self) -> None:
        self.keeper.begin()
        self.began = self.now
        self.due = (math.inf, math.inf)

    @precondition(lambda self: self.began is not None)
    @rule()
    def never_begins_twice(self) -> None:
        try:
            self.keeper.begin()
        except RuntimeError:
            return
        raise AssertionError("a second mint took off")

    @rule(uid=st.integers(1, 3))
    def is_handed(self, uid: int) -> None:
        if self.keeper.held(self.now) is not None:
            self.keeper.handed.add((None, uid))
            self.handed.add((None, uid))

    @precondition(lambda self: self.began is not None)
    @rule(took=mint_times, lifetime=lifetimes, share=shares, jitter=jitters)
    def comes_home(self, took: float, lifetime: float, share: float, jitter: float) -> None:
        self._comes_home(took, lambda _: lifetime, share, jitter)

    @precondition(lambda self: self.began is not None and self.known is not None)
    @rule(took=mint_times, share=shares, jitter=jitters)
    def is_handed_on_again(self, took: float, share: float, jitter: float) -> None:
        end = self.known.end if self.known else 0.0
        self._comes_home(took, lambda answered: end - answered, share, jitter)

    @precondition(lambda self: self.began is None)
    @rule(took=st.sampled_from([3.0, 400.0]), wait=st.booleans(), jitter=jitters)
    def hands_on_a_session(self, took: float, wait: bool, jitter: float) -> None:
        """What a session is like that somebody else renews: the same again, until there is another."""
        self.begins()
        self._comes_home(took, lambda _: 3600.0, 1.0, jitter)
        self.nearly_lapses(29.0, surely=False) if wait else self.falls_due()
        self.begins()
        self.is_handed_on_again(0.0, 0.0, jitter)

    @precondition(lambda self: self.began is not None)
    @rule(took=mint_times, kind=st.sampled_from([Throttled, Unreachable, NotReady]), asked=patience, jitter=jitters)
    def fails(self, took: float, kind: type[BrokerError], asked: float | None, jitter: float) -> None:
        self.now, self.jitter = self.now + took, jitter
        error, began = kind("advice", code="Code", retry_after=asked), self._landed()
        self._has_failed(self.keeper.failed(error, began, self.now), error, began)

    @precondition(lambda self: self.began is not None)
    @rule(took=mint_times, jitter=jitters)
    def is_denied(self, took: float, jitter: float) -> None:
        self.now, self.jitter = self.now + took, jitter
        error, began = Denied("advice", retry_after=7.0), self._landed()
        self._has_failed(self.keeper.failed(error, began, self.now), error, began)

    @precondition(lambda self: self.began is None)
    @rule(denied=st.integers(0, 2), lifetime=st.sampled_from([900.0, 3600.0]), jitter=jitters)
    def makes_its_rounds(self, denied: int, lifetime: float, jitter: float) -> None:
        """What a day is like: it falls due and is minted, or denied a few times."""
        for _ in range(denied):
            self.now = max(self.now, self.keeper.due)
            self.begins()
            self.is_denied(0.2, jitter)
        self.now = max(self.now, self.keeper.due)
        if denied < 2:
            self.begins()
            self._comes_home(0.2, lambda _: lifetime, 1.0, jitter)

    @precondition(lambda self: self.began is None)
    @rule(pause=st.sampled_from([0.0, 1.0, 29.0]), jitter=jitters)
    def is_denied_by_hand(self, pause: float, jitter: float) -> None:
        """Somebody does not believe it and asks again."""
        for wait in (0.0, pause):
            self.now += wait
            self.begins()
            self.is_denied(0.0, jitter)

    @precondition(lambda self: self.began is None)
    @rule(lifetime=nonsense, took=st.sampled_from([0.0, 3.0]), jitter=jitters)
    def brings_nonsense(self, lifetime: float, took: float, jitter: float) -> None:
        """Over, as good as over, or never to be over."""
        self.begins()
        self._comes_home(took, lambda _: lifetime, 1.0, jitter)

    @precondition(lambda self: self.began is None)
    @rule(took=st.sampled_from([20.0, 29.0]), jitter=jitters)
    def is_slow_and_short(self, took: float, jitter: float) -> None:
        """A mint that takes half of what it brings."""
        self.begins()
        self._comes_home(took, lambda _: 60.0, 1.0, jitter)

    @precondition(lambda self: self.began is None)
    @rule(times=st.sampled_from([2, 5, 9]), asked=patience, jitter=jitters)
    def stays_down(self, times: int, asked: float | None, jitter: float) -> None:
        """An outage."""
        for _ in range(times):
            self.now = max(self.now, self.keeper.due)
            self.begins()
            self.fails(0.2, Unreachable, asked, jitter)

    def _landed(self) -> float:
        began, self.began = self.began, None
        assert began is not None
        return began

    def _comes_home(self, took: float, life: Any, share: float, jitter: float) -> None:
        self.now, self.jitter = self.now + took, jitter
        began = self._landed()
        answered = began + share * (self.now - began)
        lifetime = life(answered)
        end = answered + lifetime
        value, facts = keys(f"{self.now}-{self.serial}"), Facts(arn=f"arn {self.serial}")
        expires_at = EPOCH + end - START
        events = self.keeper.minted(Minted(value, expires_at, lifetime, facts), began, self.now, EPOCH)
        if not (began + lifetime - self.now > 30 and lifetime < 400 * DAY):
            self._has_failed(events, Malformed(""), began)
            return
        known = Known(value, expires_at, self.serial + 1, began + lifetime, end, self.now + lifetime)
        self.failures = self.denials = 0
        if self._must_stay(known) or (not self._must_go(known) and isinstance(events[0], OlderLease)):
            self._stays(events, began)
        else:
            self._is_replaced(events, known, facts, began)

    def _servable(self) -> bool:
        return self.known is not None and self.known.soonest - self.now > 30

    def _must_stay(self, new: Known) -> bool:
        return self._servable() and self.known is not None and new.end <= self.known.end + HAIR

    def _must_go(self, new: Known) -> bool:
        return not self._servable() or self.known is None or new.soonest > self.known.latest + 1 + HAIR

    def _stays(self, events: Any, began: float) -> None:
        assert self.known is not None
        assert events == (OlderLease("train", self.now - began),)
        lefts = (self.known.soonest - self.now, self.known.latest - self.now)
        self.due = (self.now + lefts[0] / 2, self.now + lefts[1] / 2)

    def _is_replaced(self, events: Any, new: Known, facts: Facts, began: float) -> None:
        self.serial, self.known, self.handed = new.serial, new, set()
        assert events == (LeaseMinted("train", new.serial, new.expires_at, self.now - began, facts),)
        half = (new.soonest - began) / 2
        earliest, latest = half * 0.9, max(half * 0.9, half - 40)
        about = began + earliest + (latest - earliest) * (1 + self.jitter) / 2
        soonest = self.now + 1
        self.due = (max(soonest, about - half / 1000), max(soonest, about + half / 1000))

    def _has_failed(self, events: Any, error: BrokerError, began: float) -> None:
        self.failures += 1
        if isinstance(error, Denied):
            if not self.denials or self.now - self.denied_at >= 30:
                self.denials += 1
                self.denied_at = self.now
            self.due = (self.now + 30, self.now + 30)
        else:
            cap = (
                min(60.0, max(1.0, (self.known.soonest - 30 - self.now) / 4))
                if self._servable() and self.known
                else 60.0
            )
            longest = min(cap, 2.0 ** (self.failures - 1))
            about = longest * (0.75 + self.jitter / 4)
            asked = self.now + min(error.retry_after or 0.0, 300.0)
            self.due = (max(self.now + 0.98 * about, asked), max(self.now + 1.02 * about, asked))
        evicted: tuple[object, ...] = ()
        if self.denials > 1 and self.known is not None and self.evicts:
            evicted, self.known = (LeaseEvicted("train", self.known.serial),), None
        failed = events[0]
        assert isinstance(failed, MintFailed)
        assert (failed.code, failed.transient) == (error.code, not isinstance(error, Denied))
        assert (failed.held, failed.took) == (self._servable(), self.now - began)
        assert math.isclose(self.now + failed.retry_in, self.keeper.due)
        assert events[1:] == evicted
        assert self.keeper.error is not None
        assert self.keeper.error.code == error.code

    @invariant()
    def nothing_is_held_past_its_true_end(self) -> None:
        held = self.keeper.held(self.now)
        if held is None:
            return
        assert self.known is not None
        assert self.now < self.known.end - 30 + HAIR
        known = self.known
        assert (held.value, held.expires_at, held.serial) == (known.value, known.expires_at, known.serial)

    @invariant()
    def what_is_good_is_held_whatever_fails(self) -> None:
        if self.known is not None and self.known.soonest - self.now > 30 + HAIR:
            assert self.keeper.held(self.now) is not None

    @invariant()
    def one_mint_at_most_is_in_flight(self) -> None:
        assert self.keeper.in_flight == (self.began is not None)

    @invariant()
    def the_next_one_is_due_in_time(self) -> None:
        soonest, latest = self.due
        assert soonest - HAIR <= self.keeper.due <= latest + HAIR

    @invariant()
    def it_rests_after_a_failure_only(self) -> None:
        resting = self.failures > 0 and self.began is None and self.keeper.due > self.now
        assert self.keeper.resting(self.now) == resting
        assert (self.keeper.failures, self.keeper.error is None) == (self.failures, self.failures == 0)

    @invariant()
    def who_has_had_a_lease_is_known_while_it_lasts(self) -> None:
        assert self.keeper.handed == self.handed


def run_machine(module: ModuleType, examples: int = 400, steps: int = 30) -> None:
    """Hold the keeper of a module to all this."""
    run_always(type("Machine", (KeeperMachine,), {"module": module}), examples, steps)
