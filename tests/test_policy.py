"""Deny by default, and the first grant that gives what is wanted."""

import pytest

from broker import policy
from broker.model import Want
from broker.plan import Rendered, Unrenderable
from tests.policy_rows import BOOK, NAMELESS, ROWS, decided, facts_given


class TestDecide:
    @pytest.mark.parametrize("name", ROWS)
    def test_a_row_is_decided_as_it_says(self, name: str):
        """Each rule has a row that would fall without it."""
        assert decided(policy, name) == ROWS[name][2]

    @pytest.mark.parametrize(
        ("names", "caller"), [(("trainer", "vision"), "trainer"), (("vision", "trainer"), "vision")]
    )
    def test_what_two_callers_share_is_rendered_for_the_first(self, names: tuple[str, str], caller: str):
        """In file order, like their grants."""
        assert facts_given(policy, *names).caller == caller

    def test_not_granted_and_not_existing_are_one_reason(self):
        """Nobody learns by asking what there is."""
        reasons = {ROWS[name][2] for name in ("not granted", "not existing", "granted to another caller")}

        assert len(reasons) == 1


class TestCandidates:
    def test_every_grant_comes_in_order_and_says_what_cannot_be_had(self):
        """`explain` and the worker's environment go through them all."""
        found = list(policy.candidates(BOOK, NAMELESS, Want(None)))

        assert [one.label if isinstance(one, Rendered) else type(one) for one in found] == [
            Unrenderable,
            "ident",
            "eval",
        ]
