"""Who may ask the control plane for what, by the generation of the configuration that is in force."""

import pytest

from broker.callers.accounts import Account
from broker.config.shape import CallerEntry, Rule
from broker.errors import Refused
from broker.plan import make_book
from tests.server.office import ACCOUNTS, CAROL, DAEMON, DAVE, ERIN, Office, an_office_plan
from tests.server.plane import ALICE, BOB, STRANGER

EVERYBODY = ["trainer", "guest", "pods"]


@pytest.fixture
def office() -> Office:
    """The parts; no loop is needed to ask who may."""
    return Office()


class TestSeenBy:
    @pytest.mark.parametrize(
        ("uid", "seen"),
        [
            (ALICE, ["trainer"]),
            (BOB, ["guest"]),
            (CAROL, ["trainer", "pods"]),
            (ERIN, ["pods"]),
            (STRANGER, []),
            (DAVE, EVERYBODY),
            (DAEMON, EVERYBODY),
        ],
    )
    def test_one_sees_what_one_is_or_issues_for(self, office: Office, uid: int, seen: list[str]):
        """In file order; operators and the daemon's own user see all."""
        assert list(office.rights.seen_by(ACCOUNTS[uid])) == seen

    def test_a_reload_decides_from_then_on(self, office: Office):
        """The rights are asked of the book in force."""
        office.desk.swap(make_book(an_office_plan(CallerEntry(name="new", rules=(Rule(uid=STRANGER),)))))

        assert list(office.rights.seen_by(ACCOUNTS[STRANGER])) == ["new"]

    def test_root_is_an_operator_by_name_and_a_caller_only_where_it_says_so(self, office: Office):
        """The configuration's default makes root an operator; a uid match alone never takes it."""
        office.desk.swap(make_book(an_office_plan(CallerEntry(name="new", rules=(Rule(uid=0),)))))
        root = Account(0, "root")

        assert office.rights.is_operator(root)
        with pytest.raises(Refused, match="no caller"):
            office.rights.matched(root)


class TestOperators:
    @pytest.mark.parametrize("uid", [DAVE, DAEMON])
    def test_they_may_everything(self, office: Office, uid: int):
        """A group's member, or who the daemon runs as."""
        office.rights.operators_only(ACCOUNTS[uid])

        assert office.rights.is_operator(ACCOUNTS[uid])

    @pytest.mark.parametrize("uid", [ALICE, CAROL, STRANGER])
    def test_others_are_refused(self, office: Office, uid: int):
        """Issuing for a caller makes no operator."""
        with pytest.raises(Refused) as refused:
            office.rights.operators_only(ACCOUNTS[uid])

        assert (refused.value.status, refused.value.exit_status) == (403, 4)


class TestIssue:
    @pytest.mark.parametrize(
        ("uid", "caller", "own", "others"),
        [
            (ALICE, "trainer", True, False),
            (ALICE, "pods", False, False),
            (BOB, "guest", True, False),
            (CAROL, "trainer", True, True),
            (ERIN, "pods", True, True),
            (DAVE, "guest", True, True),
            (DAEMON, "pods", True, True),
            (STRANGER, "trainer", False, False),
        ],
    )
    def test_members_issue_for_themselves_and_issuers_for_anybody(
        self, office: Office, uid: int, caller: str, own: bool, others: bool
    ):
        """Templates render a user's name from a bound token: a member must not become any other."""
        entry, account = office.rights.entry(caller), ACCOUNTS[uid]
        assert entry is not None

        assert office.rights.may_issue(entry, account) == own
        assert office.rights.may_bind(entry, account, uid) == own
        assert office.rights.may_bind(entry, account, None) == others
        assert office.rights.may_bind(entry, account, 4) == others
        assert office.rights.may_issue_unbound(entry, account) == others

    def test_a_caller_that_is_not_configured_has_no_entry(self, office: Office):
        """There is nothing to have rights on."""
        assert office.rights.entry("nobody") is None


class TestMatched:
    def test_it_is_what_the_uid_is(self, office: Office):
        """Operators are callers only where they match like anybody."""
        assert office.rights.matched(ACCOUNTS[BOB]).name == "guest"

    @pytest.mark.parametrize("uid", [CAROL, DAVE, STRANGER])
    def test_nobody_is_told_how_to_become_somebody(self, office: Office, uid: int):
        """With the uid that an operator has to write down."""
        with pytest.raises(Refused, match=f"uid {uid}; an operator can add one") as refused:
            office.rights.matched(ACCOUNTS[uid])

        assert refused.value.code == "UnknownCaller"
