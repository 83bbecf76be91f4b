"""The trees that TOML gives, and what in them can be used nowhere. Pure."""

import math
import re
from collections.abc import Iterator
from typing import Any

Steps = tuple[str | int, ...]

DEEPEST = 32  # far deeper than any policy, and far from the recursion limits of what encodes it later
_LARGEST = 2**63 - 1
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def strings(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Every string in a value, the keys of its tables included, with the way to it."""
    if isinstance(value, str):
        yield steps, value
    for step, item in _items(value):
        if isinstance(step, str):
            yield (*steps, step), step
        yield from strings(item, (*steps, step))


def unusable(value: Any, steps: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """What no setting may hold: it could not be sent, logged or encoded."""
    if len(steps) > DEEPEST:
        yield steps[:DEEPEST], "is nested too deeply"
        return
    if fault := _fault(value):
        yield steps, fault
    for step, item in _items(value):
        if isinstance(step, str) and _CONTROL.search(step):
            yield (*steps, step), "is a key with a control character"
        yield from unusable(item, (*steps, step))


def _items(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    if isinstance(value, list):
        yield from enumerate(value)


def _fault(value: Any) -> str | None:
    match value:
        case str():
            return "has a control character" if _CONTROL.search(value) else None
        case bool() | list() | dict():
            return None
        case int():
            return None if -_LARGEST <= value <= _LARGEST else "is too large a number"
        case float():
            return None if math.isfinite(value) else "is not a finite number"
    return "is a date or time; write it as text, in quotes"
