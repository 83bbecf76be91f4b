from pathlib import Path
from typing import ClassVar

import pytest

from broker.config.read import survey
from broker.sources import Source
from tests.config import toy
from tests.config.toy import TABLE, config, mistakes

SHARED = (
    "grants the identity that `b` is minted from, and so all that it may do; "
    "add share_identity = true to [credentials.a] if that is meant"
)

ROLE = "source = 'aws-assume-role'\nrole_arn = 'arn:x'\n"


class OfOneJob(toy.Session, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What each job has for itself."""

    per_job: ClassVar[bool] = True


def credential(name: str, text: str = "", source: str = ROLE) -> str:
    return f"[credentials.{name}]\n{source}{text}\n"


def session(name: str, text: str = "") -> str:
    return credential(name, text, "source = 'aws-session'\n")


def grants(*names: str) -> str:
    return f"[callers.x]\nuid = 5\ngrants = {list(names)}\n"


def told(*parts: str) -> list[str]:
    return [mistake.partition(" ")[2] for mistake in mistakes("".join(parts))]


class TestFrom:
    def test_names_a_credential_of_the_right_kind(self):
        """In whatever order they stand."""
        chained = config(credential("b", "from = 'a'") + session("a")).credentials[0]

        assert chained.base == "a"

    def test_a_misspelt_name_gets_a_suggestion(self):
        """From the names that are there."""
        assert told(session("base"), credential("b", "from = 'bsae'")) == [
            "[credentials.b] from: there is no such credential; did you mean `base`?"
        ]

    def test_a_source_without_a_base_takes_none(self):
        """It would be ignored in silence."""
        assert told(session("a"), session("b", "from = 'a'")) == [
            "[credentials.b] from: aws-session is not minted from another credential; leave it out"
        ]

    def test_a_base_of_another_cloud_is_a_mistake(self):
        """AWS does not sign with a Google token."""
        text = credential("g", source="source = 'gcp-adc'"), credential("b", "from = 'g'")

        assert told(*text) == ["[credentials.b] from: must name a credential of the kind `aws`, and this one is not"]

    def test_a_base_with_mistakes_of_its_own_is_judged_as_far_as_it_goes(self):
        """Every mistake at once, and no false ones."""
        assert told(session("a", "duration = 1"), credential("b", "from = 'a'"), grants("a")) == [
            '[credentials.a] duration: must be a duration such as "45m" or "1h", 15m to 12h',
            f"[callers.x] grants[0]: {SHARED}",
        ]

    def test_a_base_whose_source_is_unknown_is_not_judged(self):
        """Its kind is unknown too."""
        (mistake,) = told(credential("a", source="source = 'x'\n"), credential("b", "from = 'a'"))

        assert "unknown source" in mistake

    def test_a_source_that_cannot_do_without_says_so(self):
        """Rather than each mint."""
        assert told(credential("a", source="source = 'azure-sas'\n")) == [
            "[credentials.a]: from is missing: azure-sas is minted from another credential, of kind aws"
        ]

    @pytest.mark.parametrize("name", ["'x'", "7"])
    def test_a_wrong_one_is_one_mistake(self, name: str):
        """It is there."""
        (mistake,) = told(credential("a", f"from = {name}", source="source = 'azure-sas'\n"))

        assert mistake.startswith("[credentials.a] from: ")


class TestSound:
    def test_what_is_minted_from_something_wrong_is_left_out(self, tmp_path: Path):
        """Only what is right can be rendered, and what it would then lack is no mistake of its own."""
        text = [
            session("good"), credential("chained", "from = 'good'"), session("bad", "duration = 1"),
            credential("of_bad", "from = 'bad'"), credential("of_none", "from = 'none'"),
            credential("round", "from = 'round'"), credential("to_round", "from = 'round'"),
        ]  # fmt: skip

        path = tmp_path / "config.toml"
        path.write_text("".join(text))

        assert [one.name for one in survey(path, table=TABLE).config.credentials] == ["good", "chained"]


class TestCycles:
    def test_a_cycle_is_shown(self):
        """Once, however many credentials lead into it."""
        text = credential("c", "from = 'a'"), credential("a", "from = 'b'"), credential("b", "from = 'a'")

        assert told(*text) == ["[credentials.a] from: goes in a circle: a → b → a"]

    def test_a_credential_cannot_be_minted_from_itself(self):
        """The smallest cycle."""
        assert told(credential("a", "from = 'a'")) == ["[credentials.a] from: goes in a circle: a → a"]

    def test_two_cycles_are_two_mistakes(self):
        """Every mistake at once."""
        text = [credential(name, f"from = '{base}'") for name, base in ("ab", "ba", "cd", "dc")]

        assert len(told(*text)) == 2


class TestChainedRoles:
    @pytest.mark.parametrize("base", [ROLE, "source = 'aws-web-identity'\n"])
    def test_a_role_from_a_roles_session_lives_an_hour_at_most(self, base: str):
        """AWS would refuse each mint."""
        (mistake,) = told(credential("a", source=base), credential("b", "from = 'a'\nduration = '2h'"))

        assert mistake.startswith("[credentials.b] duration: at most 1h here: AWS gives")

    @pytest.mark.parametrize(("base", "duration"), [(ROLE, "1h"), ("source = 'aws-session'\n", "12h")])
    def test_any_other_may_live_longer(self, base: str, duration: str):
        """STS does not say that a session of GetSessionToken is limited."""
        assert told(credential("a", source=base), credential("b", f"from = 'a'\nduration = '{duration}'")) == []


class TestGrants:
    def test_what_does_not_exist_cannot_be_granted(self):
        """With the place in the list."""
        assert told(session("train"), grants("train", "trian")) == [
            "[callers.x] grants[1]: there is no such credential; did you mean `train`?"
        ]

    def test_twice_is_a_mistake(self):
        """One of the two was meant to be another."""
        assert told(session("a"), grants("a", "a")) == ["[callers.x] grants[1]: is granted already"]

    def test_a_credential_with_mistakes_of_its_own_exists(self):
        """One mistake is told once."""
        assert len(told(session("a", "duration = 1"), grants("a"))) == 1

    def test_an_identity_that_others_are_minted_from_is_not_granted_by_accident(self):
        """Whoever holds it can mint the others himself."""
        text = credential("b", "from = 'a'"), grants("b", "a")

        assert told(session("a"), *text) == [f"[callers.x] grants[1]: {SHARED}"]
        assert told(session("a", "share_identity = true"), *text) == []


class TestReadiness:
    def test_what_is_minted_when_asked_for_cannot_gate_readiness(self):
        """The daemon would never be ready."""
        text = "warm = 'first-use'\nrequired = true"

        assert told(session("a", text)) == [
            '[credentials.a] required: cannot gate readiness: warm = "first-use" mints it only when somebody asks'
        ]

    @pytest.mark.parametrize("text", ["", "warm = 'first-use'", "required = false", "warm = 'start'\nrequired = true"])
    def test_everything_else_can_be_said(self, text: str):
        """The defaults, and both said in agreement."""
        assert told(session("a", text)) == []

    @pytest.mark.parametrize("text", ["warm = 'start'", "required = true", "warm = 'first-use'\nrequired = true"])
    def test_what_depends_on_the_process_that_asks_cannot_be_minted_before(self, text: str):
        """Its user is not known yet; nor where its base depends on it."""
        alone = told(credential("a", f"session_name = '{{user}}-{{uid}}'\n{text}"))
        chained = told(credential("a", "session_name = '{user}-{uid}'"), credential("b", f"from = 'a'\n{text}"))

        assert len(alone) == len(chained) == 1
        assert alone[0].endswith("it renders {uid}, {user}, known only when somebody asks")
        assert chained[0].startswith("[credentials.b]")

    @pytest.mark.parametrize("text", ["warm = 'start'", "required = true"])
    def test_nor_can_what_each_job_has_for_itself(self, text: str, monkeypatch: pytest.MonkeyPatch):
        """There is no job yet."""
        own = Source(name="own", spec=OfOneJob, mint=toy.mint, who=toy.who)
        monkeypatch.setitem(toy.TABLE, "own", own)

        (mistake,) = told(credential("a", text, "source = 'own'\n"))

        assert mistake.endswith("each job has one of its own, made when it asks")

    def test_the_caller_and_the_host_are_known_before(self):
        """They are the default session name."""
        assert told(credential("a", "session_name = '{caller}-{hostname}'\nwarm = 'start'\nrequired = true")) == []

    def test_a_policy_variable_depends_on_nobody_here(self):
        """AWS fills it in."""
        assert told(credential("a", "policy = { R = '${aws:user}' }\nwarm = 'start'")) == []
