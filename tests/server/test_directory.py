"""Which caller a uid is: asked in a thread, waited for by none that need not, and the last good answer kept."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from broker.callers.accounts import FRESH, KEPT, RETRY, Account
from broker.config.shape import CallerEntry, Rule
from broker.model import Caller
from broker.server import directory
from broker.server.directory import PATIENCE, Directory, LookUp
from tests.leaping import FakeClock
from tests.server.plane import ALICE, BOB, STRANGER, Names, until

T = TypeVar("T")

TRAINER = CallerEntry(name="trainer", rules=(Rule(uid=ALICE),))
GUEST = CallerEntry(name="guest", rules=(Rule(group="vision"),))


class Asking:
    """A directory over a scripted name service and a clock that a test sets."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.names = Names()
        self.callers: tuple[CallerEntry, ...] = (TRAINER, GUEST)
        self.directory = Directory(lambda: self.callers, self.clock.now, self.names.look_up)

    def found(self, uid: int) -> Caller | LookUp | None:
        """What the directory says now."""
        return self.directory.caller(uid, self.clock.now())

    async def name(self, uid: int) -> str | None:
        """The caller's name once it is known."""
        while isinstance(found := self.found(uid), LookUp):
            await until(lambda found=found: found.landed)  # type: ignore[misc]
        return found.name if found else None

    async def again(self, uid: int, after: float) -> str | None:
        """What is said at once after so many seconds; then the answer that this has asked for has come."""
        self.clock.pass_time(after)
        found = self.found(uid)
        assert not isinstance(found, LookUp)
        await until(lambda: not self.directory._under_way)
        return found.name if found else None


def asking(main: Callable[[Asking], Awaitable[T]]) -> T:
    """Run `main` with a directory of its own."""

    async def run() -> T:
        play = Asking()
        try:
            async with asyncio.timeout(10):
                return await main(play)
        finally:
            play.names.answering.set()
            play.directory.close()

    return asyncio.run(run())


class TestCaller:
    def test_the_first_question_is_waited_for_and_the_next_is_not(self):
        """One look-up, shared by all who ask meanwhile; then memory answers."""

        async def main(play: Asking) -> tuple[bool, str | None, list[int]]:
            first, second = play.found(ALICE), play.found(ALICE)
            name = await play.name(ALICE)
            assert isinstance(play.found(ALICE), Caller)
            return first is second and isinstance(first, LookUp), name, play.names.asked

        assert asking(main) == (True, "trainer", [ALICE])

    def test_a_group_makes_a_caller_too(self):
        """By NSS membership, with what templates may say of it."""

        async def main(play: Asking) -> Caller | LookUp | None:
            await play.name(BOB)
            return play.found(BOB)

        found = asking(main)

        assert isinstance(found, Caller)
        assert (found.name, found.uid, found.matches[0].user, found.matches[0].group) == ("guest", BOB, "bob", "vision")

    def test_who_matches_nothing_is_nobody(self):
        """And is not asked about again and again."""

        async def main(play: Asking) -> tuple[list[str | None], list[int]]:
            return [await play.name(STRANGER) for _ in range(3)], play.names.asked

        assert asking(main) == ([None, None, None], [STRANGER])

    def test_another_configuration_matches_anew_without_asking(self):
        """A reload changes callers, not users."""

        async def main(play: Asking) -> tuple[list[str | None], list[int]]:
            names = [await play.name(ALICE)]
            play.callers = (CallerEntry(name="renamed", rules=(Rule(uid=ALICE),)),)
            play.directory.forget_callers()
            names.append(await play.name(ALICE))
            return names, play.names.asked

        assert asking(main) == (["trainer", "renamed"], [ALICE])

    def test_more_uids_than_are_remembered_begin_anew(self, monkeypatch: pytest.MonkeyPatch):
        """Memory is bounded, and nobody is taken for somebody else."""
        monkeypatch.setattr("broker.server.directory.MOST_KNOWN", 2)

        async def main(play: Asking) -> list[str | None]:
            return [await play.name(uid) for uid in (ALICE, BOB, STRANGER, ALICE, BOB)]

        assert asking(main) == ["trainer", "guest", None, "trainer", "guest"]


class TestFreshness:
    def test_a_stale_answer_is_renewed_behind_the_one_who_asks(self):
        """He is answered by the old one; the next by the new."""

        async def main(play: Asking) -> list[str | None]:
            names = [await play.name(BOB)]
            play.names.known[BOB] = Account(BOB, "bob")
            names.append(await play.again(BOB, FRESH - 1))
            names.append(await play.again(BOB, 2))
            names.append(await play.again(BOB, 0))
            return names

        assert asking(main) == ["guest", "guest", "guest", None]

    def test_while_the_name_service_is_down_the_last_good_answer_stands(self):
        """It is tried again from time to time, and believed when it is back."""

        async def main(play: Asking) -> tuple[list[str | None], int]:
            await play.name(BOB)
            play.names.down = True
            names = [await play.again(BOB, FRESH) for _ in range(3)]
            asked = len(play.names.asked)
            names.append(await play.again(BOB, RETRY / 2))
            assert len(play.names.asked) == asked
            play.names.down = False
            play.names.known[BOB] = Account(BOB, "bob")
            names += [await play.again(BOB, RETRY), await play.again(BOB, 0)]
            return names, asked

        assert asking(main) == (["guest", "guest", "guest", "guest", "guest", None], 4)

    def test_an_answer_without_the_name_is_taken_for_a_failure(self):
        """The C library does not tell an unknown user from a directory that does not answer."""

        async def main(play: Asking) -> list[str | None]:
            names = [await play.name(BOB)]
            del play.names.known[BOB]
            names += [await play.again(BOB, FRESH), await play.again(BOB, FRESH)]
            return names

        assert asking(main) == ["guest", "guest", "guest"]

    def test_not_for_ever(self):
        """Who was somebody a day ago may be nobody by now."""

        async def main(play: Asking) -> tuple[str | None, str | None]:
            first = await play.name(BOB)
            play.names.down = True
            play.clock.pass_time(KEPT + 1)
            return first, await play.name(BOB)

        assert asking(main) == ("guest", None)

    def test_a_uid_that_it_never_answered_for_is_known_by_its_number_alone(self):
        """A caller that names the uid needs no name service; groups have to wait for it."""

        async def main(play: Asking) -> list[str | None]:
            play.names.down = True
            names = [await play.name(ALICE), await play.name(BOB)]
            play.names.down = False
            names += [await play.again(BOB, FRESH), await play.again(BOB, 0)]
            return names

        assert asking(main) == ["trainer", None, None, "guest"]


class TestWaiting:
    def test_nobody_else_waits_for_a_slow_look_up(self):
        """The loop goes on, and so does who is known."""

        async def main(play: Asking) -> tuple[str | None, bool]:
            await play.name(ALICE)
            play.names.answering.clear()
            slow = play.found(BOB)
            assert isinstance(slow, LookUp)
            known = play.found(ALICE)
            assert isinstance(known, Caller)
            return known.name, slow.landed

        assert asking(main) == ("trainer", False)

    def test_while_the_name_service_hangs_a_number_is_known_by_its_rule_alone(self):
        """Not at once, since groups may add to it; who is known by groups alone goes on waiting."""

        async def main(play: Asking) -> tuple[list[str | None], bool]:
            play.names.answering.clear()
            found = [play.found(ALICE), play.found(BOB)]
            assert all(isinstance(one, LookUp) for one in found)
            play.clock.pass_time(PATIENCE + 0.1)
            alice, bob = play.found(ALICE), play.found(BOB)
            assert isinstance(alice, Caller)
            play.names.answering.set()
            return [alice.name, await play.name(ALICE), await play.name(BOB)], isinstance(bob, LookUp)

        assert asking(main) == (["trainer", "trainer", "guest"], True)

    def test_who_can_wait_does_not_wait_for_ever(self, monkeypatch: pytest.MonkeyPatch):
        """A command is told what its number is good for."""
        monkeypatch.setattr(directory, "PATIENCE", 0.01)

        async def main(play: Asking) -> Account:
            play.names.answering.clear()
            return await play.directory.account_soon(BOB)

        assert asking(main) == Account(BOB)

    def test_who_can_wait_is_given_the_account(self):
        """As many as wait share one look-up."""

        async def main(play: Asking) -> tuple[set[Account], list[int]]:
            found = await asyncio.gather(*(play.directory.account_soon(BOB) for _ in range(5)))
            return set(found), play.names.asked

        found, asked = asking(main)

        assert [account.user for account in found] == ["bob"]
        assert asked == [BOB]

    def test_who_stops_waiting_disturbs_nobody(self):
        """A command that is interrupted costs the next one nothing."""

        async def main(play: Asking) -> tuple[str | None, list[int]]:
            play.names.answering.clear()
            try:
                async with asyncio.timeout(0.01):
                    await play.directory.account_soon(BOB)
            except TimeoutError:
                play.names.answering.set()
            return (await play.directory.account_soon(BOB)).user, play.names.asked

        assert asking(main) == ("bob", [BOB])

    def test_closing_waits_for_no_look_up(self):
        """One that comes home later finds nobody and breaks nothing."""

        async def main(play: Asking) -> bool:
            mishaps: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
            play.names.answering.clear()
            waiting = [play.found(uid) for uid in range(70_000, 70_010)]
            play.directory.close()
            play.names.answering.set()
            await asyncio.sleep(0.02)
            return len(waiting) == 10 and not mishaps

        assert asking(main)
