"""Leases of a process before us, in the rounds: served at once, refreshed in their turn."""

import asyncio

from broker.events import Event
from broker.model import Lease
from tests.leaping import START, FakeClock, leap
from tests.made import a_lease, a_minted, a_rendered, keys
from tests.upstream import Running


class TestTakeOver:
    def test_it_is_held_at_once_and_refreshed_half_way(self):
        """Upstream is not asked before, although the lease is warm from the start."""

        async def main(clock: FakeClock) -> tuple[Lease | None, list[float]]:
            async with Running(clock) as play:
                rendered = a_rendered()
                assert play.rounds.take_over(rendered, a_lease())
                held = play.rounds.keeper(rendered).held(clock.now())
                play.rounds.warm([rendered])
                await asyncio.sleep(2400)
                return held, [asked.at - START for asked in play.upstream.asked]

        held, asked = leap(main)

        assert held == a_lease()
        (at,) = asked
        assert 1600 < at < 2000

    def test_one_that_nobody_has_asked_for_yet_is_kept_fresh_too(self):
        """Somebody had, before the restart."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.rounds.take_over(a_rendered(), a_lease())
                await asyncio.sleep(2400)
                return len(play.upstream.asked)

        assert leap(main) == 1

    def test_what_is_held_already_stays(self):
        """It is the newer one."""

        async def main(clock: FakeClock) -> tuple[bool, object, list[Event]]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered())
                keeper.begin()
                keeper.minted(a_minted(keys("2")), clock.now(), clock.now(), clock.wall())
                taken = play.rounds.take_over(keeper.rendered, a_lease())
                return taken, keeper.lease and keeper.lease.value, play.events

        assert leap(main) == (False, keys("2"), [])
