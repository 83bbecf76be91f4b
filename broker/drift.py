"""Clocks that drift apart: how a machine learns that it slept, was paused, or had its wall clock set. Pure."""

import msgspec

STEP = 1.0  # more than this between two looks is no drift


class Drift(msgspec.Struct, frozen=True):
    """What happened between two looks, in seconds."""

    asleep: float  # the boot clock went on, the loop's did not: a suspend
    ahead: float  # the wall clock ran ahead of the boot clock: set forward, or made up for a pause; negative: set back

    def __bool__(self) -> bool:
        """Whether there was anything."""
        return max(self.asleep, abs(self.ahead)) > STEP


class Watch:
    """Compares three clocks, from look to look: the boot clock, the wall clock and the one that timers go by."""

    def __init__(self, now: float, wall: float, timers: float) -> None:
        self._before = (now - timers, wall - now)

    def look(self, now: float, wall: float, timers: float) -> Drift:
        """What has happened since the last look."""
        before, self._before = self._before, (now - timers, wall - now)
        return Drift(*(new - old for new, old in zip(self._before, before, strict=True)))
