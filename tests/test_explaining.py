"""Which rule decides, and what upstream would be asked: by the decision that requests get, in words for people."""

import os
from pathlib import Path

import msgspec
import pytest

from broker import policy, vetting
from broker.callers.accounts import Account
from broker.config.shape import CallerEntry, Config, Credential, Pods, Rule
from broker.control_api import ExplainOrder, Explanation
from broker.errors import ConfigError, Refused
from broker.explaining import HIDDEN, Question, by_files, explain
from broker.model import Caller, Want
from broker.plan import make_book
from broker.sources import TABLE
from tests.daemons import written
from tests.made import HOST, TRAIN, a_book, a_config, a_role, a_session, an_adc
from tests.policy_rows import BOOK, ROWS

ALICE = Account(1000, "alice", ((1000, "alice"), (300, "vision")))
BOB = Account(1001, None, ())
TRAINER = CallerEntry(
    name="trainer", rules=(Rule(uid=1000), Rule(group="vision")), grants=("train", "home", "data", "eval")
)
PARTS: tuple[Credential | CallerEntry, ...] = (
    a_session("base"),
    a_role("train", base="base", duration=2700, external_id="ext", region="eu-west-1"),
    a_role("home", session_name="home-{user}", tags={"who": "{user}"}),
    a_role("eval", session_name="{caller}"),
    a_role("admin"),
    an_adc("data", scopes=("https://scope.example/a", "https://scope.example/b")),
    TRAINER,
    CallerEntry(name="guest", rules=(Rule(uid=1000),), grants=("train", "eval")),
    CallerEntry(name="pods", worker_token=True, grants=("home", "train")),
)


def explained(caller: str, credential: str, account: Account | None = ALICE, *, whole: bool = True) -> Explanation:
    """Of the parts above."""
    book = a_book(*PARTS)
    return explain(Question(book, (), book.callers[caller], credential, account, whole))


class TestExplain:
    @pytest.mark.parametrize(
        ("caller", "credential", "grant", "default"),
        [
            ("trainer", "train", 1, "aws"),
            ("trainer", "home", 2, None),
            ("trainer", "data", 3, "gcp"),
            ("guest", "eval", 2, None),
        ],
    )
    def test_what_is_granted_is_allowed_by_its_place(
        self, caller: str, credential: str, grant: int, default: str | None
    ):
        """Among the caller's grants, of which the first of a kind is the default."""
        found = explained(caller, credential)

        assert (found.allowed, found.reason, found.grant, found.default_of) == (True, "granted", grant, default)
        assert (found.caller, found.nth, found.callers) == (caller, 1 if caller == "trainer" else 2, 3)

    @pytest.mark.parametrize("name", ROWS)
    def test_it_decides_as_requests_are_decided(self, name: str):
        """Not by another reading of the rules: the policy's rows by name, of one caller, as that process asks."""
        caller, want, _ = ROWS[name]
        named = want.name or "train"
        account = Account(caller.uid, "alice") if caller.uid is not None else None
        for facts in caller.matches:
            alone = Caller(matches=(facts,), how="uid", uid=caller.uid)
            decision = policy.decide(BOOK, alone, Want(None, named))
            if (entry := BOOK.callers.get(facts.caller)) is not None:
                found = explain(Question(BOOK, (), entry, named, account))
                assert found.allowed is isinstance(decision, policy.Allowed)

    def test_the_chain_is_asked_from_its_base_on(self):
        """Rendered, by the configuration's own keys, with what is set and nothing else."""
        base, train = explained("trainer", "train").mints

        assert (base.credential, base.source, base.spec) == ("base", "aws-session", {"duration": 43_200})
        assert train.spec == {
            "role_arn": TRAIN,
            "session_name": "job",
            "duration": 2700,
            "external_id": "ext",
            "region": "eu-west-1",
        }
        assert base.rendered
        assert train.rendered

    def test_google_is_asked_for_scopes(self):
        """As configured; never for what a caller names."""
        (data,) = explained("trainer", "data").mints

        assert data.spec == {"scopes": ("https://scope.example/a", "https://scope.example/b")}

    def test_a_template_is_rendered_for_the_process(self):
        """In every text of the spec."""
        (home,) = explained("trainer", "home").mints

        assert (home.spec["session_name"], home.spec["tags"]) == ("home-alice", {"who": "alice"})

    @pytest.mark.parametrize(
        ("account", "advice"), [(None, "name the user whose process it is by --uid"), (BOB, "give the user or group a")]
    )
    def test_a_template_that_denies_says_which_and_shows_it(self, account: Account | None, advice: str):
        """The field and the fact, and what is to be rendered."""
        found = explained("pods", "home", account)

        assert (found.allowed, found.reason, found.grant) == (False, "unrenderable", 1)
        assert "'home', session_name: {user} is not known" in found.why
        assert found.advice is not None
        assert found.advice.startswith(advice)
        assert [(mint.rendered, mint.spec["session_name"]) for mint in found.mints] == [(False, "home-{user}")]

    def test_a_long_session_name_is_shown_as_upstream_is_told_it(self):
        """64 characters, of which the end is readable."""
        book = a_book(a_role("eval", session_name="{hostname}-{caller}"), hostname="n" * 63)
        (mint,) = explain(Question(book, (), book.callers["trainer"], "eval", ALICE)).mints

        assert len(mint.spec["session_name"]) == 64
        assert mint.spec["session_name"].endswith("n-trainer")

    @pytest.mark.parametrize(
        ("whole", "name", "why"),
        [
            (True, "admin", "trainer is not granted admin"),
            (True, "hmoe", "there is no credential 'hmoe' in the configuration; did you mean `home`?"),
            (False, "admin", "trainer is not granted admin, or there is no such credential"),
            (False, "hmoe", "trainer is not granted hmoe, or there is no such credential"),
        ],
    )
    def test_not_granted_and_not_there_are_told_apart_for_operators_alone(self, whole: bool, name: str, why: str):
        """For all others they are one, here as in a refusal; and no spec is shown."""
        found = explained("trainer", name, whole=whole)

        assert (found.allowed, found.reason, found.why) == (False, "not-granted", why)
        assert (found.grant, found.mints) == (None, ())

    def test_what_a_trust_may_rest_on_is_for_operators(self):
        """It is set; more a member need not know."""
        assert explained("trainer", "train", whole=False).mints[1].spec["external_id"] == HIDDEN

    @pytest.mark.parametrize(
        ("caller", "account", "matched", "also", "first"),
        [
            ("trainer", ALICE, "uid 1000", ("guest",), None),
            ("guest", ALICE, "uid 1000", ("trainer",), "trainer"),
            ("trainer", Account(7, "vera", ((300, "vision"),)), "group vision", (), None),
            ("trainer", BOB, None, (), None),
            ("pods", ALICE, None, (), None),
            ("trainer", None, None, (), None),
        ],
    )
    def test_it_says_by_what_a_process_is_that_caller_and_what_else_it_is(
        self, caller: str, account: Account | None, matched: str | None, also: tuple[str, ...], first: str | None
    ):
        """Of two callers with the grant, the first in file order is the one that it is rendered for."""
        found = explained(caller, "train", account)

        assert (found.matched, found.also, found.first) == (matched, also, first)
        assert found.place == "zero configuration"

    def test_pods_are_named_by_their_service_accounts(self):
        """They are the caller by their own tokens."""
        entry = CallerEntry(
            name="pods",
            rules=(Rule(kubernetes=Pods(namespace="ml", service_account="train", audience="broker")),),
            grants=("eval",),
        )
        book = a_book(a_role("eval"), entry)

        assert explain(Question(book, (), entry, "eval", None)).matched == "the pods of ml/train"
        assert explain(Question(book, (), entry, "eval", ALICE)).matched is None

    def test_where_a_secret_lies_is_for_operators(self):
        """A member has no business there."""
        source = TABLE["s3-static"]
        spec = msgspec.convert(
            {"access_key_id": {"file": "/id"}, "secret_access_key": {"file": "/secret"}}, source.spec
        )
        book = a_book(Credential(name="keys", source="s3-static", spec=spec), CallerEntry(name="x", grants=("keys",)))
        asked = (Question(book, (), book.callers["x"], "keys", None, whole) for whole in (True, False))
        told = [explain(question).mints[0].spec["secret_access_key"] for question in asked]

        assert told == [{"file": "/secret"}, HIDDEN]


class TestByFiles:
    @pytest.fixture
    def loaded(self, tmp_path: Path) -> tuple[Config, tuple[tuple[str, bytes], ...]]:
        """A configuration on disk, with the files as they were read."""
        config, snapshot = vetting.load(written(tmp_path))
        return config, snapshot.files

    def test_places_are_files_and_lines(self, loaded: tuple[Config, tuple[tuple[str, bytes], ...]], tmp_path: Path):
        """Where an administrator looks next; as the process that he is, if that is the caller."""
        found = by_files(*loaded, ExplainOrder(caller="trainer", credential="train"))

        assert found.place == f"{tmp_path}/config.toml:12 [callers.trainer]"
        assert found.mints[0].place == f"{tmp_path}/config.toml:6 [credentials.train]"
        assert (found.allowed, found.uid) == (True, os.getuid())

    def test_another_uid_is_looked_up(self, loaded: tuple[Config, tuple[tuple[str, bytes], ...]]):
        """On the machine where it is asked."""
        found = by_files(*loaded, ExplainOrder(caller="trainer", credential="train", uid=4711))

        assert (found.uid, found.user, found.matched) == (4711, None, None)

    def test_an_unknown_caller_is_an_error_with_a_suggestion(
        self, loaded: tuple[Config, tuple[tuple[str, bytes], ...]]
    ):
        """Exit status 4, as for all that is denied."""
        with pytest.raises(Refused, match="no caller 'trainr' in the configuration; did you mean `trainer`") as error:
            by_files(*loaded, ExplainOrder(caller="trainr", credential="train"))

        assert error.value.exit_status == 4

    def test_what_no_generation_could_be_made_of_is_a_mistake(self):
        """A caller's name that breaks a limit wherever it is rendered."""
        config = a_config(a_role("x", source_identity="{caller}"), CallerEntry(name="@" * 65, grants=("x",)))
        with pytest.raises(ConfigError):
            make_book(config, HOST)
        with pytest.raises(ConfigError):
            by_files(config, (), ExplainOrder(caller="trainer", credential="x"))
