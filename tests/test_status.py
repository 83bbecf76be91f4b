"""What is said of keepers: rows, readiness, and what a worker's environment needs."""

from typing import Any

import pytest

from broker import status
from broker.config.shape import Credential
from broker.errors import BrokerError, Denied, Unreachable
from broker.keeper import Keeper
from broker.model import CallerFacts, Facts, Reference
from broker.plan import Rendered
from broker.sources.private_env import PrivateEnv
from tests.leaping import EPOCH, START
from tests.made import SERVICE, a_book, a_minted, a_rendered, a_role, a_session, an_adc, an_hmac

FACTS = CallerFacts(caller="trainer")


def cold(*parts: Any, name: str = "train", audience: str | None = None) -> Keeper:
    return Keeper(a_book(*(parts or (a_role(),))).rendered(name, FACTS, audience), START, lambda: 0.0)


def warm(keeper: Keeper, **facts: Any) -> Keeper:
    keeper.begin()
    keeper.minted(a_minted(facts=Facts(**facts)), START, START, EPOCH)
    return keeper


def failing(keeper: Keeper, error: BrokerError, at: float = 1800.0) -> Keeper:
    keeper.begin()
    keeper.failed(error, START + at, START + at)
    return keeper


class TestLeaseRow:
    def test_a_fresh_one_says_everything(self):
        """Names, identity and times; no secret."""
        keeper = warm(cold(), arn="arn", account="123456789012", note="a note")
        keeper.served = 7

        row = status.lease_row(keeper, START + 600)

        assert (row.credential, row.source, row.kind, row.caller) == ("train", "aws-assume-role", "aws", "trainer")
        assert (row.identity, row.account, row.note) == ("arn", "123456789012", "a note")
        assert (row.state, row.serial, row.served) == ("fresh", 1, 7)
        assert (row.expires_at, row.left, row.refreshed_at) == (EPOCH + 3600, 3000, EPOCH)
        assert row.next_refresh_in == 1090
        assert (row.error, row.advice) == (None, None)

    @pytest.mark.parametrize(
        ("keeper", "after", "state"),
        [
            (cold(), 0, "cold"),
            (warm(cold()), 0, "fresh"),
            (failing(warm(cold()), Unreachable("no answer")), 1800, "stale"),
            (failing(warm(cold()), Denied("no")), 1800, "stale"),
            (failing(warm(cold()), Unreachable("no answer")), 3600, "failing"),
            (failing(cold(), Denied("no"), 0), 0, "denied"),
            (warm(cold()), 3590, "cold"),
        ],
        ids=["new", "minted", "its refresh fails", "its refresh is denied", "lapsed", "denied", "in its last 30 s"],
    )
    def test_its_state_is_one_word(self, keeper: Keeper, after: float, state: str):
        """For a column."""
        assert status.lease_row(keeper, START + after).state == state

    def test_one_in_flight_has_no_next_refresh(self):
        """It is now."""
        keeper = cold()
        keeper.begin()

        row = status.lease_row(keeper, START)

        assert (row.state, row.next_refresh_in, row.left) == ("minting", None, None)

    def test_an_overdue_refresh_is_due_now(self):
        """Never in minus ten seconds."""
        assert status.lease_row(cold(), START + 10).next_refresh_in == 0

    def test_an_id_token_is_a_kind_of_its_own(self):
        """Beside the access token of the same credential."""
        keeper = cold(an_adc(audiences=(SERVICE,)), name="data", audience=SERVICE)

        assert status.lease_row(keeper, START).kind == "gcp-id"

    def test_why_it_fails_stands_beside_it(self):
        """What to do next."""
        row = status.lease_row(failing(cold(), Unreachable("no answer", code="Timeout"), 0), START)

        assert (row.error, row.advice) == ("Timeout", "no answer")

    def test_what_lives_as_long_as_its_owner_lets_it_says_so(self):
        """Its expiry is our own invention."""
        wandb = Credential(name="w", source="private-env", spec=PrivateEnv(secrets={"A": Reference(env="A")}))

        assert not status.lease_row(cold(wandb, name="w"), START).short_lived
        assert status.lease_row(cold(), START).short_lived

    @pytest.mark.parametrize(
        ("name", "whose"),
        [
            ("plain", (None, None, None)),
            ("of-uid", (1000, "alice", None)),
            ("of-user", (1000, "alice", None)),
            ("of-group", (None, None, "vision")),
            ("chained", (1000, "alice", "vision")),
        ],
    )
    def test_whose_it_is_stands_there_where_it_is_rendered_for_him(self, name: str, whose: tuple[Any, ...]):
        """A shared one is nobody's, whoever was first to ask."""
        parts = (
            a_role("plain"),
            a_role("of-uid", session_name="u-{uid}"),
            a_role("of-user", session_name="{user}"),
            a_role("of-group", session_name="{group}"),
            a_role("chained", base="of-user", session_name="{group}"),
        )
        facts = CallerFacts(caller="trainer", uid="1000", user="alice", group="vision")
        row = status.lease_row(Keeper(a_book(*parts).rendered(name, facts), START, lambda: 0.0), START)

        assert (row.uid, row.user, row.group, row.job) == (*whose, None)

    def test_what_is_made_for_one_job_says_for_which(self):
        """And whose that is."""
        facts = CallerFacts(caller="trainer", uid="1000", user="alice", job="0123456789ab")
        row = status.lease_row(Keeper(a_book(an_hmac("keys")).rendered("keys", facts), START, lambda: 0.0), START)

        assert (row.uid, row.user, row.job, row.whose) == (1000, "alice", "0123456789ab", "alice, job 0123456789ab")


class TestGranted:
    def test_what_a_lease_tells_goes_before_what_the_file_says(self):
        """A region by which it was minted is the right one."""
        keeper = warm(cold(a_role(region="eu-west-1")), region="us-east-1")

        (one,) = status.granted([(keeper, True)], START)

        assert (one.name, one.kind, one.first, one.region) == ("train", "aws", True, "us-east-1")

    def test_plain_settings_are_told_too(self):
        """`exec` and `env` set them beside the credential."""
        (one,) = status.granted([(cold(a_role(env=(("S3_CANNED_ACL", "x"),))), True)], START)

        assert one.settings == (("S3_CANNED_ACL", "x"),)

    def test_without_a_lease_the_file_is_all_there_is(self):
        """A worker may start before its lease is there."""
        told = status.granted(
            [
                (cold(a_role(region="eu-west-1", profile="prod")), True),
                (cold(an_adc(project="p", quota_project="q"), name="data"), False),
            ],
            START,
        )

        aws, google = told
        assert (aws.region, aws.profile, aws.project) == ("eu-west-1", "prod", None)
        assert (google.kind, google.first, google.project, google.quota_project) == ("gcp", False, "p", "q")


def kept(*rendereds: Rendered) -> list[Keeper]:
    """Keepers of what is kept fresh whether or not anybody asks."""
    keepers = [Keeper(rendered, START, lambda: 0.0) for rendered in rendereds]
    for keeper in keepers:
        keeper.kept = True
    return keepers


class TestMissing:
    def test_it_is_the_required_ones_without_a_valid_lease(self):
        """Until there are none the daemon is not ready; a lapsed one makes it so again."""
        parts = (a_role("a"), a_role("b"), a_role("c", required=False), a_role("d", warm="first-use"))
        book = a_book(*parts)
        keepers = kept(*(book.rendered(part.name, FACTS) for part in parts))
        warm(keepers[1])

        assert status.missing(book, keepers, START) == ("a",)
        assert status.missing(book, keepers, START + 3600) == ("a", "b")

    def test_each_name_comes_once(self):
        """However many callers it renders for."""
        book = a_book(a_role(session_name="j-{caller}"))
        keepers = kept(*(book.rendered("train", CallerFacts(caller=name)) for name in ("one", "two")))

        assert status.missing(book, keepers, START) == ("train",)

    def test_what_is_minted_only_because_somebody_asked_gates_nothing(self):
        """A base that nobody is granted, of a credential that waits for its first use."""
        book = a_book(a_session("base"), a_role("lazy", base="base", warm="first-use"))
        asked = Keeper(book.rendered("base", FACTS), START, lambda: 0.0)

        assert status.missing(book, [asked], START) == ()
        assert status.missing(book, kept(book.rendered("base", FACTS)), START) == ("base",)

    def test_an_id_token_gates_nothing(self):
        """It is minted when somebody asks."""
        book = a_book(an_adc(audiences=(SERVICE,)))
        keeper = Keeper(book.rendered("data", FACTS, SERVICE), START, lambda: 0.0)

        assert status.missing(book, [keeper], START) == ()


class TestDegraded:
    def test_it_is_those_whose_last_mint_failed(self):
        """Also while their lease is served."""
        held = failing(warm(cold()), Unreachable("no answer"))
        fine = warm(Keeper(a_rendered(a_role("fine")), START, lambda: 0.0))

        assert status.degraded([held, fine]) == ("train",)
