"""How worker tokens end: one or many at an order, at their time, with their caller; and what is kept for operators."""

import msgspec
import pytest

from broker import control_api as api
from broker.config.shape import CallerEntry, Rule
from broker.errors import Refused
from broker.events import TokenRevoked
from broker.plan import make_book
from tests.server.office import ACCOUNTS, CAROL, DAEMON, DAVE, ERIN, Office, an_office_plan, ended, engaged, issued
from tests.server.plane import ALICE, BOB, STRANGER

HOUR = 3600.0


@pytest.fixture
def office() -> Office:
    """The parts; no loop is needed to issue."""
    return Office()


class TestRevoke:
    @pytest.mark.parametrize("uid", [ALICE, CAROL, DAVE, DAEMON])
    def test_who_sees_it_may_end_it(self, office: Office, uid: int):
        """At once and for good."""
        token = issued(office, CAROL)
        assert token.token is not None

        assert office.issuer.revoke(ACCOUNTS[uid], token.id).id == token.id
        assert office.work.tokens.find(token.token, "header", office.clock.now()) is None
        assert ended(office) == ["revoked"]

    @pytest.mark.parametrize("uid", [BOB, ERIN, STRANGER])
    def test_others_are_told_that_there_is_none(self, office: Office, uid: int):
        """As of an id that was never given."""
        token = issued(office, CAROL)

        for token_id in (token.id, "0" * 12):
            with pytest.raises(Refused, match="no token of that id that you may see") as refused:
                office.issuer.revoke(ACCOUNTS[uid], token_id)
            assert refused.value.status == 404
        assert ended(office) == []


class TestRevokeMany:
    @staticmethod
    def chosen(office: Office, uid: int, **order: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The ids that would end, and those of which nothing is known."""
        found = office.issuer.chosen(ACCOUNTS[uid], api.RevokeOrder(**order))  # type: ignore[arg-type]  # whatever a test names
        return found.ids, found.missing

    def test_it_is_those_that_one_sees(self, office: Office):
        """All, or a caller's."""
        trainer, pods, guest = (issued(office, DAVE, caller).id for caller in ("trainer", "pods", "guest"))

        assert self.chosen(office, DAVE, everything=True) == ((trainer, pods, guest), ())
        assert self.chosen(office, CAROL, everything=True) == ((trainer, pods), ())
        assert self.chosen(office, STRANGER, everything=True) == ((), ())
        assert self.chosen(office, CAROL, caller="pods") == ((pods,), ())
        assert self.chosen(office, BOB, caller="guest") == ((guest,), ())

    def test_the_other_token_of_the_same_worker_ends_with_it(self, office: Office):
        """Else who lost AWS would keep Google; the other way round, no more ends than was named."""
        worker, other = engaged(office, ALICE), engaged(office, ALICE)
        header, path = worker.token_ids

        assert self.chosen(office, ALICE, ids=(header,)) == ((header, path), ())
        assert self.chosen(office, ALICE, ids=(header, path)) == ((header, path), ())
        assert self.chosen(office, ALICE, ids=(path,)) == ((path,), ())
        office.issuer.revoke(ACCOUNTS[ALICE], header)
        assert {one.id for one in office.issuer.seen_by(ACCOUNTS[ALICE])} == set(other.token_ids)
        assert [one.beside for one in office.issuer.seen_by(ACCOUNTS[ALICE])] == [None, other.token_ids[0]]

    def test_ids_of_others_are_as_ids_of_none(self, office: Office):
        """They are told, and the rest is ended all the same; twice named is once ended."""
        trainer, guest = issued(office, DAVE).id, issued(office, DAVE, "guest").id

        assert self.chosen(office, ALICE, ids=(guest, trainer, "0" * 12, trainer)) == ((trainer,), (guest, "0" * 12))

    def test_a_token_of_several_callers_goes_by_each(self, office: Office):
        """For who sees them all."""
        office.desk.swap(
            make_book(an_office_plan(CallerEntry(name="also", rules=(Rule(uid=ALICE),), issuers=("erin",))))
        )
        ids = engaged(office, ALICE, hold=True).token_ids

        assert [self.chosen(office, ALICE, caller=name)[0] for name in ("also", "trainer")] == [ids, ids]
        assert self.chosen(office, ERIN, caller="also")[0] == ()

    @pytest.mark.parametrize(("uid", "caller"), [(BOB, "trainer"), (STRANGER, "guest"), (DAVE, "nosuch")])
    def test_a_caller_that_one_does_not_see_is_denied(self, office: Office, uid: int, caller: str):
        """Whether there is such a one is not told."""
        with pytest.raises(Refused, match="no such caller, or not for you") as refused:
            self.chosen(office, uid, caller=caller)

        assert refused.value.exit_status == 4

    def test_an_order_of_nothing_is_a_mistake(self, office: Office):
        """It is not an order of everything."""
        with pytest.raises(Refused, match="which tokens") as refused:
            self.chosen(office, DAVE)

        assert refused.value.status == 400

    def test_each_end_is_noted_once(self, office: Office):
        """By whom; one that has ended meanwhile has its own line."""
        first, second = issued(office, CAROL).id, issued(office, CAROL).id
        office.issuer.revoke(ACCOUNTS[CAROL], first)
        office.issuer.end(ACCOUNTS[DAVE], (first, second))

        assert [(event.token_id, event.by_uid) for event in office.work.noted(TokenRevoked)] == [
            (first, CAROL),
            (second, DAVE),
        ]


class TestReserve:
    def test_operators_still_issue_when_others_cannot_any_more(self, office: Office):
        """Whatever a user has taken, somebody can work and end it."""
        tokens = office.work.tokens
        for attribute, value in (("_most", 200), ("_most_per_issuer", 500)):
            setattr(tokens, attribute, value)
        for number in range(198):
            issued(office, (CAROL, ERIN, DAVE)[number // 90], "pods")
        with pytest.raises(Refused, match="what is left is for operators"):
            issued(office, ALICE)
        worker = engaged(office, DAVE, caller="trainer")

        assert len(worker.token_ids) == 2
        with pytest.raises(Refused, match="there are 200 live worker tokens: revoke some"):
            issued(office, DAVE)


class TestEnds:
    def test_what_has_reached_its_time_is_swept_and_noted_once(self, office: Office):
        """Held ones have none."""
        issued(office, CAROL, ttl=HOUR)
        engaged(office, ALICE, hold=True)
        office.clock.pass_time(2 * HOUR)

        for _ in range(2):
            office.issuer.expire()

        assert ended(office) == ["expired"]
        assert len(office.work.tokens) == 2

    def test_a_reload_without_their_caller_ends_tokens(self, office: Office):
        """Those of callers that are still there live on."""
        kept = issued(office, DAVE, "guest")
        engaged(office, ALICE, hold=True)
        plan = an_office_plan()
        without = tuple(one for one in plan.callers if one.name != "trainer")
        office.issuer.adopt(make_book(msgspec.structs.replace(plan, callers=without)))

        assert ended(office) == ["caller-gone", "caller-gone"]
        assert [token.id for token in office.issuer.seen_by(ACCOUNTS[DAVE])] == [kept.id]
