"""Buckets of requests by caller, failures by uid, and how long whoever is over a limit waits."""

import contextlib

import pytest

from broker.config.shape import Limits
from broker.errors import Refused
from broker.events import Event, Limited
from broker.model import Caller, CallerFacts
from broker.server.limiter import (
    DELAY,
    LONGEST_DELAY,
    MOST_FAILURES,
    REFRESH_EVERY,
    REFRESHES,
    TOGETHER,
    WINDOW,
    Delays,
    Limiter,
    Refreshes,
)
from tests.leaping import FakeClock

ALICE, BOB = 1000, 2000


def a_caller(uid: int | None = None, token_id: str | None = None, name: str = "trainer") -> Caller:
    return Caller(matches=(CallerFacts(caller=name),), how="token", uid=uid, token_id=token_id)


def nobody(_: Event) -> None:
    """Hears what is noted."""


class Gate:
    """A limiter of 5 requests at once and 2 a second, on a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.events: list[Event] = []
        self.limiter = Limiter(Limits(requests_burst=5, requests_per_second=2), self.events.append, self.clock)

    def tick(self, seconds: float = 1.0) -> None:
        """Time goes by, and the limiter hears of it."""
        self.clock.pass_time(seconds)
        self.limiter.tick()

    def taken(self, caller: Caller, count: int = 100) -> int:
        """How many of so many requests are allowed."""
        return sum(self.limiter.allows(caller) for _ in range(count))


@pytest.fixture
def gate() -> Gate:
    return Gate()


class TestBucket:
    def test_a_burst_and_then_the_rate(self, gate: Gate):
        """A worker's start is a burst, its life is not."""
        alice = a_caller(ALICE)
        took = [gate.taken(alice)]
        for _ in range(3):
            gate.tick()
            took.append(gate.taken(alice))

        assert took == [5, 2, 2, 2]

    def test_it_fills_to_its_burst_and_no_further(self, gate: Gate):
        """A night of silence saves nothing up."""
        gate.taken(a_caller(ALICE))
        gate.tick(3600)

        assert gate.taken(a_caller(ALICE)) == 5

    def test_a_late_tick_fills_as_much_as_two(self, gate: Gate):
        """A busy loop takes nothing from anybody."""
        gate.taken(a_caller(ALICE))
        gate.tick(2.0)

        assert gate.taken(a_caller(ALICE)) == 4

    @pytest.mark.parametrize(
        "other",
        [a_caller(BOB), a_caller(token_id="t1"), a_caller(name="other")],
        ids=["another uid", "a token of nobody's", "a caller with neither"],
    )
    def test_one_caller_empties_no_other_bucket(self, gate: Gate, other: Caller):
        """Each has its own."""
        gate.taken(a_caller(ALICE))

        assert gate.taken(other) == 5

    def test_many_tokens_of_one_uid_are_one_bucket(self, gate: Gate):
        """A user who issues himself a thousand gains nothing."""
        assert [gate.taken(a_caller(ALICE, token_id=f"t{number}")) for number in range(3)] == [5, 0, 0]

    def test_tokens_that_are_bound_to_nobody_have_one_each(self, gate: Gate):
        """By their ids."""
        assert [gate.taken(a_caller(token_id=f"t{number}")) for number in range(3)] == [5, 5, 5]

    def test_probes_come_out_of_the_uids_bucket(self, gate: Gate):
        """Anybody may ask them, but not for ever."""
        assert [sum(gate.limiter.allows_probe(uid) for _ in range(9)) for uid in (ALICE, BOB, None)] == [5, 5, 5]
        assert gate.taken(a_caller(ALICE)) == 0

    def test_who_is_gone_leaves_nothing(self, gate: Gate):
        """A full bucket is no bucket."""
        for uid in range(100):
            gate.taken(a_caller(uid))
        gate.tick(10)
        gate.tick(10)

        assert not gate.limiter._spent
        assert not gate.limiter._over


class TestFailures:
    def test_a_uid_may_fail_a_hundred_times_a_window(self, gate: Gate):
        """A hundred workers with an old token are no attack."""
        failed = [gate.limiter.failed(ALICE) for _ in range(MOST_FAILURES + 2)]

        assert failed == [False] * MOST_FAILURES + [True, True]
        assert not gate.limiter.failed(BOB)

    def test_the_next_window_begins_anew(self, gate: Gate):
        """For ever is no limit."""
        for _ in range(MOST_FAILURES + 1):
            gate.limiter.failed(ALICE)
        gate.tick(WINDOW)

        assert not gate.limiter.failed(ALICE)

    def test_failures_take_nothing_out_of_the_bucket(self, gate: Gate):
        """A good caller of the same uid is not held up."""
        for _ in range(1000):
            gate.limiter.failed(ALICE)

        assert gate.taken(a_caller(ALICE)) == 5


class TestTold:
    def test_once_a_window_with_the_count(self, gate: Gate):
        """However many there were."""
        for _ in range(10):
            for _ in range(MOST_FAILURES):
                gate.limiter.failed(ALICE)
            gate.taken(a_caller(BOB, "t1"), 10)
            gate.tick()
        gate.taken(a_caller(BOB, "t1"), 10)

        assert gate.events == [
            Limited("failures", 9 * MOST_FAILURES, ALICE),
            Limited("requests", 5 + 9 * 8, BOB, "trainer", "t1"),
        ]

    def test_nothing_where_nothing_was_held_back(self, gate: Gate):
        """Failures are denials, each told by itself."""
        for _ in range(MOST_FAILURES):
            gate.limiter.failed(ALICE)
        gate.taken(a_caller(ALICE), 5)
        gate.tick(WINDOW)

        assert gate.events == []

    def test_the_rest_at_the_end(self, gate: Gate):
        """A daemon that stops owes no count."""
        gate.taken(a_caller(ALICE), 6)
        [gate.limiter.allows_probe(None) for _ in range(7)]
        gate.limiter.close()

        assert gate.events == [Limited("requests", 1, ALICE, "trainer"), Limited("requests", 2, None)]


class TestRefreshes:
    @staticmethod
    def taken(refreshes: Refreshes, uid: int, count: int = 100) -> int:
        """How many of so many are allowed."""
        took = 0
        with contextlib.suppress(Refused):
            while took < count:
                refreshes.take(uid)
                took += 1
        return took

    def test_a_few_at_once_and_then_one_now_and_then(self):
        """However the seconds fall that make up the time of one."""
        clock = FakeClock()
        refreshes, took = Refreshes(nobody, clock), []
        for seconds in (0.0, REFRESH_EVERY - 1, 1.0, 2 * REFRESH_EVERY, 3600.0):
            clock.pass_time(seconds)
            took.append(self.taken(refreshes, ALICE))

        assert took == [REFRESHES, 0, 1, 2, REFRESHES]

    def test_seconds_add_up(self):
        """A user who tries each second still gets one in its time."""
        clock = FakeClock()
        refreshes, took = Refreshes(nobody, clock), 0
        self.taken(refreshes, ALICE)
        for _ in range(int(3 * REFRESH_EVERY)):
            clock.pass_time(1.0)
            took += self.taken(refreshes, ALICE)

        assert took == 3

    def test_who_has_had_them_is_told_when_to_come_again(self):
        """In words, and for programs; nobody else has to wait."""
        clock = FakeClock()
        refreshes = Refreshes(nobody, clock)
        self.taken(refreshes, ALICE)
        clock.pass_time(10.0)
        with pytest.raises(Refused, match="the next time in 20s") as refused:
            refreshes.take(ALICE)

        assert (refused.value.status, refused.value.retry_after, refused.value.exit_status) == (429, 20.0, 1)
        assert self.taken(refreshes, BOB) == REFRESHES

    def test_it_is_told_once_a_window(self):
        """Who tries for ever is one line in ten seconds."""
        clock, events = FakeClock(), list[Event]()
        refreshes = Refreshes(events.append, clock)
        for _ in range(REFRESHES + 7):
            with contextlib.suppress(Refused):
                refreshes.take(ALICE)
        refreshes.tick()
        clock.pass_time(WINDOW)
        for _ in range(2):
            refreshes.tick()

        assert events == [Limited("refreshes", 7, ALICE)]


class TestDelays:
    def test_the_more_wait_the_longer(self):
        """So the answers of a second do not grow with the connections."""
        delays = Delays()
        pauses = [delays.begin(ALICE) for _ in range(3 * TOGETHER)]

        assert [pauses[0], pauses[TOGETHER - 1], pauses[TOGETHER], pauses[-1]] == [DELAY, DELAY, 2 * DELAY, 3 * DELAY]
        assert delays.begin(BOB) == DELAY

    def test_never_longer_than_the_longest(self):
        """A client has to hear something some day."""
        delays = Delays()

        assert max(delays.begin(ALICE) for _ in range(100 * TOGETHER)) == LONGEST_DELAY

    def test_whoever_waits_no_more_counts_no_more(self):
        """And leaves nothing."""
        delays = Delays()
        for _ in range(2 * TOGETHER):
            delays.begin(ALICE)
        for _ in range(2 * TOGETHER):
            delays.end(ALICE)

        assert delays.begin(ALICE) == DELAY
        delays.end(ALICE)
        assert not delays._waiting
