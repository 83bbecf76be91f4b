"""What the clerk does: hands out a lease, has it minted anew, has the configuration read; for those who may."""

import asyncio
import contextlib
import json

import pytest

from broker.config.shape import CallerEntry, Rule
from broker.errors import BrokerError, Denied, IdentityMissing, NotReady, Refused, Unreachable
from broker.events import Limited, RefreshAsked
from broker.model import Want
from broker.rounds import Flight
from broker.secret import Secret
from broker.server.limiter import REFRESHES
from tests.made import a_config, a_role, a_session, an_hmac
from tests.server.office import ACCOUNTS, CAROL, DAEMON, DAVE, ERIN, Office, an_office_plan, in_office
from tests.server.plane import ALICE, BOB, STRANGER


async def landed(*flights: Flight) -> list[BrokerError | None]:
    """How they ended."""
    while not all(flight.landed for flight in flights):  # noqa: ASYNC110 - several, of which any may be last
        await asyncio.sleep(0)
    return [flight.error for flight in flights]


class TestLease:
    def test_a_held_one_is_given_as_environment_variables(self):
        """As `/env/NAME` gives it."""

        async def main(office: Office) -> bytes | Flight:
            await office.mint("train")
            return office.clerk.lease(ACCOUNTS[ALICE], Want(None, "train"))

        body = in_office(main)

        assert isinstance(body, bytes)
        assert json.loads(body)["AWS_ACCESS_KEY_ID"] == "ASIAtrain-1"

    def test_a_cold_one_is_a_flight_that_brings_it(self):
        """Whoever asks decides how long he waits."""

        async def main(office: Office) -> tuple[list[BrokerError | None], type]:
            flight = office.clerk.lease(ACCOUNTS[ALICE], Want(None, "train"))
            assert isinstance(flight, Flight)
            outcome = await landed(flight)
            return outcome, type(office.clerk.lease(ACCOUNTS[ALICE], Want(None, "train")))

        assert in_office(main) == ([None], bytes)

    @pytest.mark.parametrize(
        ("uid", "name", "code"),
        [
            (ALICE, "nosuch", "AccessDenied"),
            (BOB, "train", "AccessDenied"),
            (CAROL, "train", "UnknownCaller"),
            (DAEMON, "train", "UnknownCaller"),
        ],
    )
    def test_grants_bind_operators_too(self, uid: int, name: str, code: str):
        """Who may see everything is not thereby handed everything."""

        async def main(office: Office) -> None:
            with pytest.raises(Refused) as refused:
                office.clerk.lease(ACCOUNTS[uid], Want(None, name))
            assert (refused.value.code, refused.value.status) == (code, 403)

        in_office(main)

    def test_while_it_cannot_be_minted_the_reason_is_told(self):
        """With the seconds until it is worth asking again."""

        async def main(office: Office) -> NotReady:
            office.work.upstream.trouble = Unreachable("upstream is down")
            flight = office.clerk.lease(ACCOUNTS[ALICE], Want(None, "train"))
            assert isinstance(flight, Flight)
            await landed(flight)
            with pytest.raises(NotReady) as refused:
                office.clerk.lease(ACCOUNTS[ALICE], Want(None, "train"))
            return refused.value

        error = in_office(main)

        assert (error.code, error.advice) == ("Unreachable", "upstream is down")
        assert error.retry_after is not None


class TestRefresh:
    @pytest.mark.parametrize("uid", [ALICE, CAROL, ERIN, DAVE])
    def test_who_sees_a_lease_may_have_it_minted_anew(self, uid: int):
        """Now, due or not; the old one serves meanwhile."""

        async def main(office: Office) -> tuple[list[BrokerError | None], int, list[str]]:
            await office.mint("train")
            office.clock.pass_time(10.0)
            flights = office.clerk.refresh(ACCOUNTS[uid], "train", None)
            outcome = await landed(*flights)
            return (
                outcome,
                office.clerk.rows(ACCOUNTS[ALICE], [flights[0].keeper])[0].serial,
                office.work.upstream.asked,
            )

        assert in_office(main) == ([None], 2, ["train", "train"])

    def test_who_is_granted_it_may_have_it_minted_for_the_first_time(self):
        """His own rendering of it, if it renders for users."""

        async def main(office: Office) -> list[str]:
            (flight,) = office.clerk.refresh(ACCOUNTS[ALICE], "mine", None)
            await landed(flight)
            return [getattr(flight.keeper.rendered.spec, "session_name", "")]

        assert in_office(main) == ["alice"]

    def test_another_user_s_is_not_for_him_to_mint(self):
        """His own is, once he asks; an operator has every user's minted anew."""

        async def main(office: Office) -> list[list[str | None]]:
            office.clerk.lease(ACCOUNTS[ALICE], Want(None, "mine"))
            with pytest.raises(Refused):
                office.clerk.refresh(ACCOUNTS[CAROL], "mine", None)
            his = office.clerk.refresh(ACCOUNTS[BOB], "mine", None)
            both = office.clerk.refresh(ACCOUNTS[DAVE], "mine", None)
            return [[flight.keeper.rendered.facts.user for flight in found] for found in (his, both)]

        also = CallerEntry(name="also", rules=(Rule(group="vision"),), grants=("mine",))
        assert in_office(main, an_office_plan(also)) == [["bob"], ["alice", "bob"]]

    def test_what_jobs_have_is_not_minted_anew(self):
        """They would not read it; and whoever repeats that would use up all that upstream allows."""
        config = a_config(an_hmac(), CallerEntry(name="trainer", rules=(Rule(uid=ALICE),), grants=("hmac",)))

        async def main(office: Office) -> list[str]:
            flight = office.clerk.lease(ACCOUNTS[ALICE], Want(None, "hmac"))
            assert isinstance(flight, Flight)
            assert await landed(flight) == [None]
            with pytest.raises(Refused, match="start the job anew"):
                office.clerk.refresh(ACCOUNTS[ALICE], "hmac", None)
            return office.work.upstream.asked

        assert in_office(main, config) == ["hmac"]

    @pytest.mark.parametrize(("uid", "name"), [(STRANGER, "data"), (BOB, "train"), (DAVE, "nosuch")])
    def test_others_are_told_that_there_is_none(self, uid: int, name: str):
        """Nothing is minted for them."""

        async def main(office: Office) -> list[str]:
            await office.mint("train", "data")
            with pytest.raises(Refused, match="no lease of that name that you may see") as refused:
                office.clerk.refresh(ACCOUNTS[uid], name, None)
            assert (refused.value.status, refused.value.reason, refused.value.exit_status) == (403, "not-granted", 4)
            return office.work.upstream.asked

        assert in_office(main) == ["train", "data"]

    def test_it_may_be_had_as_a_caller_whose_tokens_one_may_have(self):
        """`exec --as`: an issuer is no caller himself, and gets what the worker will."""

        async def main(office: Office) -> list[str]:
            flights = office.clerk.refresh(ACCOUNTS[CAROL], "train", None, ("trainer", "guest", "nosuch"))
            await landed(*flights)
            with pytest.raises(Refused):
                office.clerk.refresh(ACCOUNTS[BOB], "train", None, ("trainer",))
            return [flight.keeper.rendered.facts.caller for flight in flights]

        assert in_office(main) == ["trainer"]

    def test_a_code_goes_to_the_first_lease_that_is_not_held(self):
        """It is good for one mint."""

        async def main(office: Office) -> tuple[list[str], bool]:
            await office.mint("train")
            for uid in (ALICE, CAROL):
                office.clerk.refresh(ACCOUNTS[uid], "mine", None, ("trainer",))
            office.work.upstream.trouble = Denied("the code is wrong", code="AccessDenied")
            flights = office.clerk.refresh(ACCOUNTS[CAROL], "mine", Secret("123456"))
            (error,) = await landed(*flights)
            assert error is not None
            return [error.code], error.transient

        assert in_office(main) == (["MfaRefused"], True)

    def test_without_the_code_that_it_needs_nothing_is_asked_of_upstream(self):
        """The command asks its user and comes again, with the code; which the first mint of the chain is given."""
        config = a_config(
            a_session("base", mfa_serial="arn:aws:iam::123456789012:mfa/alice"),
            a_role("train", base="base"),
            CallerEntry(name="trainer", rules=(Rule(uid=ALICE),), grants=("train",)),
        )

        async def main(office: Office) -> tuple[str, list[str], list[BrokerError | None], list[str]]:
            with pytest.raises(IdentityMissing) as refused:
                office.clerk.refresh(ACCOUNTS[ALICE], "train", None)
            before = list(office.work.upstream.asked)
            outcome = await landed(*office.clerk.refresh(ACCOUNTS[ALICE], "train", Secret("123456")))
            return refused.value.code, before, outcome, office.work.upstream.asked

        assert in_office(main, config) == ("MfaRequired", [], [None], ["base", "train"])


class TestRefreshes:
    def test_it_is_written_down(self):
        """Who, what, and for which callers: upstream is asked for it before its time."""

        async def main(office: Office) -> list[RefreshAsked]:
            await landed(*office.clerk.refresh(ACCOUNTS[ALICE], "train", None))
            await landed(*office.clerk.refresh(ACCOUNTS[BOB], "each", None))
            await landed(*office.clerk.refresh(ACCOUNTS[ALICE], "each", None))
            await landed(*office.clerk.refresh(ACCOUNTS[DAVE], "each", None))
            return office.work.noted(RefreshAsked)

        both = CallerEntry(name="both", rules=(Rule(group="vision"), Rule(uid=ALICE)), grants=("each",))

        assert in_office(main, an_office_plan(both, a_role("each", session_name="{uid}"))) == [
            RefreshAsked("train", ("trainer",), 1, ALICE),
            RefreshAsked("each", ("both",), 1, BOB),
            RefreshAsked("each", ("both",), 1, ALICE),
            RefreshAsked("each", ("both",), 2, DAVE),
        ]

    @pytest.mark.parametrize(
        ("uid", "asked"), [(ALICE, REFRESHES), (CAROL, REFRESHES), (DAVE, REFRESHES + 5), (DAEMON, REFRESHES + 5)]
    )
    def test_a_user_has_few_and_an_operator_as_many_as_he_likes(self, uid: int, asked: int):
        """What is refused is neither asked of upstream nor written down as if it were."""

        async def main(office: Office) -> tuple[int, int]:
            await office.mint("train")
            for _ in range(REFRESHES + 5):
                with contextlib.suppress(Refused):
                    await landed(*office.clerk.refresh(ACCOUNTS[uid], "train", None))
            return len(office.work.upstream.asked) - 1, len(office.work.noted(RefreshAsked))

        assert in_office(main) == (asked, asked)

    def test_who_is_refused_is_told_of_like_of_every_limit(self):
        """In the audit, once a window."""

        async def main(office: Office) -> list[Limited]:
            await office.mint("train")
            for _ in range(REFRESHES):
                office.clerk.refresh(ACCOUNTS[ALICE], "train", None)
            for _ in range(3):
                with pytest.raises(Refused, match="the next time in"):
                    office.clerk.refresh(ACCOUNTS[ALICE], "train", None)
            office.clock.pass_time(60.0)
            office.clerk.tick()
            return office.work.noted(Limited)

        assert in_office(main) == [Limited("refreshes", 3, ALICE)]

    def test_what_is_not_his_costs_him_nothing(self):
        """Nor does being asked for a code: nothing is minted by it."""
        config = a_config(
            a_role("train", mfa_serial="arn:aws:iam::123456789012:mfa/alice"),
            CallerEntry(name="trainer", rules=(Rule(uid=ALICE),), grants=("train",)),
        )

        async def main(office: Office) -> list[str]:
            for _ in range(2 * REFRESHES):
                with pytest.raises(Refused, match="no lease"):
                    office.clerk.refresh(ACCOUNTS[ALICE], "nosuch", None)
                with pytest.raises(IdentityMissing):
                    office.clerk.refresh(ACCOUNTS[ALICE], "train", None)
            await landed(*office.clerk.refresh(ACCOUNTS[ALICE], "train", Secret("123456")))
            return office.work.upstream.asked

        assert in_office(main, config) == ["train"]


class TestReload:
    @pytest.mark.parametrize("uid", [DAVE, DAEMON])
    def test_an_operator_is_given_the_new_generation(self, uid: int):
        """What reading it again gives."""

        async def main(office: Office) -> str:
            return await office.clerk.reload(ACCOUNTS[uid])

        assert in_office(main) == "2" * 64

    @pytest.mark.parametrize("uid", [ALICE, CAROL, STRANGER])
    def test_nobody_else_has_it_read(self, uid: int):
        """Not even to see its mistakes."""

        async def main(office: Office) -> None:
            with pytest.raises(Refused, match="only operators"):
                await office.clerk.reload(ACCOUNTS[uid])
            assert office.reload.read == 0

        in_office(main)
