"""The one invariant behind all faults, as a stateful test over a whole broker core on a virtual clock.

No authorised caller ever gets an expired, partial, foreign or mixed lease, and none waits over a second while a valid
lease is held. Together, in any order that hypothesis thinks of: outages (fault 1), throttling and other failures (3),
denials (4), nonsense (6), steps (9), suspends (10) and pauses (47), herds (12) and restarts (32). Faults 16 and 26 end
before the desk, at sockets and tokens: `test_limits` has them against the running program.
"""

from typing import get_args

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.always import run_always
from tests.simulator.cloud import FAIR, Kinds, Weather
from tests.simulator.life import Life
from tests.simulator.soak import Lost, soak

HOUR = 3600.0
EXAMPLES, STEPS = 25, 12
LIVES = 15

families = st.sampled_from([None, "aws", "gcp"])
storms = st.sampled_from([kind for kind in get_args(Kinds) if kind != "fair"])
wishes = st.sampled_from([None, 0.0, 7.0, 120.0, 86_400.0])
latencies = st.sampled_from([0.05, 0.2, 2.0, 9.0])
gaps = st.one_of(st.sampled_from([5.0, 30.0, 10_800.0]), st.floats(0, 4000))


class Faults(RuleBasedStateMachine):
    """Whatever happens to a node; every answer goes before the judge."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(seed=0)

    def teardown(self) -> None:
        with self.life:
            self.life.heal()

    @rule(seconds=st.sampled_from([1.0, 60.0, 450.0, 1700.0, HOUR]))
    def lives(self, seconds: float) -> None:
        self.life.live(seconds)

    @rule(kind=storms, family=families, wish=wishes, latency=latencies, lasts=st.sampled_from([0.0, 25.0, 600.0, HOUR]))
    def storms(self, kind: Kinds, family: str | None, wish: float | None, latency: float, lasts: float) -> None:
        self.life.weather(Weather(kind, latency, wish), family)
        self.life.live(lasts)

    @rule(latency=latencies)
    def clears(self, latency: float) -> None:
        self.life.weather(Weather("fair", latency))

    @rule()
    def heals(self) -> None:
        self.life.heal()

    @rule(kind=st.sampled_from(["refused", "silent"]), name=st.sampled_from(["short", "train"]), after=gaps)
    def is_away_for_half_a_life(self, kind: Kinds, name: str, after: float) -> None:
        self.life.outage(kind, name, min(after, HOUR))

    @rule(seconds=st.sampled_from([-86_400.0, -HOUR, -30.0, 30.0, 600.0, HOUR, 86_400.0]))
    def is_stepped(self, seconds: float) -> None:
        self.life.step(seconds)

    @rule(seconds=gaps)
    def is_suspended(self, seconds: float) -> None:
        self.life.suspend(seconds)

    @rule(seconds=gaps)
    def is_paused(self, seconds: float) -> None:
        self.life.stand_still(seconds)

    @rule(moment=st.sampled_from([0.15, 1.0]), pause=st.one_of(st.just(0.0), gaps))
    def is_killed_and_started(self, moment: float, pause: float) -> None:
        self.life.weather(FAIR)
        self.life.restart(moment)
        self.life.stand_still(pause)

    @rule(count=st.sampled_from([2, 100]))
    def is_overrun(self, count: int) -> None:
        self.life.herd(count)

    @rule(count=st.sampled_from([3, 30]))
    def is_visited(self, count: int) -> None:
        self.life.crowd(count)


class TestInvariant:
    def test_it_holds_whatever_happens(self):
        """In any order of faults."""
        run_always(Faults, EXAMPLES, STEPS)

    def test_it_holds_through_some_lives(self):
        """A handful of the thousands of `make soak`: three days."""
        tally = soak(LIVES)

        assert not isinstance(tally, Lost), tally
        assert tally.served > 10_000
        assert tally.calls > 1000
        assert tally.least >= 28
