"""The leaping loop itself: what it finds, it must really find."""

import asyncio

import pytest

from tests.leaping import START, BusyLoop, Deadlock, FakeClock, leap


class TestLeap:
    def test_a_day_passes_at_once(self):
        """By both clocks, exactly."""

        async def main(clock: FakeClock) -> tuple[float, float]:
            now, wall = clock.now(), clock.wall()
            await asyncio.sleep(86_400)
            return clock.now() - now, clock.wall() - wall

        assert leap(main) == (86_400, 86_400)

    def test_a_suspend_stops_timers_only(self):
        """As CLOCK_MONOTONIC does, which loops count on."""

        async def main(clock: FakeClock) -> float:
            began = clock.now()
            clock.suspend(3600)
            await asyncio.sleep(1)
            return clock.now() - began

        assert leap(main) == 3601

    def test_a_step_moves_the_wall_clock_only(self):
        """The boot clock never steps."""

        async def main(clock: FakeClock) -> tuple[float, float]:
            now, wall = clock.now(), clock.wall()
            clock.step(-600)
            return clock.now() - now, clock.wall() - wall

        assert leap(main) == (0, -600)

    def test_a_deadlock_is_an_error(self):
        """A real loop would hang for ever."""

        async def main(_: FakeClock) -> None:
            await asyncio.Event().wait()

        with pytest.raises(Deadlock):
            leap(main)

    def test_a_busy_loop_is_an_error(self):
        """It would burn a core, and a leaping loop would never leap."""

        def again() -> None:
            asyncio.get_running_loop().call_soon(again)

        async def main(_: FakeClock) -> None:
            again()
            await asyncio.sleep(1)

        with pytest.raises(BusyLoop):
            leap(main)

    def test_a_loop_that_never_yields_is_an_error(self):
        """It would hang the tests."""

        async def main(clock: FakeClock) -> None:
            while clock.now() < 2 * START:
                pass

        with pytest.raises(BusyLoop):
            leap(main)

    def test_a_task_left_over_is_an_error(self):
        """Somebody forgot to end it."""

        async def main(_: FakeClock) -> None:
            loop = asyncio.get_running_loop()
            loop.left = loop.create_task(asyncio.sleep(60))  # type: ignore[attr-defined]  # kept from being collected

        with pytest.raises(AssertionError, match="left over"):
            leap(main)

    def test_an_error_in_a_callback_is_an_error(self):
        """A real loop logs it and goes on."""

        async def main(_: FakeClock) -> None:
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            await asyncio.sleep(1)

        with pytest.raises(AssertionError, match="division"):
            leap(main)
