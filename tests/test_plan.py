"""The Book: templates rendered for callers, chains followed, what is warm and what is required."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.config.shape import Credential
from broker.errors import ConfigError
from broker.model import CallerFacts, Kind, Reference
from broker.plan import Book, Rendered, Unrenderable, gives, is_required, make_book, of_one_caller, warms_at_start
from broker.sources.aws_specs import AssumeRole
from broker.sources.private_env import PrivateEnv
from tests.made import SERVICE, a_book, a_config, a_role, a_session, an_adc, an_entry

FACTS = CallerFacts(caller="trainer", uid="1000", user="alice", group="vision")
ALL = "{caller}-{hostname}-{uid}-{user}-{group}"


def role_of(rendered: Rendered) -> AssumeRole:
    assert isinstance(rendered.spec, AssumeRole)
    return rendered.spec


def the_role(book: Book, facts: CallerFacts = FACTS, name: str = "train") -> AssumeRole:
    return role_of(book.rendered(name, facts))


class TestTemplates:
    def test_all_five_are_filled_in(self):
        """In whatever order they come."""
        spec = the_role(a_book(a_role(session_name=ALL)))

        assert spec.session_name == "trainer-node7-1000-alice-vision"

    def test_they_stand_in_nested_strings_and_keys_too(self):
        """After parsing, never in raw JSON: a value cannot break out of its string."""
        policy = {"Statement": [{"Resource": ["arn:aws:s3:::home/{user}/*"], "{caller}": "${aws:username}"}], "n": 1}
        spec = the_role(a_book(a_role(tags={"team-{group}": "of {user}"}, policy=policy)))

        assert spec.tags == {"team-vision": "of alice"}
        assert spec.policy == {
            "Statement": [{"Resource": ["arn:aws:s3:::home/alice/*"], "trainer": "${aws:username}"}],
            "n": 1,
        }

    def test_they_stand_in_the_path_of_a_reference_too(self):
        """Each user's own secret."""
        secrets = {"A": Reference(file="/secrets/{user}/a"), "B": Reference(env="B")}
        book = a_book(Credential(name="train", source="private-env", spec=PrivateEnv(secrets=secrets)))
        spec = book.rendered("train", FACTS).spec

        assert isinstance(spec, PrivateEnv)
        assert spec.secrets == {"A": Reference(file="/secrets/alice/a"), "B": Reference(env="B")}

    def test_what_has_none_is_left_as_it_is(self):
        """The very same spec, for every caller."""
        book = a_book(a_role())

        assert book.rendered("train", FACTS).spec is book.credentials["train"].spec

    def test_the_types_of_a_spec_are_not_worked_out_for_it(self, monkeypatch: pytest.MonkeyPatch):
        """That takes ten times as long as the rendering, and a start renders each of a thousand credentials."""
        book = a_book(a_role(session_name="{hostname}-{caller}"))
        monkeypatch.delattr(msgspec.structs, "fields")

        assert the_role(book).session_name == "node7-trainer"

    @pytest.mark.parametrize("name", [".", "..", "a/b", ""])
    def test_no_fact_leads_out_of_a_folder(self, name: str):
        """It may stand in the path of a secret."""
        secrets = {"A": Reference(file="/secrets/{user}/a")}
        book = a_book(Credential(name="train", source="private-env", spec=PrivateEnv(secrets=secrets)))

        with pytest.raises(Unrenderable, match=r"\{user\} is not known"):
            book.rendered("train", CallerFacts(caller="trainer", user=name))

    @pytest.mark.parametrize("fact", ["uid", "user", "group"])
    def test_an_unset_fact_denies(self, fact: str):
        """A token that is bound to nobody renders no {user}."""
        book = a_book(a_role(session_name=f"job-{{{fact}}}"))

        with pytest.raises(Unrenderable, match=f"credential 'train', session_name: {{{fact}}} is not known"):
            book.rendered("train", CallerFacts(caller="trainer"))

    @pytest.mark.parametrize(
        "value", ["", "a b", "a/b", 'a"', "a\n", "../x", "{user}", "ü", "a" * 65, "${aws:username}", "*", "a,b", "a=b"]
    )
    def test_a_value_out_of_grammar_denies_and_is_not_quoted(self, value: str):
        """It could be a path, a wildcard or another field of a policy."""
        book = a_book(a_role(policy={"Resource": "arn:aws:s3:::home/{user}"}))

        with pytest.raises(Unrenderable) as caught:
            book.rendered("train", CallerFacts(caller="trainer", user=value))

        assert not value or value not in caught.value.advice.replace("{user}", "")

    @settings(deadline=None)
    @given(st.text())
    def test_whatever_is_rendered_is_in_grammar(self, user: str):
        """Whatever a directory server calls its users."""
        book = a_book(a_role(policy={"Resource": "<{user}>"}))
        try:
            policy = the_role(book, CallerFacts(caller="trainer", user=user)).policy
        except Unrenderable:
            return

        assert policy == {"Resource": f"<{user}>"}
        assert user.isascii()
        assert set(user) & set("/*?${}\"' \n\\") == set()

    def test_a_value_is_not_rendered_again(self):
        """One pass: what a caller is called is no template."""
        with pytest.raises(Unrenderable):
            a_book(a_role(session_name="{user}")).rendered("train", CallerFacts(caller="c", user="{caller}"))

    def test_what_outgrows_its_field_for_one_process_denies(self):
        """STS would refuse a source identity of 65 letters; so do we, and say which field."""
        book = a_book(a_role(source_identity="{user}-{user}"))

        with pytest.raises(Unrenderable, match="source_identity is out of its limits"):
            book.rendered("train", CallerFacts(caller="trainer", user="a" * 60))

    def test_what_outgrows_its_field_for_a_configured_caller_is_a_mistake_of_the_configuration(self):
        """It is known when the file is read, and nothing changes for it."""
        config = a_config(
            a_role(source_identity="{caller}-{caller}"), an_entry("c" * 60, "train"), an_entry("short", "train")
        )

        with pytest.raises(ConfigError) as caught:
            make_book(config)

        (mistake,) = caught.value.mistakes
        assert mistake.place == f"[callers.{'c' * 60}] grants"
        assert "source_identity" in mistake.text

    def test_the_hostname_is_its_first_label(self, monkeypatch: pytest.MonkeyPatch):
        """A session name takes no dots of a domain; a host without a usable name has one all the same."""
        names = {"node7.cluster.example": "node7", "ip-10-0-0-1": "ip-10-0-0-1", "": "localhost", "-": "-"}
        for whole, first in names.items():
            monkeypatch.setattr("socket.gethostname", lambda whole=whole: whole)

            assert make_book(a_config()).hostname == first


class TestChains:
    def test_a_chain_is_what_is_granted_and_all_that_it_is_minted_from(self):
        """In this order: the last one is minted from nothing."""
        book = a_book(a_session("base"), a_role("middle", base="base"), a_role(base="middle"))

        assert book.chain("train") == ("train", "middle", "base")
        assert book.chain("base") == ("base",)

    def test_a_base_is_rendered_for_the_same_caller(self):
        """Each user's role from each user's session."""
        book = a_book(a_role("base", session_name="b-{user}"), a_role(base="base", session_name="t-{user}"))

        rendered = book.rendered("train", FACTS)

        assert rendered.base is not None
        assert role_of(rendered.base).session_name == "b-alice"

    def test_a_base_that_cannot_be_rendered_denies_what_chains_from_it(self):
        """There is nothing to sign with."""
        book = a_book(a_role("base", session_name="b-{user}"), a_role(base="base"))

        with pytest.raises(Unrenderable, match="'base'"):
            book.rendered("train", CallerFacts(caller="trainer"))

    def test_a_base_never_has_the_audience(self):
        """It signs for the ID token and is none."""
        book = a_book(an_adc("base"), an_adc(audiences=(SERVICE,)))
        assert book.rendered("data", FACTS, SERVICE).audience == SERVICE

        chained = a_book(a_session("base"), a_role(base="base")).rendered("train", FACTS, SERVICE)

        assert chained.base is not None
        assert chained.base.audience is None


class TestWarm:
    def test_what_is_granted_and_knows_no_process_is_minted_at_start(self):
        """Once a rendering, bases first."""
        book = a_book(
            a_session("base"),
            a_role("chained", base="base"),
            a_role("mine", session_name="{user}"),
            a_role("lazy", warm="first-use"),
            a_role("each", session_name="job-{caller}"),
            a_role("nobodys"),
            an_entry("a", "chained", "mine", "lazy", "each"),
            an_entry("b", "chained", "each"),
        )

        assert [(one.label, one.facts.caller) for one in book.warm()] == [
            ("base", "a"),
            ("chained", "a"),
            ("each", "a"),
            ("each", "b"),
        ]

    @pytest.mark.parametrize("template", ["{uid}", "{user}", "{group}"])
    def test_what_renders_a_process_waits_for_it(self, template: str):
        """Whatever the file says: nobody is known yet."""
        book = a_book(a_role(session_name=f"j{template}"), a_role("chained", base="train", warm="start"))

        assert of_one_caller(book, "train")
        assert of_one_caller(book, "chained")
        assert book.warm() == ()

    def test_what_renders_a_process_is_found_out_once(self, monkeypatch: pytest.MonkeyPatch):
        """Readiness asks it of every lease, once a second and at each of a thousand first mints."""
        book = a_book(a_role(session_name="{user}"), a_role("chained", base="train"), a_role("plain"))
        monkeypatch.delattr(msgspec.json, "encode")

        assert [name for name in book.credentials if of_one_caller(book, name)] == ["train", "chained"]

    @pytest.mark.parametrize(
        ("more", "warm", "required"),
        [
            ({}, True, True),
            ({"warm": "start"}, True, True),
            ({"warm": "first-use"}, False, False),
            ({"required": False}, True, False),
            ({"session_name": "{user}"}, False, False),
        ],
    )
    def test_what_is_warm_is_required_unless_told(self, more: dict[str, Any], warm: bool, required: bool):
        """The defaults of the contract."""
        book = a_book(a_role(**more))

        assert (warms_at_start(book, "train"), is_required(book, "train")) == (warm, required)


class TestGives:
    @pytest.mark.parametrize(
        ("kind", "audience", "given"),
        [
            (None, None, True),
            (Kind.GOOGLE, None, True),
            (Kind.AWS, None, False),
            (Kind.GOOGLE_ID, SERVICE, True),
            (Kind.GOOGLE_ID, "https://other.example", False),
            (Kind.GOOGLE_ID, None, False),
        ],
    )
    def test_a_credential_gives_its_kind_and_its_audiences(self, kind: Kind | None, audience: str | None, given: bool):
        """An ID token for an audience that nobody configured would let a worker be us anywhere."""
        assert gives(an_adc(audiences=(SERVICE,)), kind, audience) == given

    def test_keys_give_no_id_token(self):
        """Not every spec has audiences."""
        assert not gives(a_role(), Kind.GOOGLE_ID, SERVICE)


class TestBudget:
    """Of upstream calls: 10 a second of each family, half of it for refreshes."""

    def test_a_configuration_that_needs_more_is_refused_with_the_arithmetic(self):
        """Nobody finds out on the day that all of it is refreshed together."""
        roles = [a_role(f"role{number}", duration=900) for number in range(3000)]

        with pytest.raises(ConfigError) as caught:
            a_book(*roles)

        (mistake,) = caught.value.mistakes
        assert str(mistake) == (
            "[daemon.limits] upstream_per_second: 3000 aws leases need 7.4 calls a second, minted anew at 45 % of "
            "their lives; of 10 a second, half is for that and half for retries: ask for longer lives, grant fewer, "
            "or set it to 15 if the cloud allows so many"
        )
        assert a_book(*roles[:2020]).warm()

    def test_another_family_has_its_own(self):
        """Two clouds, two budgets."""
        assert a_book(
            *(a_role(f"role{n}", duration=900) for n in range(2000)), *(an_adc(f"adc{n}") for n in range(2000))
        )

    def test_what_only_its_callers_ask_for_is_not_counted(self):
        """Nobody knows how many they are."""
        assert a_book(*(a_role(f"role{n}", duration=900, session_name="{user}") for n in range(3000)))
