"""What the desk does with a lease that one clock calls over, and with one that was let go."""

import asyncio

import pytest

from broker.errors import NotReady, Unreachable
from broker.model import Lease
from broker.rounds import Flight
from tests.desks import AWS, Open
from tests.leaping import FakeClock, leap
from tests.made import a_caller, a_role
from tests.upstream import landed

DAY = 86_400.0


class TestDoubted:
    def test_it_is_minted_anew_at_the_next_request(self):
        """Without waiting for the rounds to notice."""

        async def main(clock: FakeClock) -> tuple[type, int]:
            async with Open(clock, a_role()) as play:
                before = await play.lease(a_caller())
                clock.step(DAY)
                found = play.desk.lease(a_caller(), AWS, "aws")
                after = await play.lease(a_caller())
                return type(found), after.serial - before.serial

        assert leap(main) == (Flight, 1)

    def test_it_is_not_handed_out_while_upstream_is_away(self):
        """503 with the reason; set back, the clock has been wrong and the lease is good."""

        async def main(clock: FakeClock) -> int:
            async with Open(clock, a_role()) as play:
                await play.lease(a_caller())
                play.upstream.trouble = lambda _: Unreachable("no answer")
                clock.step(DAY)
                found = play.desk.lease(a_caller(), AWS, "aws")
                assert isinstance(found, Flight)
                await landed(found)
                with pytest.raises(NotReady, match="no answer"):
                    play.desk.lease(a_caller(), AWS, "aws")
                clock.step(-DAY)
                again = play.desk.lease(a_caller(), AWS, "aws")
                assert isinstance(again, Lease)
                return again.serial

        assert leap(main) == 1

    def test_a_step_within_its_life_is_nobodys_business(self):
        """It is served on while the rounds refresh it."""

        async def main(clock: FakeClock) -> bool:
            async with Open(clock, a_role()) as play:
                await play.lease(a_caller())
                clock.step(1800)
                return isinstance(play.desk.lease(a_caller(), AWS, "aws"), Lease)

        assert leap(main)


class TestLetGo:
    def test_who_comes_back_gets_another(self):
        """And that one is kept fresh again."""

        async def main(clock: FakeClock) -> tuple[int, int]:
            async with Open(clock, a_role(session_name="{user}")) as play:
                await play.lease(a_caller())
                await asyncio.sleep(DAY)
                kept = len(play.rounds.keepers)
                await play.lease(a_caller())
                await asyncio.sleep(1800)
                await play.lease(a_caller())
                return kept, len(play.rounds.keepers)

        assert leap(main) == (0, 1)

    def test_who_asks_now_and_then_keeps_it(self):
        """Each request counts."""

        async def main(clock: FakeClock) -> bool:
            async with Open(clock, a_role(session_name="{user}")) as play:
                await play.lease(a_caller())
                for _ in range(20):
                    await asyncio.sleep(7000)
                    if not isinstance(play.desk.lease(a_caller(), AWS, "aws"), Lease):
                        return False
                return True

        assert leap(main)
