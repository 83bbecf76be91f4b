"""A pause, a step, a suspend: noticed by the rounds within seconds, and nothing is late or hurried because of it."""

import asyncio
from collections.abc import Callable

import pytest

from broker.events import ClockMoved, Event
from broker.rounds import LONGEST_SLEEP
from tests.leaping import START, FakeClock, leap
from tests.made import a_book, a_caller, a_rendered, a_role, a_session
from tests.upstream import Running, landed


class TestClocks:
    def test_a_pause_that_no_boot_clock_counts_is_noticed_within_seconds(self):
        """A hypervisor's: the wall clock alone tells of it. What would be due by then is refreshed."""

        async def main(clock: FakeClock) -> tuple[int, float]:
            async with Running(clock, None) as play:
                (keeper,) = play.keep(a_rendered())
                await asyncio.sleep(100)
                clock.step(2000)
                await asyncio.sleep(LONGEST_SLEEP + 5 + 1)
                assert keeper.lease is not None
                return len(play.upstream.asked), keeper.lease.began - START

        asked, began = leap(main)

        assert asked == 2
        assert 100 < began <= 120

    def test_a_step_that_leaves_it_young_costs_nothing(self):
        """Ten minutes are what a refresh comes sooner by."""

        async def main(clock: FakeClock) -> list[float]:
            async with Running(clock) as play:
                play.keep(a_rendered())
                await asyncio.sleep(100)
                clock.step(600)
                await asyncio.sleep(1800)
                return [round(one.at - START) for one in play.upstream.asked]

        assert leap(main) == [0, 1090]

    def test_a_step_back_makes_nothing_late(self):
        """Nor early: the boot clock has counted on."""

        async def main(clock: FakeClock) -> list[float]:
            async with Running(clock) as play:
                play.keep(a_rendered())
                await asyncio.sleep(100)
                clock.step(-3600)
                await asyncio.sleep(1800)
                return [round(one.at - START) for one in play.upstream.asked]

        assert leap(main) == [0, 1690]

    def test_nothing_that_nobody_asked_for_is_minted_by_a_step(self):
        """A keeper that `status` has looked at is cold and stays so."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.rounds.keeper(a_rendered())
                clock.step(7200)
                await asyncio.sleep(60)
                return len(play.upstream.asked)

        assert leap(main) == 0

    def test_what_chains_from_a_doubted_base_waits_for_another(self):
        """Nobody knows whether the base still lives."""

        async def main(clock: FakeClock) -> list[str]:
            async with Running(clock) as play:
                book = a_book(a_session("base"), a_role(base="base"))
                rendered = book.rendered("train", a_caller().matches[0])
                play.keep(*book.warm())
                await asyncio.sleep(1)
                clock.step(7200)
                await landed(play.rounds.start(play.rounds.keeper(rendered)))
                return play.upstream.labels

        assert leap(main) == ["base", "train", "base", "train"]


class TestTold:
    @pytest.mark.parametrize(
        ("move", "asleep", "ahead"),
        [
            (lambda clock: clock.step(3600), 0, 3600),
            (lambda clock: clock.step(-3600), 0, -3600),
            (lambda clock: clock.suspend(7200), 7200, 0),
        ],
        ids=["set forward", "set back", "a night's sleep"],
    )
    def test_a_move_of_the_clocks_is_told_once(self, move: Callable[[FakeClock], None], asleep: float, ahead: float):
        """It is not told again while the clocks stay where they were put."""

        async def main(clock: FakeClock) -> list[Event]:
            async with Running(clock) as play:
                play.keep(a_rendered())
                await asyncio.sleep(100)
                move(clock)
                await asyncio.sleep(600)
                return play.noted(ClockMoved)

        (told,) = leap(main)

        assert isinstance(told, ClockMoved)
        assert (round(told.asleep), round(told.ahead)) == (asleep, ahead)

    def test_each_move_is_told(self):
        """Somebody sets it, and sets it back."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                for seconds in (0, 3600, -3600):
                    clock.step(seconds)
                    await asyncio.sleep(60)
                return len(play.noted(ClockMoved))

        assert leap(main) == 2

    def test_time_that_goes_by_is_not(self):
        """Nor a loop that is held up."""

        async def main(clock: FakeClock) -> list[Event]:
            async with Running(clock) as play:
                play.keep(a_rendered())
                for _ in range(20):
                    clock.pass_time(30)
                    await asyncio.sleep(60)
                return play.noted(ClockMoved)

        assert leap(main) == []
