"""Seeded mutants of the policy: each is told apart by a row of the table, by name."""

import pytest

from broker import policy
from tests.mutants import Mutant, compiled
from tests.policy_rows import ROWS, decided, facts_given

# What goes wrong, how the source says it, and the row that must notice.
MUTANTS = [
    (
        "allows whatever is configured",
        "for name in entry.grants if entry else ():",
        "for name in book.credentials:",
        "not granted",
    ),
    (
        "deny by default is off",
        "    return Denied(reason)",
        "    return Allowed(book.rendered(want.name or 'train', caller.matches[0]))",
        "not granted",
    ),
    (
        "a caller that is gone is the first of all",
        "book.callers.get(facts.caller)",
        "book.callers.get(facts.caller, book.config.callers[0])",
        "a caller that is gone",
    ),
    (
        "only the first match counts",
        "for facts in caller.matches:",
        "for facts in caller.matches[:1]:",
        "a union has the second's grants",
    ),
    ("later matches come first", "in caller.matches:", "in reversed(caller.matches):", "a union is in order"),
    ("`only` is ignored", "if caller.only is None:", "if True:", "narrowed away"),
    ("an empty `only` is ignored", "if caller.only is None:", "if not caller.only:", "narrowed to nothing"),
    (
        "`only` widens",
        "for name in caller.only if name in found]",
        "for name in caller.only if found.setdefault(name, caller.matches[0])]",
        "narrowed never widens",
    ),
    (
        "`only` sets no order",
        "[(name, found[name]) for name in caller.only if name in found]",
        "[(name, found[name]) for name in found if name in caller.only]",
        "narrowed sets the order",
    ),
    ("the last of a kind", "return list(found.items())", "return list(found.items())[::-1]", "the first of a kind"),
    ("any name will do", "want.name in (None, name) and ", "", "a grant by name"),
    ("an empty name is no name", "want.name in (None, name)", "(not want.name or want.name == name)", "an empty name"),
    ("any kind will do", "gives(book.credentials[name], want.kind, want.audience)", "True", "by name, of another kind"),
    (
        "a kind that is not asked for is missed",
        "want.kind, want.audience):",
        "want.kind or object(), want.audience):",
        "by name whatever its kind",
    ),
    (
        "any audience will do",
        "want.kind, want.audience):",
        "want.kind, want.audience and 'https://service.example'):",
        "an ID token for another",
    ),
    (
        "the audience is lost",
        "book.rendered(name, facts, want.audience)",
        "book.rendered(name, facts)",
        "an ID token for its audience",
    ),
    (
        "one that cannot be rendered ends it",
        "            continue\n",
        "            break\n",
        "the next after one that cannot be filled",
    ),
    ("the reason is lost", '            reason = "unrenderable"\n', "", "a template that cannot be filled"),
    (
        "one that cannot be rendered is passed over in silence",
        "                yield error\n",
        "                continue\n",
        "a template that cannot be filled",
    ),
]


class TestMutants:
    @pytest.mark.parametrize(("name", "old", "new", "row"), MUTANTS, ids=[one[0] for one in MUTANTS])
    def test_a_mutant_is_noticed_by_its_row(self, name: str, old: str, new: str, row: str):
        """A table that lets one live would not notice the day that the rule is lost."""
        mutant = Mutant(name, policy, old, new).compiled()

        assert decided(mutant, row) != ROWS[row][2]

    def test_a_shared_grant_rendered_for_the_last_match_is_noticed(self):
        """The facts are the first one's, in file order."""
        mutant = Mutant("", policy, "found.setdefault(name, facts)", "found[name] = facts").compiled()

        assert facts_given(mutant, "trainer", "vision").caller == "vision"

    def test_a_copy_without_a_mistake_passes_every_row(self):
        """Otherwise a mutant could be killed by the copying."""
        copy = compiled(policy)

        assert [name for name, (_, _, expected) in ROWS.items() if decided(copy, name) != expected] == []
