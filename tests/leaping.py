"""An event loop that leaps to its next timer instead of waiting: a day passes in a blink, and a deadlock is an error.

No sockets, no threads and no real time: whoever needs those uses a real loop.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_000_000.0  # the boot clock at the start of every leap
EPOCH = 1_800_000_000.0  # and the wall clock
MOST_TURNS = 10_000  # of the loop without any time passing: more is a busy loop
MOST_LOOKS = 1_000_000  # at the clock, likewise: one that never lets the loop turn


class Deadlock(AssertionError):
    """Everybody waits, and no timer will ever wake anybody."""


class BusyLoop(AssertionError):
    """The loop turns and turns while no time passes."""


class FakeClock:
    """Both clocks, moved by the loop's timers and by what a test does to them. Satisfies `rounds.Clock`."""

    def __init__(self) -> None:
        self.turns = 0  # of the loop, so far
        self._looks = 0
        self._timers = 0.0  # what the loop has leapt over: CLOCK_MONOTONIC
        self._slept = 0.0
        self._stepped = 0.0

    def now(self) -> float:
        """Seconds since boot, suspends included."""
        self._looks += 1
        if self._looks > MOST_LOOKS:
            raise BusyLoop(f"{MOST_LOOKS} looks at the clock and no time has passed")
        return START + self._timers + self._slept

    def wall(self) -> float:
        """Seconds since the epoch."""
        return EPOCH + self._timers + self._slept + self._stepped

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: both clocks go on, the loop's timers do not."""
        self._slept += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._stepped += seconds

    def pass_time(self, seconds: float) -> None:
        """Time goes by; for tests without a loop, and for a loop that is stalled."""
        self._timers += seconds
        self._looks = 0

    def monotonic(self) -> float:
        """What the loop counts its timers on."""
        return self._timers


class _LeapingSelector(selectors.DefaultSelector):
    """Where a real one would wait, it moves the clock."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self._still = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._clock.turns += 1
        ready = super().select(0)
        if ready or timeout == 0:
            self._still += 1
        elif timeout is None:
            raise Deadlock("nothing is under way and nobody set a timer")
        else:
            self._still = 0
            self._clock.pass_time(timeout)
        if self._still > MOST_TURNS:
            raise BusyLoop(f"{MOST_TURNS} turns of the loop and no time has passed")
        return ready


class LeapingLoop(asyncio.SelectorEventLoop):
    """The loop itself; `mishaps` are errors that nobody took."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(_LeapingSelector(clock))
        self._clock = clock
        self.mishaps: list[Mapping[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.mishaps.append(context))

    def time(self) -> float:
        return self._clock.monotonic()


def leap(main: Callable[[FakeClock], Awaitable[T]], clock: FakeClock | None = None) -> T:
    """Run `main(clock)` to its end. Fails on a deadlock, a busy loop, a task left over, or an error nobody took."""
    clock = clock or FakeClock()
    loop = LeapingLoop(clock)

    async def run() -> T:
        result = await main(clock)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks are left over: {left}"
        return result

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(run())
    assert not loop.mishaps, f"errors that nobody took: {loop.mishaps}"
    return result
