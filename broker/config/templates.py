"""Templates in configured strings: `{caller}` and its kin. Pure.

Only five names can be filled in; any other brace is a mistake, so that no misspelt template reaches a cloud.
The one exception is an IAM policy variable, which has a dollar sign, and a colon or one of `*?$` inside:
`${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, `${*}`. It is AWS that fills these in, and they are left alone.
`${caller}` is neither one nor the other and is a mistake.

Where a spec limits the form of a field, its pattern says whether templates may stand in it; `plan` holds what was
rendered against the limits again.
"""

import re
from collections.abc import Iterator
from typing import Any

from broker.config.leaves import Steps, strings

FACTS = ("caller", "hostname", "uid", "user", "group")
PATTERN = "\\{(caller|hostname|uid|user|group)\\}"
_BRACES = re.compile(r"\$?\{[^{}]*\}|[{}]")
_KNOWN = re.compile(PATTERN)
_POLICY_VARIABLE = re.compile(r"\$\{(?:[*?$]|[A-Za-z0-9.-]+:[^{}]+)\}")
_ALL = ", ".join(f"{{{fact}}}" for fact in FACTS)


def faults(value: Any) -> Iterator[tuple[Steps, str]]:
    """Every wrong template in the strings of a value (the keys of its tables too), with the way to it."""
    for steps, text in strings(value):
        for fault in dict.fromkeys(_fault(found[0]) for found in _BRACES.finditer(text)):
            if fault:
                yield steps, fault


def facts_in(value: Any) -> set[str]:
    """The names that the templates of a value ask for."""
    return {found[1] for _, text in strings(value) for found in _KNOWN.finditer(text)}


def _fault(found: str) -> str | None:
    if len(found) == 1:
        return "has a brace without its partner; a template is written {caller}"
    if found.startswith("$"):
        if _POLICY_VARIABLE.fullmatch(found):
            return None
        return "has a template with a dollar sign before it; write {caller}, or ${aws:...} for an IAM policy variable"
    return None if _KNOWN.fullmatch(found) else f"has an unknown template; {_suggestion(found[1:-1])}"


def _suggestion(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, FACTS, n=1)
    return f"did you mean {{{close[0]}}}?" if close else f"there are {_ALL}"
