"""The little that the values can say of themselves."""

from datetime import UTC, datetime

import pytest

from broker.model import Facts
from tests.leaping import START
from tests.made import a_caller, a_lease


class TestLease:
    def test_what_is_left_is_by_the_boot_clock(self):
        """The wall clock may step."""
        assert a_lease(lifetime=900).left(START + 100) == 800

    def test_its_expiry_is_aware(self):
        """A naive time is read as local by whoever gets it."""
        assert a_lease(lifetime=900).expiry == datetime(2027, 1, 15, 8, 15, tzinfo=UTC)


class TestFacts:
    @pytest.mark.parametrize(
        ("facts", "identity"),
        [
            (Facts(arn="arn", email="e", account="1"), "arn"),
            (Facts(email="e", account="1"), "e"),
            (Facts(account="1"), "1"),
            (Facts(), None),
        ],
    )
    def test_the_identity_is_the_most_telling_one(self, facts: Facts, identity: str | None):
        """One word for audit, status and logs."""
        assert facts.identity == identity


class TestCaller:
    def test_its_name_is_all_that_it_matched(self):
        """In file order."""
        assert a_caller("trainer", "vision").name == "trainer+vision"

    def test_callers_that_are_alike_are_equal(self):
        """The desk remembers what it found for one."""
        assert a_caller("trainer") == a_caller("trainer")
        assert len({a_caller("trainer"), a_caller("trainer"), a_caller("trainer", uid=2)}) == 2
