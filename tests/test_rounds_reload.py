"""A reload under way: what stays warm, what is dropped, and what is in flight meanwhile."""

import asyncio
from collections.abc import Container

from broker.errors import BrokerError
from broker.keeper import Keeper
from broker.plan import Rendered
from tests.leaping import FakeClock, leap
from tests.made import a_book, a_caller, a_rendered, a_role, a_session
from tests.upstream import Running, landed

ONE, OTHER = a_rendered(a_role("one")), a_rendered(a_role("other"))


def only(play: Running, names: Container[str]) -> None:
    """Adopt a plan that has these and nothing else."""
    play.rounds.adopt(lambda keeper: keeper.rendered if keeper.rendered.label in names else None)


class TestAdopt:
    def test_warm_leases_stay_and_the_rest_is_let_go(self):
        """Nothing is minted anew because a file was edited."""

        async def main(clock: FakeClock) -> tuple[bool, list[Keeper], list[str]]:
            async with Running(clock) as play:
                one, _ = play.keep(ONE, OTHER)
                await asyncio.sleep(1)
                lease = one.lease
                only(play, {"one"})
                play.rounds.warm([ONE])
                await asyncio.sleep(2000)
                assert play.rounds.keeper(ONE) is one
                same = lease is not None and lease.serial == 1 and one.lease is not None and one.lease.serial == 2
                return same, [keeper for keeper in play.rounds.keepers if keeper is not one], play.upstream.labels

        assert leap(main) == (True, [], ["one", "other", "one"])

    def test_the_new_plans_rendering_is_minted_from_now_on(self):
        """What the key does not say, such as whether a denial evicts, is the new plan's word."""
        kept = a_rendered(a_role("one", on_denied="keep"))

        async def main(clock: FakeClock) -> Rendered:
            async with Running(clock) as play:
                (keeper,) = play.keep(ONE)
                await asyncio.sleep(1)
                play.rounds.adopt(lambda _: kept)
                assert play.rounds.keepers == (keeper,)
                return keeper.rendered

        assert leap(main) is kept

    def test_a_rendering_of_another_key_is_another_lease(self):
        """A changed role must never be served from the old one's lease."""
        changed = a_rendered(a_role("one", external_id="new"))

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.keep(ONE)
                await asyncio.sleep(1)
                play.rounds.adopt(lambda _: changed)
                return len(play.rounds.keepers)

        assert leap(main) == 0

    def test_warming_twice_mints_once(self):
        """Each reload warms all again."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                for _ in range(5):
                    play.keep(ONE)
                    await asyncio.sleep(0.1)
                await asyncio.sleep(3000)
                return len(play.upstream.asked)

        assert leap(main) == 2


class TestInFlight:
    def test_a_flight_lands_after_its_keeper_was_dropped(self):
        """Who still waits is told; nobody refreshes it ever after."""

        async def main(clock: FakeClock) -> tuple[BrokerError | None, int]:
            async with Running(clock) as play:
                play.upstream.took = 10.0
                flight = play.rounds.ask(play.rounds.keeper(ONE))
                await asyncio.sleep(1)
                only(play, ())
                error = await landed(flight)
                await asyncio.sleep(10_000)
                assert play.rounds.keepers == ()
                return error, len(play.upstream.asked)

        assert leap(main) == (None, 1)

    def test_what_was_dropped_and_is_back_before_its_mint_came_home_is_kept_fresh(self):
        """Two edits within seconds: no second mint beside the first, and no lease forgotten."""

        async def main(clock: FakeClock) -> tuple[int, bool]:
            async with Running(clock) as play:
                play.upstream.took = 10.0
                play.keep(ONE)
                await asyncio.sleep(1)
                only(play, ())
                await asyncio.sleep(1)
                (keeper,) = play.keep(ONE)
                await landed(play.rounds.ask(keeper))
                first = keeper.held(clock.now()) is not None
                await asyncio.sleep(3000)
                assert keeper.held(clock.now()) is not None
                return len(play.upstream.asked), first

        assert leap(main) == (2, True)

    def test_a_chain_whose_base_is_dropped_in_flight_still_lands(self):
        """A flight that waits for a base is nobody's but its base's."""
        rendered = a_book(a_session("base"), a_role("one", base="base")).rendered("one", a_caller().matches[0])

        async def main(clock: FakeClock) -> tuple[BrokerError | None, list[str]]:
            async with Running(clock) as play:
                play.upstream.took = 10.0
                flight = play.rounds.ask(play.rounds.keeper(rendered))
                await asyncio.sleep(1)
                only(play, ())
                return await asyncio.wait_for(landed(flight), 60), play.upstream.labels

        error, labels = leap(main)

        assert labels[:2] == ["base", "one"]
        assert error is None


class TestClose:
    def test_it_leaves_no_task_and_starts_none(self):
        """Neither those in flight nor those in the queue behind them."""

        async def main(clock: FakeClock) -> tuple[int, int]:
            play = Running(clock)
            play.keep(*(a_rendered(a_role(f"role{n}")) for n in range(20)))
            async with play:
                await asyncio.sleep(0.1)
                before = len(play.upstream.asked)
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            await asyncio.sleep(100)
            return before, len(play.upstream.asked)

        assert leap(main) == (4, 4)

    def test_it_may_be_called_with_nothing_in_flight(self):
        """A daemon may end before it has begun."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                pass
            return len(play.upstream.asked)

        assert leap(main) == 0
