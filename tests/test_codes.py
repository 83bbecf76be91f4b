"""An MFA code that somebody typed: it reaches the one mint of a chain that needs it, and a slip costs nothing."""

import asyncio
from typing import Any

import pytest

from broker.codes import needs_code, start_with_code
from broker.errors import BrokerError, Denied, IdentityMissing
from broker.plan import Rendered
from broker.secret import Secret
from tests.leaping import FakeClock, leap
from tests.made import a_book, a_caller, a_rendered, a_role, a_session
from tests.upstream import Running, landed

CODE = Secret("123456")
DEVICE = "arn:aws:iam::123456789012:mfa/alice"


def chain(base: dict[str, Any], role: dict[str, Any]) -> Rendered:
    """A role chained from a session, each with what a test says."""
    book = a_book(a_session("base", **base), a_role(base="base", **role))
    return book.rendered("train", a_caller().matches[0])


def coded(play: Running) -> list[tuple[str, bool]]:
    """What was asked for, and whether with the code."""
    return [(one.label, one.given.mfa_code == CODE) for one in play.upstream.asked]


class TestCode:
    @pytest.mark.parametrize(
        ("base", "role", "asked"),
        [
            ({"mfa_serial": DEVICE}, {}, [("base", True), ("train", False)]),
            ({}, {"mfa_serial": DEVICE}, [("base", False), ("train", True)]),
            ({}, {}, [("base", True), ("train", False)]),
            ({"mfa_serial": DEVICE}, {"mfa_serial": DEVICE}, [("base", True), ("train", False)]),
        ],
        ids=["the base's", "the role's", "a profile's", "the first one's"],
    )
    def test_it_goes_to_the_mint_that_needs_it_and_to_no_other(
        self, base: dict[str, Any], role: dict[str, Any], asked: list[tuple[str, bool]]
    ):
        """A code is good once: spent on the wrong call it is gone."""

        async def main(clock: FakeClock) -> list[tuple[str, bool]]:
            async with Running(clock) as play:
                await landed(start_with_code(play.rounds, play.rounds.keeper(chain(base, role)), CODE))
                return coded(play)

        assert leap(main) == asked

    def test_a_base_that_is_held_is_not_asked_for_again(self):
        """It has had its code; this one is for the role."""

        async def main(clock: FakeClock) -> list[tuple[str, bool]]:
            async with Running(clock) as play:
                rendered = chain({"mfa_serial": DEVICE}, {})
                keeper = play.rounds.keeper(rendered)
                await landed(start_with_code(play.rounds, keeper, CODE))
                await landed(start_with_code(play.rounds, keeper, CODE))
                return coded(play)[2:]

        assert leap(main) == [("train", True)]

    def test_it_still_reaches_a_mint_that_waits_for_its_slot(self):
        """The rounds had begun it without one."""

        async def main(clock: FakeClock) -> bool:
            async with Running(clock) as play:
                play.keep(*(a_rendered(a_role(f"busy{n}")) for n in range(4)))
                await asyncio.sleep(0.1)
                keeper = play.rounds.keeper(a_rendered(a_role("train")))
                play.rounds.ask(keeper)
                await landed(start_with_code(play.rounds, keeper, CODE))
                return play.upstream.asked[-1].given.mfa_code == CODE

        assert leap(main)

    def test_it_still_helps_a_mint_that_is_in_the_air_without_it(self):
        """That one fails for want of it; whoever typed it need not type another."""

        async def main(clock: FakeClock) -> tuple[list[tuple[str, bool]], BrokerError | None]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered(a_role("train")))
                play.upstream.trouble = lambda _: None if coded(play)[-1][1] else IdentityMissing("a code, please")
                play.rounds.ask(keeper)
                await asyncio.sleep(0.1)
                error = await landed(start_with_code(play.rounds, keeper, CODE))
                return coded(play), error

        assert leap(main) == ([("train", False), ("train", True)], None)

    def test_one_that_comes_too_late_to_be_needed_is_not_spent(self):
        """The mint in the air did without."""

        async def main(clock: FakeClock) -> list[tuple[str, bool]]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered(a_role("train")))
                play.rounds.ask(keeper)
                await asyncio.sleep(0.1)
                await landed(start_with_code(play.rounds, keeper, CODE))
                return coded(play)

        assert leap(main) == [("train", False)]

    @pytest.mark.parametrize(
        ("base", "role", "cold", "warm"),
        [({"mfa_serial": DEVICE}, {}, True, False), ({}, {"mfa_serial": DEVICE}, True, True), ({}, {}, False, False)],
        ids=["the base's", "the role's", "nobody's"],
    )
    def test_whether_one_is_needed_depends_on_what_is_held(
        self, base: dict[str, Any], role: dict[str, Any], cold: bool, warm: bool
    ):
        """A base that is held has had its own."""

        async def main(clock: FakeClock) -> tuple[bool, bool]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(chain(base, role))
                before = needs_code(play.rounds, keeper)
                await landed(start_with_code(play.rounds, keeper, CODE))
                return before, needs_code(play.rounds, keeper)

        assert leap(main) == (cold, warm)

    def test_a_slip_evicts_nothing(self):
        """Two wrong codes are no two final denials: the held lease is served on."""

        async def main(clock: FakeClock) -> tuple[BrokerError | None, bool]:
            async with Running(clock) as play:
                keeper = play.rounds.keeper(a_rendered(a_role("train")))
                await landed(start_with_code(play.rounds, keeper, CODE))
                play.upstream.trouble = lambda _: Denied("wrong code", code="AccessDenied")
                await landed(start_with_code(play.rounds, keeper, CODE))
                error = await landed(start_with_code(play.rounds, keeper, CODE))
                return error, keeper.held(clock.now()) is not None

        error, held = leap(main)

        assert error is not None
        assert (error.code, error.transient, error.exit_status) == ("MfaRefused", True, 4)
        assert held
