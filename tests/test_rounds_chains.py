"""Bases before what chains from them: credentials that are minted from the held lease of another."""

import asyncio

import pytest

from broker.errors import BrokerError, Denied, NotReady, Unreachable
from broker.plan import Rendered
from tests.leaping import START, FakeClock, leap
from tests.made import a_book, a_caller, a_role, a_session
from tests.upstream import Running, landed, until

BOOK = a_book(a_session("base"), a_role("middle", base="base"), a_role("train", base="middle"))
FACTS = a_caller().matches[0]


def rendered(name: str = "train") -> Rendered:
    return BOOK.rendered(name, FACTS)


class TestChain:
    def test_a_base_is_minted_before_what_chains_from_it(self):
        """And its lease is what signs the next."""

        async def main(clock: FakeClock) -> list[tuple[str, str | None]]:
            async with Running(clock) as play:
                await landed(play.rounds.ask(play.rounds.keeper(rendered())))
                return [(one.label, one.base) for one in play.upstream.asked]

        assert leap(main) == [("base", None), ("middle", "ASIAbase-1"), ("train", "ASIAmiddle-2")]

    def test_all_that_chain_from_one_base_wait_for_one_mint(self):
        """A hundred roles of one session ask for it once."""
        roles = [a_role(f"role{n}", base="base") for n in range(100)]
        book = a_book(a_session("base"), *roles)

        async def main(clock: FakeClock) -> list[str]:
            async with Running(clock) as play:
                keepers = play.keep(*(book.rendered(role.name, FACTS) for role in roles))
                await until(lambda: all(keeper.held(clock.now()) for keeper in keepers))
                return play.upstream.labels

        labels = leap(main)

        assert labels[0] == "base"
        assert (labels.count("base"), len(labels)) == (1, 101)

    def test_a_refresh_is_from_the_held_base(self):
        """Each refreshes in its own time; nobody waits for a base that is good, though it is being refreshed too."""

        async def main(clock: FakeClock) -> list[tuple[str, str | None, float]]:
            async with Running(clock) as play:
                keepers = play.keep(*BOOK.warm())
                await asyncio.sleep(100)
                await asyncio.gather(*(landed(play.rounds.start(keeper)) for keeper in keepers))
                return [(one.label, one.base, one.at - START) for one in play.upstream.asked[3:]]

        assert leap(main) == [("base", None, 100), ("middle", "ASIAbase-1", 100), ("train", "ASIAmiddle-2", 100)]

    def test_slots_are_not_held_by_who_waits_for_a_base(self):
        """Ten chains of three would lock each other out of four slots for ever."""
        parts = [
            part
            for n in range(10)
            for part in (a_session(f"a{n}"), a_role(f"b{n}", base=f"a{n}"), a_role(f"c{n}", base=f"b{n}"))
        ]
        book = a_book(*parts)

        async def main(clock: FakeClock) -> float:
            async with Running(clock) as play:
                keepers = play.keep(*(book.rendered(f"c{n}", FACTS) for n in range(10)))
                await until(lambda: all(keeper.held(clock.now()) for keeper in keepers))
                return clock.now() - START

        assert leap(main) < 5


class TestFailingBase:
    def test_its_failure_is_told_to_who_waits_and_nothing_is_minted_from_it(self):
        """There is nothing to sign with."""

        async def main(clock: FakeClock) -> tuple[BrokerError | None, list[str]]:
            async with Running(clock) as play:
                play.upstream.trouble = lambda one: Unreachable("no answer") if one.label == "base" else None
                error = await landed(play.rounds.ask(play.rounds.keeper(rendered())))
                return error, play.upstream.labels

        error, labels = leap(main)

        assert isinstance(error, Unreachable)
        assert labels == ["base"]

    def test_who_asks_while_it_rests_waits_for_its_next_try(self):
        """The chained one does not hammer a base that asked for patience."""

        async def main(clock: FakeClock) -> tuple[BrokerError | None, float, list[str]]:
            async with Running(clock) as play:
                play.upstream.trouble = lambda _: Unreachable("no answer", retry_after=100.0)
                await landed(play.rounds.ask(play.rounds.keeper(rendered("base"))))
                chained = play.rounds.keeper(rendered("middle"))
                error = await landed(play.rounds.ask(chained))
                return error, chained.due - clock.now(), play.upstream.labels

        error, wait, labels = leap(main)

        assert isinstance(error, NotReady)
        assert wait >= 99
        assert labels == ["base"]

    def test_a_refresh_by_hand_is_told_at_once_too(self):
        """The one who asked adds his callback a turn of the loop later, when the flight has landed already."""

        async def main(clock: FakeClock) -> BrokerError | None:
            async with Running(clock) as play:
                play.upstream.trouble = lambda _: Denied("no")
                await landed(play.rounds.ask(play.rounds.keeper(rendered("base"))))
                flight = play.rounds.start(play.rounds.keeper(rendered("middle")))
                (error,) = await asyncio.wait_for(asyncio.gather(landed(flight)), 1)
                return error

        assert isinstance(leap(main), Denied)

    def test_a_denied_base_takes_its_chain_with_it_and_back(self):
        """Held leases are served meanwhile; once it is allowed again each link needs its 30 s at most."""

        async def main(clock: FakeClock) -> float:
            async with Running(clock) as play:
                keepers = play.keep(*BOOK.warm())
                await asyncio.sleep(2)
                play.upstream.trouble = lambda one: Denied("no") if one.label == "base" else None
                await asyncio.sleep(12_000)
                assert [keeper.held(clock.now()) for keeper in keepers] == [None] * 3
                play.upstream.trouble = lambda _: None
                back = clock.now()
                await until(lambda: all(keeper.held(clock.now()) for keeper in keepers))
                return clock.now() - back

        assert leap(main) <= 95

    @pytest.mark.parametrize("error", [Unreachable("no answer"), Denied("no")])
    def test_a_base_that_is_held_is_enough(self, error: BrokerError):
        """Its own refresh may fail for as long as it lives."""

        async def main(clock: FakeClock) -> list[str]:
            async with Running(clock) as play:
                await landed(play.rounds.ask(play.rounds.keeper(rendered("middle"))))
                play.upstream.trouble = lambda one: error if one.label == "base" else None
                await landed(play.rounds.start(play.rounds.keeper(rendered("base"))))
                await landed(play.rounds.start(play.rounds.keeper(rendered("middle"))))
                return play.upstream.labels

        assert leap(main) == ["base", "middle", "base", "middle"]
