"""Worker tokens: for whom, bound to whom, for how long; and that nothing but the answer ever holds one."""

import pytest

from broker import control_api as api
from broker.callers.worker_token import TokenEntry
from broker.config.shape import CallerEntry, Rule
from broker.errors import Refused
from broker.events import TokenIssued
from broker.plan import make_book
from broker.server.issuer import LONGEST_TTL
from tests.server.office import ACCOUNTS, CAROL, DAEMON, DAVE, ERIN, Office, an_office_plan, ended, engaged, issued
from tests.server.plane import ALICE, BOB, STRANGER

HOUR = 3600.0


@pytest.fixture
def office() -> Office:
    """The parts; no loop is needed to issue."""
    return Office()


def entry(office: Office, token: api.Token) -> TokenEntry:
    """What the daemon knows of a token."""
    found = office.work.tokens.entry(token.id)
    assert found is not None
    return found


class TestEngage:
    def test_a_worker_gets_two_tokens_and_where_to_ask(self, office: Office):
        """One for a header, one for a path, both bound to who asked."""
        worker, now = engaged(office, ALICE), office.clock.now()

        assert (worker.caller, worker.host, worker.port) == ("trainer", "127.0.0.1", 9911)
        for text, purpose in ((worker.header_token, "header"), (worker.path_token, "path")):
            found = office.work.tokens.find(text, purpose, now)  # type: ignore[arg-type]  # one of the two
            assert found is not None
            assert (found.caller.uid, found.caller.name, found.id in worker.token_ids) == (ALICE, "trainer", True)

    def test_it_is_told_what_it_may_have(self, office: Office):
        """The first of each kind is what a dialect serves that cannot name one."""
        worker = engaged(office, ALICE)

        assert [(one.name, one.kind, one.first) for one in worker.granted] == [
            ("train", "aws", True),
            ("data", "gcp", True),
            ("mine", "aws", False),
        ]
        assert (worker.granted[0].region, worker.granted[1].project) == ("eu-west-1", "my-project")

    def test_use_narrows_and_orders_it(self, office: Office):
        """For the tokens as well as for the environment."""
        worker = engaged(office, ALICE, use=("mine", "train"))
        token = office.work.tokens.find(worker.header_token, "header", office.clock.now())

        assert [(one.name, one.first) for one in worker.granted] == [("mine", True), ("train", False)]
        assert token is not None
        assert token.caller.only == ("mine", "train")

    def test_what_is_not_granted_cannot_be_used(self, office: Office):
        """All of it is named, and no token is made."""
        with pytest.raises(Refused, match="not granted to guest: hidden, train"):
            engaged(office, BOB, use=("train", "data", "hidden"))

        assert len(office.work.tokens) == 0

    def test_held_tokens_live_as_long_as_they_are_held(self, office: Office):
        """Others for the time that was asked for, and no longer than a month."""
        for order, lives in (
            ({"hold": True, "ttl": 1.0}, float("inf")),
            ({"ttl": HOUR}, HOUR),
            ({"ttl": 1e12}, LONGEST_TTL),
        ):
            worker = engaged(office, ALICE, **order)
            found = office.work.tokens.entry(worker.token_ids[0])
            assert found is not None
            assert (found.ends - office.clock.now(), found.held) == (lives, lives == float("inf"))

    def test_dismissed_it_has_no_tokens_any_more(self, office: Office):
        """Once, however often its end is noticed."""
        worker = engaged(office, ALICE, hold=True)

        for _ in range(2):
            office.issuer.dismiss(worker)

        assert len(office.work.tokens) == 0
        assert ended(office) == ["closed", "closed"]

    @pytest.mark.parametrize(("uid", "caller"), [(CAROL, "pods"), (ERIN, "pods"), (DAVE, "guest"), (DAEMON, "trainer")])
    def test_an_issuer_may_be_any_caller_of_his(self, office: Office, uid: int, caller: str):
        """By name; it is his own process that shows the token."""
        worker = engaged(office, uid, caller=caller)
        found = office.work.tokens.entry(worker.token_ids[0])

        assert found is not None
        assert (worker.caller, found.caller.uid) == (caller, uid)

    @pytest.mark.parametrize(("uid", "caller"), [(ALICE, "guest"), (STRANGER, "trainer"), (ALICE, "nosuch")])
    def test_nobody_else_may_and_no_more_is_said(self, office: Office, uid: int, caller: str):
        """Whether there is such a caller is not told."""
        with pytest.raises(Refused, match=f"uid {uid} may not be caller '{caller}', or there is none") as refused:
            engaged(office, uid, caller=caller)

        assert refused.value.code == "UnknownCaller"

    def test_unnamed_it_is_all_that_its_user_is(self, office: Office):
        """The union, in file order."""
        office.desk.swap(
            make_book(an_office_plan(CallerEntry(name="also", rules=(Rule(uid=ALICE),), grants=("train",))))
        )

        assert engaged(office, ALICE).caller == "trainer+also"

    def test_unnamed_an_issuer_of_one_caller_is_that_one(self, office: Office):
        """As root under `exec` with a configuration of one caller."""
        assert engaged(office, ERIN).caller == "pods"

    def test_unnamed_an_issuer_of_several_has_to_choose(self, office: Office):
        """He is told among which."""
        with pytest.raises(Refused, match="say --as trainer or pods"):
            engaged(office, CAROL)

    def test_unnamed_a_stranger_is_nobody(self, office: Office):
        """With nothing to choose from; who can change that is told."""
        with pytest.raises(Refused, match=f"matches uid {STRANGER}; an operator can add one"):
            engaged(office, STRANGER)


class TestIssue:
    def test_a_member_s_token_is_bound_to_him(self, office: Office):
        """Also where he says nothing of whom: it must not work for another."""
        token = issued(office, ALICE)

        assert (token.uid, token.issued_by, token.caller, token.purpose) == (ALICE, ALICE, "trainer", "header")
        assert entry(office, token).caller.matches[0].user == "alice"

    @pytest.mark.parametrize(
        ("uid", "bound", "user"), [(CAROL, None, None), (CAROL, BOB, "bob"), (DAVE, STRANGER, "stranger")]
    )
    def test_an_issuer_binds_it_to_whom_he_likes(self, office: Office, uid: int, bound: int | None, user: str | None):
        """Or to nobody; templates then know no user."""
        token = issued(office, uid, bound=bound)

        assert (token.uid, token.issued_by) == (bound, uid)
        assert entry(office, token).caller.matches[0].user == user

    def test_a_member_may_not_bind_it_to_another(self, office: Office):
        """He would become him for every template."""
        with pytest.raises(Refused, match="only its issuers and operators"):
            issued(office, ALICE, bound=BOB)

    @pytest.mark.parametrize("caller", ["guest", "nosuch"])
    def test_not_his_caller_and_no_caller_look_the_same(self, office: Office, caller: str):
        """Names are not for guessing."""
        with pytest.raises(Refused, match="there is no such caller, or you may not") as refused:
            issued(office, ALICE, caller)

        assert (refused.value.status, len(office.work.tokens)) == (403, 0)

    @pytest.mark.parametrize("purpose", ["header", "path"])
    def test_it_is_for_one_purpose_and_a_time(self, office: Office, purpose: str):
        """The answer alone holds its text."""
        token = issued(office, CAROL, purpose=purpose, ttl=HOUR)
        assert token.token is not None

        assert office.work.tokens.find(token.token, purpose, office.clock.now()) == entry(office, token)  # type: ignore[arg-type]  # one of the two
        assert token.expires_at == office.clock.wall() + HOUR

    def test_none_lives_longer_than_a_month(self, office: Office):
        """What is forgotten ends by itself."""
        assert issued(office, CAROL, ttl=1e300).expires_at == office.clock.wall() + LONGEST_TTL

    @pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan"), float("-inf")])
    def test_one_that_would_live_no_time_is_a_mistake(self, office: Office, ttl: float):
        """It is told rather than issued."""
        with pytest.raises(Refused, match="longer ttl") as refused:
            issued(office, CAROL, ttl=ttl)

        assert refused.value.status == 400

    def test_it_is_noted_without_its_text(self, office: Office):
        """Who, for whom, by whom, until when; nobody can use the audit."""
        token = issued(office, CAROL, bound=BOB, ttl=HOUR)

        assert office.work.noted(TokenIssued) == [TokenIssued(token.id, "trainer", BOB, token.expires_at, CAROL)]
        assert token.token is not None
        assert token.token not in repr((office.work.events, office.work.tokens.dump()))


class TestList:
    def test_one_sees_the_tokens_of_the_callers_that_one_sees(self, office: Office):
        """Never their texts."""
        tokens = {issued(office, CAROL).id: "trainer", issued(office, ERIN, "pods").id: "pods"}
        seen = {uid: office.issuer.seen_by(account) for uid, account in ACCOUNTS.items()}

        assert {uid: sorted(token.caller for token in found) for uid, found in seen.items() if found} == {
            ALICE: ["trainer"],
            CAROL: ["pods", "trainer"],
            ERIN: ["pods"],
            DAVE: ["pods", "trainer"],
            DAEMON: ["pods", "trainer"],
        }
        assert all(token.token is None and token.id in tokens for token in seen[DAVE])

    def test_one_of_several_callers_is_seen_by_who_sees_them_all(self, office: Office):
        """Half a look would tell of the other half."""
        office.desk.swap(
            make_book(an_office_plan(CallerEntry(name="also", rules=(Rule(uid=ALICE),), issuers=("erin",))))
        )
        worker = engaged(office, ALICE, hold=True)

        assert [token.id for token in office.issuer.seen_by(ACCOUNTS[ALICE])] == list(worker.token_ids)
        assert office.issuer.seen_by(ACCOUNTS[ERIN]) == ()
        assert office.issuer.seen_by(ACCOUNTS[ALICE])[0].expires_at is None
        assert office.issuer.counts() == {"also": 2, "trainer": 2}
