"""Who may be told which rule decides, why that refusal, and who a worker is."""

import hashlib

import pytest

from broker import control_api as api
from broker.callers.worker_token import TokenOrder
from broker.config.shape import CallerEntry, Rule
from broker.errors import Denied, NotReady, Refused
from broker.events import RequestDenied
from broker.explaining import HIDDEN
from broker.model import Caller, CallerFacts, Facts
from broker.plan import make_book
from tests.made import a_role, a_session
from tests.server.office import ACCOUNTS, CAROL, DAVE, ERIN, Office, an_office_plan, in_office
from tests.server.plane import ALICE, BOB, STRANGER

_HANDED_ON = Facts(arn="arn:aws:iam::123456789012:user/alice", handed_on=True)


def _granted(*names: str) -> CallerEntry:
    """One more caller, which bob is too."""
    return CallerEntry(name="more", rules=(Rule(uid=BOB),), grants=names)


@pytest.fixture
def office() -> Office:
    """The parts; no loop is needed to ask."""
    return Office()


def explained(office: Office, uid: int, caller: str, credential: str, of: int | None = None) -> api.Explanation:
    """What this user is told."""
    order = api.ExplainOrder(caller=caller, credential=credential, uid=of)
    return office.inquiry.explain(ACCOUNTS[uid], order, None if of is None else ACCOUNTS[of])


def shown(office: Office, text: str, uid: int) -> api.Who:
    """Who the holder of a token is, as that user's process asks."""
    return office.inquiry.worker(ACCOUNTS[uid], api.WhoOrder(digest=hashlib.sha256(text.encode()).hexdigest()))


class TestExplain:
    @pytest.mark.parametrize(
        ("uid", "caller", "matched"),
        [
            (ALICE, "trainer", f"uid {ALICE}"),
            (BOB, "guest", "group vision"),
            (DAVE, "pods", None),
            (ERIN, "pods", None),
        ],
    )
    def test_one_is_told_of_callers_that_one_may_see(self, office: Office, uid: int, caller: str, matched: str | None):
        """As the process that one is, if one is that caller."""
        found = explained(office, uid, caller, "data" if caller == "guest" else "train")

        assert (found.allowed, found.matched) == (True, matched)
        assert found.uid == (uid if matched else None)

    @pytest.mark.parametrize("caller", ["trainer", "nobody-of-this-name"])
    def test_of_others_not_even_that_they_are(self, office: Office, caller: str):
        """The same words for both."""
        with pytest.raises(Refused, match="no such caller, or not for you to see") as error:
            explained(office, STRANGER, caller, "train")

        assert error.value.exit_status == 4

    def test_operators_are_told_of_a_misspelt_one(self, office: Office):
        """They may see them all."""
        with pytest.raises(Refused, match="did you mean `trainer`") as error:
            explained(office, DAVE, "trianer", "train")

        assert error.value.exit_status == 4

    @pytest.mark.parametrize(
        ("uid", "of", "allowed"), [(ALICE, ALICE, True), (ALICE, BOB, False), (CAROL, BOB, True), (DAVE, BOB, True)]
    )
    def test_another_uid_is_for_those_who_may_bind_tokens_to_it(self, office: Office, uid: int, of: int, allowed: bool):
        """Issuers and operators."""
        if allowed:
            assert explained(office, uid, "trainer", "mine", of).mints[0].spec["session_name"] == ACCOUNTS[of].user
            return
        with pytest.raises(Refused, match="for your own uid"):
            explained(office, uid, "trainer", "mine", of)

    def test_only_operators_hear_what_is_not_granted_and_what_is_not_there(self, office: Office):
        """Members are told both in the same words; an external id is for operators too."""
        told = [explained(office, ALICE, "trainer", name).why for name in ("hidden", "nowhere")]
        config = an_office_plan(a_role("hidden", external_id="ext"), CallerEntry(name="x", grants=("hidden",)))
        office.desk.swap(make_book(config))

        assert {why.replace("nowhere", "hidden") for why in told} == {
            "trainer is not granted hidden, or there is no such credential"
        }
        assert "there is no credential 'nowhere'" in explained(office, DAVE, "trainer", "nowhere").why
        assert explained(office, DAVE, "trainer", "hidden").why == "trainer is not granted hidden"
        assert explained(office, DAVE, "x", "hidden").mints[0].spec["external_id"] == "ext"

    def test_a_member_is_not_told_the_external_id(self, office: Office):
        """The role's trust may rest on it."""
        office.desk.swap(make_book(an_office_plan(a_role("outside", external_id="ext"), _granted("outside"))))

        assert explained(office, BOB, "more", "outside").mints[0].spec["external_id"] == HIDDEN

    def test_a_session_that_is_handed_on_is_denied_as_it_is_held(self):
        """Only its lease tells that it is the daemon's own."""

        async def main(office: Office) -> list[str]:
            office.desk.swap(make_book(an_office_plan(a_session("own"), _granted("own"))))
            found = [explained(office, DAVE, "more", "own").reason]
            office.work.upstream.more = {"facts": _HANDED_ON}
            await office.mint("own")
            return [*found, explained(office, DAVE, "more", "own").reason]

        assert in_office(main) == ["granted", "identity-not-shared"]


class TestDenial:
    def noted(self, office: Office, **more: object) -> None:
        """One of bob's uid, as guest."""
        event = {"uid": BOB, "caller": "guest", "credential": "train", **more}
        office.noted(RequestDenied("not-granted", 403, "0" * 16, **event))  # type: ignore[arg-type]  # whatever a test names

    @pytest.mark.parametrize(
        ("uid", "more", "told"),
        [
            (DAVE, {}, True),
            (BOB, {}, True),
            (BOB, {"caller": None}, True),
            (ALICE, {}, False),
            (ALICE, {"caller": None}, False),
            (ALICE, {"uid": None, "caller": None}, False),
            (CAROL, {"caller": "pods"}, True),
            (CAROL, {"caller": "pods+guest"}, False),
        ],
    )
    def test_it_is_for_operators_its_sender_and_who_sees_the_caller(
        self, office: Office, uid: int, more: dict[str, object], told: bool
    ):
        """To all others it is as if there were none."""
        self.noted(office, **more)
        if told:
            assert office.inquiry.denial(ACCOUNTS[uid], "0" * 16).reason == "not-granted"
            return
        with pytest.raises(Refused, match="no denial of that id is remembered that you may see") as error:
            office.inquiry.denial(ACCOUNTS[uid], "0" * 16)
        assert error.value.exit_status == 1

    @pytest.mark.parametrize(("uid", "credential"), [(DAVE, "train"), (BOB, None), (CAROL, "train")])
    def test_what_was_asked_for_is_named_to_who_knows_that_it_exists(
        self, office: Office, uid: int, credential: str | None
    ):
        """Else a refusal and `explain` together would tell names."""
        self.noted(office, caller=None if uid == BOB else "pods")

        assert office.inquiry.denial(ACCOUNTS[uid], "0" * 16).credential == credential

    def test_one_that_is_not_remembered_names_the_audit(self, office: Office):
        """Which has them all."""
        with pytest.raises(Refused, match="the audit in the daemon's log"):
            office.inquiry.denial(ACCOUNTS[DAVE], "1" * 16)

    def test_a_reason_without_words_is_told_all_the_same(self, office: Office):
        """Of a later version's part, say."""
        office.noted(RequestDenied("new", 403, "2" * 16, uid=BOB))

        assert office.inquiry.denial(ACCOUNTS[BOB], "2" * 16).what == "the request was refused"


class TestWorker:
    def a_token(self, office: Office, uid: int | None, ttl: float = 60.0) -> str:
        """Of two callers, narrowed to one credential."""
        caller = Caller(
            matches=(CallerFacts(caller="trainer"), CallerFacts(caller="guest")), how="token", uid=uid, only=("data",)
        )
        order = TokenOrder(caller=caller, purpose="header", ttl=ttl, issued_by=ALICE)
        return office.work.tokens.issue(order, office.clock.now(), office.clock.wall())[0].open()

    def test_it_is_who_its_token_says(self):
        """With what the token is narrowed to, and when it ends; whoever runs it."""

        async def main(office: Office) -> api.Who:
            return shown(office, self.a_token(office, None), BOB)

        who = in_office(main)

        assert (who.uid, who.callers, who.operator) == (BOB, ("trainer", "guest"), False)
        assert [(one.name, one.first) for one in who.granted] == [("data", True)]
        assert who.token is not None
        assert (who.token.token, who.how) == (None, f"worker token {who.token.id} (header), bound to no uid")

    @pytest.mark.parametrize(
        ("uid", "passes", "reason"), [(BOB, 0.0, "token-of-another-uid"), (ALICE, 61.0, "token-unknown")]
    )
    def test_one_that_is_not_good_here_is_401(self, office: Office, uid: int, passes: float, reason: str):
        """As on the worker plane, with one reply for all of them."""
        text = self.a_token(office, ALICE)
        office.clock.pass_time(passes)
        with pytest.raises(Refused, match="the token of this worker is over") as error:
            shown(office, text, uid)

        assert (error.value.status, error.value.reason, error.value.exit_status) == (401, reason, 4)

    def test_what_is_no_digest_is_400(self, office: Office):
        """And is not said again."""
        with pytest.raises(Refused, match="64 hexadecimal digits"):
            office.inquiry.worker(ACCOUNTS[ALICE], api.WhoOrder(digest="canary"))


class TestRefused:
    def test_401_and_403_are_told_to_the_audit(self):
        """With who asked, and the credential if there is one of that name."""

        async def main(office: Office) -> list[RequestDenied]:
            await office.clerk.directory.account_soon(BOB)
            for name in ("train", "nowhere", None):
                office.inquiry.refused(Refused(403, "AccessDenied", "not granted", reason="not-granted"), BOB, name)
            office.inquiry.refused(Denied("no"), None, "train")
            return office.work.noted(RequestDenied)

        events = in_office(main)

        assert [(one.reason, one.uid, one.caller, one.credential, one.dialect) for one in events] == [
            ("not-granted", BOB, "guest", "train", "socket"),
            ("not-granted", BOB, "guest", None, "socket"),
            ("not-granted", BOB, "guest", None, "socket"),
            ("upstream-denied", None, None, "train", "socket"),
        ]
        assert len({one.request_id for one in events}) == 4

    def test_what_is_no_denial_is_not(self, office: Office):
        """A mint that takes its time, a path that is not there."""
        office.inquiry.refused(NotReady("later"), BOB, "train")
        office.inquiry.refused(Refused(404, "NotFound", "no such path"), BOB, None)

        assert office.work.events == []
