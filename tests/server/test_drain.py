"""The end of a plane: who is closed when, on a clock that leaps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.server.drain import GRACE, drain
from tests.leaping import FakeClock, leap

T = TypeVar("T")


class Somebody:
    """A connection that says how it stands."""

    def __init__(self, plane: "Leaving", *, busy: bool = False, asking: bool = False) -> None:
        self.busy, self.asking = busy, busy or asking
        self.closed_at: float | None = None
        self._plane = plane
        plane.all.add(self)

    def close(self) -> None:
        """It is gone, as the plane hears."""
        self.closed_at = self._plane.clock.monotonic()
        self._plane.all.discard(self)
        if not self._plane.all:
            self._plane.empty.set()


class Leaving:
    """A plane at its end."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.all: set[Somebody] = set()
        self.empty = asyncio.Event()

    async def drained(self) -> float:
        """When it was over."""
        await drain(self.all, self.empty)
        return self.clock.monotonic()


def left(main: Callable[[Leaving], Awaitable[T]]) -> T:
    """Run it on the clock that leaps."""

    async def run(clock: FakeClock) -> T:
        return await main(Leaving(clock))

    return leap(run)


class TestDrain:
    def test_nobody_is_waited_for_where_nobody_asks(self):
        """A kept connection that is quiet is closed at once: its client opens another."""

        async def main(plane: Leaving) -> tuple[float | None, float]:
            quiet = Somebody(plane)
            return quiet.closed_at, await plane.drained()

        assert left(main) == (None, 0.0)

    def test_who_has_just_come_has_a_moment_to_ask(self):
        """A first request that is on its way must not be cut off."""

        async def main(plane: Leaving) -> tuple[float | None, float]:
            new = Somebody(plane, asking=True)
            over = await plane.drained()
            return new.closed_at, over

        assert left(main) == (GRACE, GRACE)

    def test_who_asks_within_it_is_answered(self):
        """However long that takes: the daemon has the patience, not the plane."""

        async def main(plane: Leaving) -> tuple[float | None, float]:
            new = Somebody(plane, asking=True)
            loop = asyncio.get_running_loop()
            loop.call_later(GRACE / 2, setattr, new, "busy", True)
            loop.call_later(3.0, new.close)
            return new.closed_at, await plane.drained()

        assert left(main) == (None, 3.0)

    def test_who_was_accepted_in_the_very_moment_is_one_of_them(self):
        """The loop tells of him only in its next turn."""

        async def main(plane: Leaving) -> float:
            asyncio.get_running_loop().call_soon(lambda: Somebody(plane, busy=True))
            asyncio.get_running_loop().call_later(1.0, lambda: next(iter(plane.all)).close())
            return await plane.drained()

        assert left(main) == 1.0
