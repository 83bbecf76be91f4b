"""Every credential minted once, and who each one is: by minters that are made up here."""

import asyncio
import os
import pwd
from collections.abc import Sequence
from typing import cast

import pytest

from broker.checking import Checker, Finding, Looked, found_identities, looked_for
from broker.config.shape import CallerEntry, Credential, Rule
from broker.errors import BrokerError, Denied, IdentityMissing, MintError, Unreachable
from broker.minter import frames
from broker.minter.client import Pool
from broker.model import AwsKeys, Facts
from tests.made import GENERATION, TRAIN, a_book, a_minted, a_role, a_session, an_adc, an_entry, keys

MFA = "arn:aws:iam::123456789012:mfa/alice"


class Minters:
    """Answers calls as scripted; whoever is not scripted is minted."""

    def __init__(self) -> None:
        self.called: list[frames.Call] = []
        self.trouble: dict[str, BrokerError] = {}
        self.content_with_a_code = False
        self.minted = Facts()
        self.who: Facts | None = None
        self.found: dict[str, str | MintError | None] = {}

    @property
    def asked(self) -> list[str]:
        """The credentials asked for, in order."""
        return [call.ask.credential for call in self.called]

    async def call(self, call: frames.Call) -> frames.Brought:
        """One mint."""
        self.called.append(call)
        content = self.content_with_a_code and call.ask.given.mfa_code is not None
        if call.ask.credential in self.trouble and not content:
            raise self.trouble[call.ask.credential]
        minted = a_minted(keys(call.ask.credential), lifetime=900.0, facts=self.minted, skew=1.5)
        return frames.Brought(minted, self.who)

    async def calls(self, calls: Sequence[frames.Call]) -> list[frames.Found | BaseException]:
        """Several looks at once."""
        self.called += calls
        answers = [self.found.get(call.ask.credential) for call in calls]
        return [answer if isinstance(answer, MintError) else frames.Found(answer) for answer in answers]


@pytest.fixture
def minters() -> Minters:
    """Nothing goes wrong by itself."""
    return Minters()


def findings(minters: Minters, *parts: Credential | CallerEntry, code: str = "123456") -> list[Finding]:
    """What a check of this configuration finds; asked for a code, it is given this one."""
    return asyncio.run(a_checker(minters, *parts, code=code).findings())


def a_checker(minters: Minters, *parts: Credential | CallerEntry, code: str = "123456") -> Checker:
    """Of this configuration."""
    return Checker(a_book(*parts), cast("Pool", minters), lambda _: code)


class TestFindings:
    def test_there_is_one_for_each_caller_of_each_credential(self, minters: Minters):
        """In file order; what nobody is granted is checked too, last."""
        parts = (a_role("unused", session_name="unused"), a_role("train"), an_adc("data"))
        callers = an_entry("trainer", "data", "train"), an_entry("guest", "train")

        assert [(one.caller, one.credential, one.source) for one in findings(minters, *parts, *callers)] == [
            ("trainer", "data", "gcp-adc"),
            ("trainer", "train", "aws-assume-role"),
            ("guest", "train", "aws-assume-role"),
            ("-", "unused", "aws-assume-role"),
        ]

    def test_what_several_callers_share_is_minted_once(self, minters: Minters):
        """By the rendered spec: what renders differently is another lease."""
        shared, own = a_role("train"), a_role("own", session_name="{caller}")
        findings(minters, shared, own, an_entry("trainer", "train", "own"), an_entry("guest", "train", "own"))

        assert minters.asked == ["train", "own", "own"]

    def test_it_tells_the_identity_the_life_and_the_clock(self, minters: Minters):
        """As the mint told it, and as upstream said when it was asked who that is."""
        minters.minted = Facts(account="1", region="eu-west-1", note="handed on")
        minters.who = Facts(account="123456789012", arn=TRAIN)
        (found,) = findings(minters, a_role())

        assert found.facts == Facts(account="123456789012", arn=TRAIN, region="eu-west-1", note="handed on")
        assert (found.lifetime, found.skew, found.error) == (900.0, 1.5, None)

    def test_where_upstream_was_not_asked_the_mint_s_word_stands(self, minters: Minters):
        """Google's answers name the account by themselves."""
        minters.minted = Facts(email="a@example.com")

        assert findings(minters, an_adc())[0].facts == Facts(email="a@example.com")

    def test_minters_are_asked_by_names_and_facts_of_this_generation(self, minters: Minters):
        """For the user who checks; a group is the first that the caller names."""
        entry = CallerEntry(name="vision", rules=(Rule(uid=4), Rule(group="cv"), Rule(group="ml")), grants=("train",))
        findings(minters, a_role(), entry)
        (call,) = minters.called

        assert (call.do, call.ask.generation) == ("who", GENERATION)
        assert (call.ask.facts.caller, call.ask.facts.uid, call.ask.facts.group) == ("vision", str(os.getuid()), "cv")

    @pytest.mark.parametrize("known", [True, False])
    def test_a_user_may_have_no_name(self, minters: Minters, monkeypatch: pytest.MonkeyPatch, known: bool):
        """As in a container that runs as some number: only what renders {user} fails."""
        monkeypatch.setattr(pwd, "getpwuid", _getpwuid if known else _no_name)
        mine, plain = findings(minters, a_role("mine", session_name="{user}"), a_role("plain"))

        assert (mine.error, plain.error) == (None if known else "Unrenderable", None)
        assert minters.called[0].ask.facts.user == ("somebody" if known else None)


def _getpwuid(_: int) -> pwd.struct_passwd:
    return pwd.struct_passwd(("somebody", "x", 1, 1, "", "/", "/bin/sh"))


def _no_name(_: int) -> pwd.struct_passwd:
    raise KeyError


class TestChains:
    def test_a_base_is_minted_before_what_chains_from_it_and_once(self, minters: Minters):
        """Its value goes along: a minter mints from no other."""
        found = findings(minters, a_role("next", base="train"), a_role("train"))

        assert minters.asked == ["train", "next"]
        assert [one.credential for one in found] == ["next", "train"]
        base = minters.called[1].ask.given.base
        assert isinstance(base, AwsKeys)
        assert base.access_key_id == "ASIAtrain"

    def test_without_its_base_it_fails_for_the_same_reason(self, minters: Minters):
        """And nothing is asked of upstream."""
        minters.trouble = {"train": Denied("the role does not trust us", code="AccessDenied")}
        found = findings(minters, a_role("next", base="train"), a_role("train"), a_role("other"))

        assert [(one.credential, one.error, one.lifetime) for one in found] == [
            ("next", "AccessDenied", None),
            ("train", "AccessDenied", None),
            ("other", None, 900.0),
        ]
        assert minters.asked == ["train", "other"]
        assert found[0].advice == "the role does not trust us"


class TestInADaemon:
    def test_what_is_missing_is_told_once_for_all_its_callers(self, minters: Minters):
        """As `/readyz` counts: a name each, however many rows there are here."""
        minters.trouble = {"each": Denied("no", code="AccessDenied"), "lazy": Denied("no", code="AccessDenied")}
        parts = (a_role("each", session_name="{caller}"), a_role("lazy", warm="first-use"), a_role("fine"))
        checker = a_checker(minters, *parts, *(an_entry(name, "each", "lazy", "fine") for name in ("one", "two")))
        found = asyncio.run(checker.findings())

        assert [(one.credential, one.required) for one in found if one.error] == [
            ("each", True), ("lazy", False), ("each", True), ("lazy", False),
        ]  # fmt: skip
        assert checker.missing() == ("each",)

    def test_a_base_is_missing_with_what_is_minted_from_it(self, minters: Minters):
        """Nobody need be granted it."""
        minters.trouble = {"base": Denied("no", code="AccessDenied")}
        checker = a_checker(minters, a_session("base"), a_role("train", base="base"), an_entry("one", "train"))
        asyncio.run(checker.findings())

        assert (checker.missing(), checker.idle()) == (("base", "train"), ())

    def test_a_code_that_was_typed_here_is_none_of_a_daemons(self, minters: Minters):
        """It is minted here, and not there."""
        parts = (a_session("base", mfa_serial=MFA), a_role("train", base="base"), an_entry("one", "train"))
        checker = a_checker(minters, *parts)

        assert {one.error for one in asyncio.run(checker.findings())} == {None}
        assert checker.missing() == ("base", "train")

    def test_what_nobody_is_granted_is_minted_by_none(self, minters: Minters):
        """It has a row here, fails perhaps, and is missing nowhere."""
        minters.trouble = {"unused": Denied("no", code="AccessDenied")}
        checker = a_checker(minters, a_role("unused"), a_role("train"), an_entry("one", "train"))
        asyncio.run(checker.findings())

        assert (checker.idle(), checker.missing()) == (("unused",), ())


class TestCode:
    def test_it_is_asked_for_once_where_a_spec_wants_one(self, minters: Minters):
        """And given to that mint alone, not to what chains from it."""
        wanted: list[str] = []

        def code(name: str) -> str:
            wanted.append(name)
            return "123456"

        book = a_book(a_session("base", mfa_serial=MFA), a_role("train", base="base"), a_role("plain"))
        asyncio.run(Checker(book, cast("Pool", minters), code).findings())
        given = [call.ask.given.mfa_code for call in minters.called]

        assert wanted == ["base"]
        assert [found and found.open() for found in given] == ["123456", None, None]

    def test_it_is_asked_for_where_upstream_wants_one(self, minters: Minters):
        """A profile may need a code that the configuration does not know of; any other trouble needs none."""
        minters.trouble = {
            "train": IdentityMissing("a code is needed", code="MfaRequired"),
            "other": IdentityMissing("the session has expired", code="SessionExpired"),
        }
        minters.content_with_a_code = True
        train, other = findings(minters, a_role("train"), a_role("other", session_name="other"))

        assert (train.error, other.error) == (None, "SessionExpired")
        assert minters.asked == ["train", "train", "other"]

    def test_a_wrong_one_is_told_and_not_asked_for_again(self, minters: Minters):
        """Who mistypes runs the command again."""
        minters.trouble = {"train": IdentityMissing("a code is needed", code="MfaRequired")}
        (found,) = findings(minters, a_role("train"))

        assert (found.error, minters.asked) == ("MfaRequired", ["train", "train"])


class TestFoundIdentities:
    def test_it_names_the_credentials_that_have_one(self, minters: Minters):
        """A broken one counts: its mint then says what is wrong with it."""
        minters.found = {
            "aws": "profile prod",
            "gcp": None,
            "expired": IdentityMissing("the session has expired"),
            "denied": Denied("the key was deleted"),
            "lost": Unreachable("the minter was lost"),
        }
        book = a_book(*(a_session(name) for name in minters.found))

        assert asyncio.run(found_identities(book, cast("Pool", minters))) == ("aws", "expired", "denied")
        assert {call.do for call in minters.called} == {"find"}

    def test_what_nobody_could_look_for_is_told_apart(self, minters: Minters):
        """It is not the same as no identity."""
        lost = Unreachable("the minter was lost", code="MinterLost")
        minters.found = {"aws": "profile prod", "gcp": None, "lost": lost}
        looked = asyncio.run(looked_for(a_book(*(a_session(name) for name in minters.found)), cast("Pool", minters)))

        assert looked == Looked(("aws",), (("lost", lost),))

    def test_where_no_minter_starts_it_says_so(self, minters: Minters):
        """`you have no identity` would send people to log in again."""
        minters.found = {"aws": None, "gcp": Unreachable("no minter process can be started", code="MinterLost")}
        book = a_book(*(a_session(name) for name in minters.found))

        with pytest.raises(Unreachable, match="no minter process can be started"):
            asyncio.run(found_identities(book, cast("Pool", minters)))
