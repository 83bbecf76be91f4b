"""The error tree is what its docstring draws, and each knows its status."""

import inspect
import re
from collections.abc import Iterator

import pytest

from broker import errors
from broker.errors import BrokerError, ConfigError, IdentityMissing, MintError, Mistake, Refused, in_public

ROW = re.compile(r"^[│├└─ ]*(\w+) +(\d+|-|\d+\.\.\d+)? +(\d) +(yes|no)", re.MULTILINE)


def family(error: type[BrokerError]) -> Iterator[type[BrokerError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


def drawn() -> dict[str, tuple[str, int, bool]]:
    """The rows of the docstring: a name, its status, exit status and whether a retry can help."""
    found = ROW.findall(inspect.getdoc(errors) or "")
    return {name: (status, int(code), transient == "yes") for name, status, code, transient in found}


class TestTree:
    def test_it_is_the_one_that_the_docstring_draws(self):
        """At most about ten, and nobody has to read them to know them."""
        assert set(drawn()) | {"BrokerError"} == {error.__name__ for error in family(BrokerError)}
        assert len(drawn()) <= 10

    @pytest.mark.parametrize("error", list(family(MintError)), ids=lambda error: error.__name__)
    def test_a_mint_error_is_as_it_is_drawn(self, error: type[MintError]):
        """The keeper goes by `transient`, the planes by `status`, commands by `exit_status`."""
        assert drawn()[error.__name__] == (str(error.status), error.exit_status, error.transient)

    def test_an_error_is_its_advice_and_a_word_for_programs(self):
        """The word is the class's name unless upstream had a better one."""
        plain, coded = MintError("do this"), MintError("do this", code="AccessDenied", retry_after=7.0)

        assert (str(plain), plain.advice, plain.code, plain.retry_after) == ("do this", "do this", "MintError", None)
        assert (coded.code, coded.retry_after) == ("AccessDenied", 7.0)


class TestInPublic:
    def test_it_hides_what_the_identity_is_and_nothing_else(self):
        """A worker's programs print it."""
        plain, lost = MintError("do this"), IdentityMissing("the file /secret/place is empty", code="ReferenceEmpty")
        told = in_public(lost)

        assert (type(told), told.code, told.status) == (IdentityMissing, lost.code, lost.status)
        assert "/secret" not in told.advice
        assert in_public(plain) is plain

    def test_that_a_code_is_needed_is_for_who_has_the_device(self):
        """An MFA device is its user's."""
        needed = IdentityMissing("STS needs an MFA code", code="MfaRequired")

        assert in_public(needed) is needed


class TestRefused:
    @pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 4), (403, 4), (404, 1), (431, 1)])
    def test_who_may_not_is_told_by_the_exit_status(self, status: int, code: int):
        """4 is denied, by the contract."""
        assert Refused(status, "Code", "advice").exit_status == code

    def test_the_reason_is_for_us(self):
        """The caller reads the advice, the audit line has the reason; without one the code stands for it."""
        refused = Refused(403, "AccessDenied", "not granted", reason="unrenderable")

        assert "unrenderable" not in str(refused)
        assert refused.reason == "unrenderable"
        assert Refused(404, "NotFound", "no such path").reason == "NotFound"


class TestConfigError:
    def test_it_has_every_mistake_with_its_place(self):
        """One a line, as people read them."""
        error = ConfigError(Mistake("a.toml:1", "is wrong"), Mistake("a.toml:2", "is wrong too"))

        assert str(error) == "a.toml:1: is wrong\na.toml:2: is wrong too"
        assert len(error.mistakes) == error.exit_status == 2
