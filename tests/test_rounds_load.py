"""Many keepers at once: four slots, the nearest expiry first, refreshes spread, and a loop that sleeps in between."""

import asyncio
import random
from collections import Counter

from broker.errors import Unreachable
from broker.keeper import Keeper
from broker.plan import Rendered
from broker.rounds import LONGEST_SLEEP, SLOTS
from tests.leaping import START, FakeClock, leap
from tests.made import a_book, a_rendered, a_role
from tests.upstream import Running, landed, until

DAY = 86_400.0


def roles(count: int) -> list[Rendered]:
    book = a_book(a_role("train", session_name="{user}"))
    facts = a_rendered().facts
    return [book.rendered("train", type(facts)(caller="trainer", user=f"user{n}")) for n in range(count)]


class TestSlots:
    def test_four_mints_at_once(self):
        """As many as there are minters."""

        async def main(clock: FakeClock) -> tuple[int, float]:
            async with Running(clock) as play:
                play.upstream.took = 1.0
                keepers = play.keep(*roles(40))
                await until(lambda: all(keeper.held(clock.now()) for keeper in keepers))
                return play.upstream.most, clock.now() - START

        most, took = leap(main)

        assert most == SLOTS
        assert 10 <= took <= 11

    def test_who_has_nothing_comes_first_and_then_the_nearest_expiry(self):
        """A worker waits for the cold one; the others are served meanwhile."""

        async def main(clock: FakeClock) -> list[str]:
            async with Running(clock) as play:
                names = ["hour", "day", "minutes"]
                rendered = {name: a_rendered(a_role(name)) for name in [*names, "cold", "a", "b", "c", "d"]}
                for name, lifetime in zip(names, (3600.0, DAY, 900.0), strict=True):
                    play.upstream.lifetime = lifetime
                    await landed(play.rounds.ask(play.rounds.keeper(rendered[name])))
                started = len(play.upstream.asked)
                for name in ("a", "b", "c", "d", "day", "hour", "minutes", "cold"):
                    play.rounds.start(play.rounds.keeper(rendered[name]))
                await asyncio.sleep(10)
                return play.upstream.labels[started + SLOTS :]

        assert leap(main) == ["cold", "minutes", "hour", "day"]

    def test_a_slot_is_free_again_whatever_became_of_its_mint(self):
        """Four that fail oddly must not stop the rounds."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.upstream.trouble = lambda one: ZeroDivisionError() if one.label != "good" else None
                play.keep(*(a_rendered(a_role(f"bad{n}")) for n in range(8)))
                (good,) = play.keep(a_rendered(a_role("good")))
                await asyncio.sleep(2)
                return good.lease is not None

        assert leap(main)


class TestThousands:
    def test_refreshes_of_ten_thousand_are_spread(self):
        """Minted in one go, refreshed over ten minutes: no minute has more than a tenth of them."""

        async def main(clock: FakeClock) -> tuple[Counter[int], int]:
            luck = random.Random(7)
            async with Running(clock, lambda: luck.uniform(-1, 1)) as play:
                play.upstream.took, play.upstream.lifetime = 0.0, 12_000.0
                play.keep(*roles(10_000))
                await asyncio.sleep(1)
                assert len(play.upstream.asked) == 10_000
                await asyncio.sleep(6700)
                again = play.upstream.asked[10_000:]
                return Counter(int((one.at - START) // 60) for one in again), len(again)

        minutes, count = leap(main)

        assert count == 10_000
        assert min(minutes) >= 89
        assert max(minutes) <= 110
        assert max(minutes.values()) < 10_000 / 10

    def test_an_outage_of_hundreds_ends_within_a_minute_of_its_end(self):
        """And upstream is not asked by all in the same second."""

        async def main(clock: FakeClock) -> tuple[float, int, int]:
            luck = random.Random(7)
            async with Running(clock, lambda: luck.uniform(-1, 1)) as play:
                play.upstream.took = 0.01
                play.upstream.trouble = lambda _: Unreachable("no answer")
                keepers = play.keep(*roles(300))
                await asyncio.sleep(1000)
                seconds = Counter(int(one.at) for one in play.upstream.asked[-3000:])
                play.upstream.trouble = lambda _: None
                back = clock.now()
                await until(lambda: all(keeper.held(clock.now()) for keeper in keepers))
                return clock.now() - back, max(seconds.values()), len(keepers)

        healed, most, count = leap(main)

        assert healed <= 62
        assert most < count / 5


class TestIdle:
    def test_the_loop_sleeps_when_nothing_is_due(self):
        """A handful of turns for every look at the clock: a laptop's battery counts them."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.keep(a_rendered())
                await asyncio.sleep(1)
                before = clock.turns
                await asyncio.sleep(1500)
                return clock.turns - before

        assert leap(main) <= 5 * 1500 / LONGEST_SLEEP

    def test_a_lease_in_flight_for_long_is_no_busy_loop(self):
        """Nor one that is denied, nor one whose source always answers the same."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.upstream.took = 1000.0
                play.keep(*roles(3))
                before = clock.turns
                await asyncio.sleep(900)
                return clock.turns - before

        assert leap(main) <= 6 * 900 / LONGEST_SLEEP

    def test_a_note_in_the_heap_that_is_out_of_date_is_passed_over(self):
        """A refresh by hand leaves the old one behind."""

        async def main(clock: FakeClock) -> tuple[int, Keeper]:
            async with Running(clock) as play:
                (keeper,) = play.keep(a_rendered())
                await asyncio.sleep(1000)
                await landed(play.rounds.start(keeper))
                await asyncio.sleep(1500)
                return len(play.upstream.asked), keeper

        asked, keeper = leap(main)

        assert asked == 2
        assert keeper.lease is not None
        assert keeper.lease.serial == 2
