"""Many keepers at once: four slots, the nearest expiry first, refreshes spread, and a loop that sleeps in between."""

import asyncio
import gc
import random
import weakref
from collections import Counter

import pytest

from broker.errors import Unreachable
from broker.keeper import Keeper
from broker.plan import Rendered
from broker.rounds import LONGEST_SLEEP, SLOTS
from tests.leaping import START, FakeClock, leap
from tests.made import a_book, a_rendered, a_role, a_session, an_adc, an_hmac
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
        """Minted in one go, refreshed over ten minutes: no minute has more than an eighth of them."""

        async def main(clock: FakeClock) -> tuple[Counter[int], int]:
            luck = random.Random(7)
            async with Running(clock, lambda: luck.uniform(-1, 1), rate=1e6) as play:
                play.upstream.took, play.upstream.lifetime = 0.0, 12_000.0
                play.keep(*roles(10_000))
                await asyncio.sleep(1)
                assert len(play.upstream.asked) == 10_000
                await asyncio.sleep(6700)
                again = play.upstream.asked[10_000:]
                return Counter(int((one.at - START) // 60) for one in again), len(again)

        minutes, count = leap(main)

        assert count == 10_000
        assert min(minutes) >= 90
        assert max(minutes) < 100
        assert max(minutes.values()) < 10_000 / 8

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


class TestBudget:
    def test_no_more_is_asked_of_a_family_than_its_rate_and_burst(self):
        """A thousand leases at the start of a node: 20 at once and then 10 a second, the other cloud beside them."""

        async def main(clock: FakeClock) -> tuple[Counter[int], list[float]]:
            async with Running(clock) as play:
                play.upstream.took = 0.01
                book = a_book(an_adc())
                play.keep(*roles(1000), book.rendered("data", a_rendered().facts))
                await asyncio.sleep(120)
                asked = play.upstream.asked
                times = Counter(int(one.at - START) for one in asked if one.label == "train")
                return times, [one.at - START for one in asked if one.label == "data"]

        seconds, google = leap(main)

        assert sum(seconds.values()) == 1000
        assert 20 <= seconds.pop(0) <= 30
        assert max(seconds.values()) <= 11
        assert max(seconds) <= 99
        assert google == pytest.approx([0.0], abs=0.1)

    def test_a_family_that_hangs_leaves_a_slot_to_the_others(self):
        """A silent STS must not cost anybody his Google token."""

        async def main(clock: FakeClock) -> float:
            async with Running(clock) as play:
                (data,) = play.keep(a_book(an_adc()).rendered("data", a_rendered().facts))
                await asyncio.sleep(100)
                play.upstream.took = 30.0
                play.upstream.trouble = lambda one: Unreachable("no answer") if one.label == "train" else None
                play.keep(*roles(50))
                await asyncio.sleep(10)
                play.upstream.took = 0.2
                before = clock.now()
                await landed(play.rounds.start(data))
                return clock.now() - before

        assert leap(main) == pytest.approx(0.2)


class TestLetGo:
    def test_what_nobody_asks_for_in_two_lifetimes_is_let_go(self):
        """The user has logged out; a lease that is kept for all goes on."""

        async def main(clock: FakeClock) -> tuple[int, list[bool], int]:
            async with Running(clock) as play:
                (kept,) = play.keep(a_rendered())
                mine = play.rounds.keeper(roles(1)[0])
                await landed(play.rounds.ask(mine))
                await asyncio.sleep(DAY)
                of_mine = sum(one.key == mine.rendered.key for one in play.upstream.asked)
                gone = [keeper not in play.rounds.keepers for keeper in (mine, kept)]
                before = len(play.upstream.asked)
                await landed(play.rounds.ask(play.rounds.keeper(mine.rendered)))
                return of_mine, gone, len(play.upstream.asked) - before

        assert leap(main) == (5, [True, False], 1)

    def test_of_what_was_let_go_long_before_its_time_nothing_is_kept(self):
        """Jobs come and go all day, each with a key that would have been good for a week."""

        async def main(clock: FakeClock) -> int:
            async with Running(clock) as play:
                play.upstream.lifetime = 7 * DAY
                gone = []
                for number in range(1000):
                    keeper = play.rounds.keeper(a_rendered(an_hmac(), job=str(number)))
                    await landed(play.rounds.ask(keeper))
                    play.rounds.release(str(number))
                    gone.append(weakref.ref(keeper))
                    del keeper
                await asyncio.sleep(1)
                gc.collect()
                return sum(one() is not None for one in gone)

        assert leap(main) < 100

    def test_what_is_asked_for_is_not(self):
        """Once in two lifetimes is enough."""

        async def main(clock: FakeClock) -> bool:
            async with Running(clock) as play:
                mine = play.rounds.keeper(roles(1)[0])
                await landed(play.rounds.ask(mine))
                for _ in range(10):
                    await asyncio.sleep(7000)
                    mine.asked = clock.now()
                return mine in play.rounds.keepers

        assert leap(main)

    def test_a_base_lives_by_what_chains_from_it(self):
        """Nobody asks for it, and it is needed all day."""

        async def main(clock: FakeClock) -> list[str]:
            async with Running(clock) as play:
                book = a_book(a_session("base", warm="first-use"), a_role("train", base="base"))
                train = play.rounds.keeper(book.rendered("train", a_rendered().facts))
                train.kept = True
                await landed(play.rounds.ask(train))
                await asyncio.sleep(DAY)
                return sorted(keeper.rendered.label for keeper in play.rounds.keepers)

        assert leap(main) == ["base", "train"]


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
