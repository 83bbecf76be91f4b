"""Which leases are whose to see: another user's, and another caller's name, are not."""

import pytest

from broker import control_api as api
from broker.config.shape import CallerEntry, Rule
from broker.model import Want
from broker.rounds import Flight
from broker.server.sight import Sight
from tests.made import SERVICE, a_role, an_hmac
from tests.server.office import ACCOUNTS, CAROL, DAEMON, DAVE, ERIN, Office, an_office_plan, in_office
from tests.server.plane import ALICE, BOB, STRANGER

VISION = Rule(group="vision")
PLAN = an_office_plan(
    a_role("each", session_name="u-{uid}"),
    a_role("team", session_name="{group}"),
    a_role("base", required=False),
    a_role("chained", base="base", session_name="{user}"),
    CallerEntry(name="all", rules=(Rule(uid=ALICE), VISION), grants=("each", "team", "chained"), issuers=("erin",)),
)


async def asked(office: Office, uid: int, *names: str) -> None:
    """That user has asked for each of these."""
    for name in names:
        flight = office.clerk.lease(ACCOUNTS[uid], Want(None, name))
        assert isinstance(flight, Flight)


def seen(office: Office, uid: int) -> list[tuple[str, str]]:
    """The credentials that he sees, and as whose."""
    sight = Sight(office.rights, office.desk, office.rounds)
    return [(keeper.rendered.label, caller) for keeper, caller in sight.of(ACCOUNTS[uid])]


class TestOf:
    def test_a_lease_of_another_user_is_not_seen(self):
        """Not by another of the same caller, nor by who issues its tokens: he would never be handed it."""

        async def main(office: Office) -> list[list[tuple[str, str]]]:
            await asked(office, ALICE, "each")
            await asked(office, BOB, "each", "chained")
            return [seen(office, uid) for uid in (ALICE, BOB, ERIN, CAROL, STRANGER)]

        alice, bob, *others = in_office(main, PLAN)

        assert (alice, bob) == ([("each", "all")], [("each", "all"), ("chained", "all")])
        assert others == [[], [], []]

    def test_one_s_own_is_one_s_own(self):
        """Of two users' each sees the one that is rendered for him."""

        async def main(office: Office) -> list[list[str | None]]:
            await asked(office, ALICE, "each")
            await asked(office, BOB, "each")
            sight = Sight(office.rights, office.desk, office.rounds)
            return [[keeper.rendered.facts.uid for keeper, _ in sight.of(ACCOUNTS[uid])] for uid in (ALICE, BOB)]

        assert in_office(main, PLAN) == [[str(ALICE)], [str(BOB)]]

    def test_a_group_s_lease_is_its_members(self):
        """Whoever of them was first to ask."""
        also = CallerEntry(name="also", rules=(VISION,), grants=("team",))

        async def main(office: Office) -> list[list[tuple[str, str]]]:
            await asked(office, BOB, "team")
            return [seen(office, uid) for uid in (BOB, ALICE)]

        assert in_office(main, an_office_plan(*PLAN.credentials[3:], also)) == [[("team", "also")], []]

    def test_a_lease_that_callers_share_is_shown_as_one_s_own(self):
        """Who else has it, by which name, is not told; operators see who was first to ask."""

        async def main(office: Office) -> dict[int, list[tuple[str, str]]]:
            await office.mint("train", "data")
            return {uid: seen(office, uid) for uid in (ALICE, BOB, ERIN, DAVE)}

        assert in_office(main, PLAN) == {
            ALICE: [("train", "trainer"), ("data", "trainer")],
            BOB: [("data", "guest")],
            ERIN: [("train", "pods")],
            DAVE: [("train", "trainer"), ("data", "trainer")],
        }

    def test_an_id_token_is_seen_by_who_may_have_it(self):
        """Each audience is a lease beside the credential's own."""

        async def main(office: Office) -> list[list[tuple[str, str]]]:
            caller = office.rights.matched(ACCOUNTS[ALICE])
            office.rounds.keeper(office.desk.book.rendered("data", caller.matches[0], SERVICE))
            return [seen(office, uid) for uid in (ALICE, BOB, ERIN)]

        assert in_office(main, PLAN) == [[("data", "trainer")], [("data", "guest")], []]

    def test_what_is_made_for_a_job_is_seen_by_whose_job_it_is(self):
        """Of others of the same caller, and by an issuer, it is not."""
        both = CallerEntry(name="both", rules=(Rule(uid=ALICE), VISION), grants=("keys",), issuers=("erin",))

        async def main(office: Office) -> list[list[tuple[str, str]]]:
            order = api.TokenOrder(caller="both")
            token = office.issuer.issue(ACCOUNTS[ALICE], order, None)
            entry = office.work.tokens.entry(token.id)
            assert entry is not None
            office.desk.lease(entry.caller, Want(None, "keys"), "env")
            return [seen(office, uid) for uid in (ALICE, BOB, ERIN, DAVE)]

        assert in_office(main, an_office_plan(an_hmac("keys"), both)) == [
            [("keys", "both")],
            [],
            [],
            [("keys", "both")],
        ]

    def test_a_base_is_for_operators(self):
        """Nobody is handed it; what it fails by is told of what chains from it."""

        async def main(office: Office) -> list[list[str]]:
            await asked(office, ALICE, "chained")
            return [[name for name, _ in seen(office, uid)] for uid in (ALICE, DAVE)]

        assert in_office(main, PLAN) == [["chained"], ["chained", "base"]]

    @pytest.mark.parametrize("uid", [DAVE, DAEMON])
    def test_operators_see_all(self, uid: int):
        """Whosever they are."""

        async def main(office: Office) -> list[str | None]:
            await asked(office, ALICE, "each")
            await asked(office, BOB, "each", "team")
            sight = Sight(office.rights, office.desk, office.rounds)
            return [keeper.rendered.facts.user for keeper, _ in sight.of(ACCOUNTS[uid])]

        assert in_office(main, PLAN) == ["alice", "bob", "bob"]
