"""What the minter service may be asked: what is configured, for whom it is granted, and nothing else."""

from typing import Any

import pytest

from broker.config.shape import CallerEntry, Pods, Rule
from broker.minter.admission import NotAdmitted, admit
from broker.minter.frames import Call, Examine
from broker.model import Ask, CallerFacts, Given, Review, Value
from broker.plan import Book
from broker.secret import Secret
from tests.made import SERVICE, a_book, a_role, a_session, a_token, an_adc, an_entry, an_hmac, an_id_token, keys

BOOK = a_book(
    a_session("base"),
    a_session("middle"),
    a_role("train", "base"),
    a_role("long", "train"),
    a_role("by-user", session_name="{user}"),
    an_adc("data", audiences=(SERVICE,)),
    a_role("nobodys"),
    an_hmac(),
    an_entry("trainer", "train", "data", "hmac"),
    an_entry("chainer", "long"),
    an_entry("member", "by-user", "data"),
    an_entry("empty"),
)
ALICE: dict[str, Any] = {"caller": "trainer", "uid": "1000", "user": "alice"}


def call(credential: str = "data", do: str = "mint", base: Value | None = None, **more: Any) -> Call:
    """A question; `more` are facts, and an audience."""
    given = Given(base=base, audience=more.pop("audience", None), spent=more.pop("spent", ()))
    facts = CallerFacts(**{**ALICE, **more})
    return Call(do=do, ask=Ask(credential=credential, facts=facts, generation="0" * 64, given=given))  # type: ignore[arg-type]  # any


def refused(asked: Call, book: Book = BOOK) -> str:
    """The reason of the refusal."""
    with pytest.raises(NotAdmitted) as caught:
        admit(book, asked)
    return caught.value.reason


class TestAdmitted:
    @pytest.mark.parametrize(
        "asked",
        [
            call(),
            call(do="who"),
            call(audience=SERVICE),
            call(uid=None, user=None),
            call(uid="0", user="root"),
            call(uid="4294967294"),
            call(user="DOMAIN\\some body"),
            call("train", base=keys()),
            call("base"),
            call("long", caller="chainer", base=keys()),
            call("train", caller="chainer", base=keys()),
            call("base", caller="chainer"),
            call("by-user", caller="member"),
            call("hmac", job="0123456789ab"),
            call("hmac", do="retire", spent=("GOOG1E",)),
            call("hmac", do="retire"),
        ],
        ids=str,
    )
    def test_what_is_granted_and_what_it_is_minted_from(self, asked: Call):
        """As any honest daemon asks; whose names no template shows may be called as they like."""
        admit(BOOK, asked)

    def test_a_group_is_one_that_the_caller_is_matched_by(self):
        """And not one of another caller's."""
        entry = an_entry("member", "data")
        book = a_book(an_adc(), type(entry)(name="member", rules=(Rule(group="vision"),), grants=("data",)))

        admit(book, call(caller="member", group="vision"))

        assert refused(call(caller="member", group="wheel"), book) == "facts"


class TestRefused:
    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            (call(do="find"), "question"),
            (call("nothing"), "credential"),
            (call(""), "credential"),
            (call(caller="stranger"), "caller"),
            (call(caller=""), "caller"),
            (call("nobodys"), "grant"),
            (call("middle"), "grant"),
            (call("long", base=keys()), "grant"),
            (call(caller="empty"), "grant"),
            (call("train", caller="member", base=keys()), "grant"),
            (call("data", do="retire"), "question"),
            (call("hmac", do="retire", caller="member", spent=("GOOG1E",)), "grant"),
            (call("hmac", spent=("GOOG1E",)), "spent"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_nobody_configured(self, asked: Call, reason: str):
        """Whoever runs in the daemon cannot invent it."""
        assert refused(asked) == reason

    @pytest.mark.parametrize(
        "facts",
        [
            *({"uid": text} for text in ("", "-1", "01", "1 ", "\u0661", "4294967295", "1e3", "9" * 5000)),
            *({"user": text} for text in ("", "a\nb", "\x1b[2J", "a" * 257)),
            *({"group": text} for text in ("", "wheel")),
        ],
        ids=lambda facts: repr(facts)[:30],
    )
    def test_facts_that_no_process_has(self, facts: dict[str, Any]):
        """They would stand in an audit line, if in nothing else."""
        assert refused(call(**facts)) == "facts"

    @pytest.mark.parametrize("user", [None, "some body", "a/b", "alice\n"])
    def test_facts_that_a_template_cannot_take(self, user: str | None):
        """They name the session that is minted."""
        assert refused(call("by-user", caller="member", user=user)) == "facts"

    @pytest.mark.parametrize(
        ("credential", "audience"), [("data", "https://other.example"), ("data", ""), ("base", SERVICE)]
    )
    def test_an_audience_that_nobody_configured(self, credential: str, audience: str):
        """An ID token would let a worker be us there."""
        assert refused(call(credential, audience=audience)) == "audience"

    @pytest.mark.parametrize(
        ("credential", "base"),
        [("train", None), ("train", a_token()), ("train", an_id_token()), ("data", a_token()), ("base", keys())],
    )
    def test_a_base_where_none_belongs_and_none_where_one_does(self, credential: str, base: Value | None):
        """Without its base a chained credential would be minted by the long-lived identity."""
        assert refused(call(credential, base=base)) == "base"


class TestExamine:
    @pytest.mark.parametrize("token", [None, Secret("a.b.c")])
    def test_whose_a_token_is_may_be_asked_where_a_caller_is_a_pod(self, token: Secret | None):
        """Or for the keys that would tell."""
        pods = CallerEntry(name="pods", rules=(Rule(kubernetes=Pods("ml", "trainer", "credbroker")),))

        admit(a_book(an_adc(), pods), Examine(Review(token=token, generation="0" * 64)))

    def test_and_nowhere_else(self):
        """The minter would ask around in a cluster that it has no business with."""
        with pytest.raises(NotAdmitted) as caught:
            admit(BOOK, Examine(Review(token=None, generation="0" * 64)))

        assert caught.value.reason == "pods"
