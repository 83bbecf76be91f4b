"""Which callers an account matches, and what it may ask the daemon for."""

import pytest

from broker.callers import match
from broker.callers.accounts import Account
from broker.config.shape import CallerEntry, Rule
from broker.model import Caller, CallerFacts

ALICE = Account(1000, "alice", ((100, "users"), (200, "vision")))
BOB = Account(1001, "bob", ((100, "users"),))
ROOT = Account(0, "root", ((0, "root"), (100, "users")))
NAMELESS = Account(5000)
DAEMON_UID = 990


def entry(name: str = "trainer", *, uid: int | None = None, group: str | None = None, **more: object) -> CallerEntry:
    """A caller with at most one rule by uid and one by group."""
    rules = ((Rule(uid=uid),) if uid is not None else ()) + ((Rule(group=group),) if group else ())
    return CallerEntry(name=name, rules=rules, **more)  # type: ignore[arg-type]  # fields of CallerEntry, whichever


class TestMatchUid:
    def test_a_rule_by_uid_matches_that_uid(self) -> None:
        """Whatever it is called."""
        callers = (entry(uid=5000),)

        assert match.match_uid(callers, NAMELESS) == Caller(
            matches=(CallerFacts(caller="trainer", uid="5000"),), how="uid", uid=5000
        )
        assert match.match_uid(callers, ALICE) is None

    def test_a_rule_by_group_matches_its_members_and_names_the_group(self) -> None:
        """{group} renders from it."""
        caller = match.match_uid((entry(group="vision"),), ALICE)

        assert caller is not None
        assert caller.matches == (CallerFacts(caller="trainer", uid="1000", user="alice", group="vision"),)
        assert match.match_uid((entry(group="vision"),), BOB) is None

    def test_the_first_group_of_the_file_that_matches_is_the_group(self) -> None:
        """Not the first of the account; and also where a uid matches beside it."""
        rules = (Rule(uid=1000), Rule(group="absent"), Rule(group="vision"), Rule(group="users"))
        caller = match.match_uid((CallerEntry(name="trainer", rules=rules),), ALICE)

        assert caller is not None
        assert caller.matches[0].group == "vision"

    def test_all_callers_that_match_count_in_file_order(self) -> None:
        """Their grants are united."""
        callers = (entry("z", group="vision"), entry("no", uid=7), entry("a", uid=1000), entry("m", group="users"))
        caller = match.match_uid(callers, ALICE)

        assert caller is not None
        assert caller.name == "z+a+m"

    def test_nothing_matches_a_caller_without_rules(self) -> None:
        """Deny by default."""
        assert match.match_uid((entry(),), ALICE) is None
        assert match.match_uid((), ALICE) is None

    @pytest.mark.parametrize("rule", [{"uid": 0}, {"group": "users"}])
    def test_root_matches_only_where_the_caller_says_so(self, rule: dict[str, object]) -> None:
        """Containers and cron jobs run as root without anybody meaning it."""
        assert match.match_uid((entry(**rule),), ROOT) is None  # type: ignore[arg-type]  # uid or group
        assert match.match_uid((entry(**rule, allow_root=True),), ROOT) is not None  # type: ignore[arg-type]  # likewise

    def test_a_worker_token_s_caller_is_matched_by_nothing_else(self) -> None:
        """Even if rules stand beside it."""
        assert match.match_uid((entry(uid=1000, group="vision", worker_token=True),), ALICE) is None


class TestBareAllowed:
    def test_only_matches_that_allow_it_are_left(self) -> None:
        """A bare GET opens no more than what says `bare = true`."""
        callers = (entry("open", uid=1000, bare=True), entry("closed", uid=1000))
        caller = match.match_uid(callers, ALICE)
        assert caller is not None
        left = match.bare_allowed(callers, caller)

        assert caller.name == "open+closed"
        assert left is not None
        assert (left.name, left.how, left.uid) == ("open", "uid", 1000)

    def test_without_any_nothing_is_left(self) -> None:
        """The request is 401."""
        callers = (entry("closed", uid=1000), entry("foreign", uid=1001, bare=True))
        caller = match.match_uid(callers, ALICE)
        assert caller is not None

        assert match.bare_allowed(callers, caller) is None


class TestFactsFor:
    def test_a_token_bound_to_nobody_knows_its_caller_alone(self) -> None:
        """A template that names the user then denies."""
        assert match.facts_for(entry(group="vision"), None) == CallerFacts(caller="trainer")

    def test_a_bound_one_knows_what_the_kernel_would_have_shown(self) -> None:
        """The same session name either way."""
        facts = match.facts_for(entry(group="vision"), ALICE)

        assert facts == CallerFacts(caller="trainer", uid="1000", user="alice", group="vision")


class TestIsOperator:
    @pytest.mark.parametrize(
        ("asks", "operators", "expected"),
        [
            (ROOT, ("root",), True),
            (ROOT, (), False),
            (ALICE, ("root", "group:vision"), True),
            (BOB, ("root", "group:vision"), False),
            (ALICE, ("alice",), True),
            (BOB, ("alice",), False),
            (ALICE, ("vision", "group:alice", "group:", "1000"), False),
            (Account(DAEMON_UID), (), True),
            (NAMELESS, ("", "None"), False),
            (Account(6000, "group:vision"), ("group:vision",), False),
            (Account(6000, "group"), ("group",), True),
        ],
    )
    def test_operators_are_users_groups_and_the_daemon_itself(
        self, *, asks: Account, operators: tuple[str, ...], expected: bool
    ) -> None:
        """By name, "group:NAME", or its own uid."""
        assert match.is_operator(asks, operators, DAEMON_UID) is expected


class TestMayIssue:
    @pytest.mark.parametrize(
        ("caller", "asks", "expected"),
        [
            (entry(uid=1000), ALICE, True),
            (entry(uid=1000), BOB, False),
            (entry(group="vision"), ALICE, True),
            (entry(issuers=("bob",)), BOB, True),
            (entry(issuers=("bob",)), ALICE, False),
            (entry(worker_token=True, uid=1000), ALICE, False),
            (entry(worker_token=True, issuers=("alice",)), ALICE, True),
            (entry(), ROOT, True),
            (entry(), Account(DAEMON_UID), True),
            (entry(), NAMELESS, False),
        ],
    )
    def test_members_issuers_operators_and_the_daemon_may(
        self, *, caller: CallerEntry, asks: Account, expected: bool
    ) -> None:
        """And nobody else; what may be issued may be seen."""
        assert match.may_issue(caller, asks, ("root",), DAEMON_UID) is expected
        assert match.may_see(caller, asks, ("root",), DAEMON_UID) is expected

    def test_root_is_a_member_only_where_the_caller_says_so(self) -> None:
        """An operator by name is another matter."""
        assert not match.may_issue(entry(uid=0), ROOT, (), DAEMON_UID)
        assert match.may_issue(entry(uid=0, allow_root=True), ROOT, (), DAEMON_UID)


class TestMayBind:
    def test_a_member_binds_to_himself(self) -> None:
        """That is what the kernel would say of him."""
        assert match.may_bind(entry(group="users"), ALICE, (), DAEMON_UID, uid=1000)

    @pytest.mark.parametrize("uid", [1001, 0, None])
    def test_a_member_does_not_become_another_member(self, uid: int | None) -> None:
        """{user} in a role's name would render the other's; and what is bound to none, anybody may show."""
        assert not match.may_bind(entry(group="users"), ALICE, (), DAEMON_UID, uid=uid)

    def test_a_stranger_binds_nothing(self) -> None:
        """Not even to himself."""
        assert not match.may_bind(entry(group="vision"), BOB, (), DAEMON_UID, uid=1001)

    @pytest.mark.parametrize("uid", [1000, None])
    def test_issuers_and_operators_bind_to_anybody(self, uid: int | None) -> None:
        """A scheduler's prologue issues for the job's user."""
        assert match.may_bind(entry(issuers=("bob",)), BOB, (), DAEMON_UID, uid=uid)
        assert match.may_bind(entry(), ROOT, ("root",), DAEMON_UID, uid=uid)
        assert match.may_bind(entry(), Account(DAEMON_UID), (), DAEMON_UID, uid=uid)


class TestMayIssueForOthers:
    def test_a_member_may_not(self) -> None:
        """He issues for himself; issuers, operators and the daemon for anybody."""
        caller = entry(group="users", issuers=("bob",))

        assert not match.may_issue_for_others(caller, ALICE, ("root",), DAEMON_UID)
        assert match.may_issue_for_others(caller, BOB, ("root",), DAEMON_UID)
        assert match.may_issue_for_others(caller, ROOT, ("root",), DAEMON_UID)
        assert match.may_issue_for_others(caller, Account(DAEMON_UID), ("root",), DAEMON_UID)
