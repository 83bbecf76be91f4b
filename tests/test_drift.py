"""What a machine learns from clocks that drift apart."""

import pytest

from broker.drift import Drift, Watch


class TestWatch:
    @pytest.mark.parametrize(
        ("now", "wall", "timers", "drift"),
        [
            (15.0, 15.0, 15.0, Drift(0.0, 0.0)),
            (3615.0, 3615.0, 15.0, Drift(3600.0, 0.0)),
            (15.0, 3615.0, 15.0, Drift(0.0, 3600.0)),
            (15.0, -3585.0, 15.0, Drift(0.0, -3600.0)),
        ],
        ids=["nothing", "a suspend", "set forward, or a pause", "set back"],
    )
    def test_it_tells_what_happened_since_the_last_look(self, now: float, wall: float, timers: float, drift: Drift):
        """Once."""
        watch = Watch(100.0, 5000.0, 7.0)

        assert watch.look(100.0 + now, 5000.0 + wall, 7.0 + timers) == drift
        assert watch.look(100.0 + now, 5000.0 + wall, 7.0 + timers) == Drift(0.0, 0.0)


class TestDrift:
    @pytest.mark.parametrize(
        ("drift", "something"),
        [(Drift(0.9, -0.9), False), (Drift(1.1, 0.0), True), (Drift(0.0, 1.1), True), (Drift(0.0, -1.1), True)],
    )
    def test_a_second_is_nothing(self, drift: Drift, something: bool):
        """Clocks are slewed all the time."""
        assert bool(drift) == something
