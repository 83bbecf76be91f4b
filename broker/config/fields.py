"""One configured value -> its declared type, or words about what is expected there. Pure.

msgspec converts, but its messages quote bad values; so the words come from the type, and from msgspec only the way to
the item that was wrong.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from broker.config import durations
from broker.config.leaves import Steps, unusable
from broker.model import Reference

_WAY = re.compile(r"at `(?:key in )?\$((?:\[\d+\]|\.\w+|\[\.\.\.\])*)`$")
# What people need not read of a pattern: its anchors, and that a template may stand in it too.
_NOISE = re.compile(r"^\^|\$(?:\(\?!\\n\))?$|\|\\\{\(\?:caller\|hostname\|uid\|user\|group\)\\\}")
_STEP = re.compile(r"\[(\d+)\]|\.(\w+)")


class Unfit(Exception):
    """A value does not fit; `steps` lead to the item that does not, and the text quotes none. `table` catches it."""

    def __init__(self, text: str, steps: Steps = ()) -> None:
        super().__init__(text)
        self.text = text
        self.steps = steps


def converted(value: Any, type_: Any) -> Any:
    """The value as its type. Raises Unfit."""
    for steps, fault in unusable(value):
        raise Unfit(fault, steps)
    try:
        return msgspec.convert(_seconds(value) if in_seconds(type_) else value, type_, strict=True)
    except msgspec.ValidationError as error:
        raise Unfit(f"must be {expected(inspect.type_info(type_))}", _steps(str(error))) from None


def _seconds(value: Any) -> Any:
    """A duration in words as its seconds; anything else, and words that are none, as it is."""
    count = durations.seconds(value) if isinstance(value, str) else None
    return value if count is None else count


def stand_in(type_: Any) -> Any:
    """Something of a required field's type, where what is configured is none: nobody may be told what it is."""
    info = inspect.type_info(type_)
    while isinstance(info, inspect.Metadata):
        info = info.type
    return info.values[0] if isinstance(info, inspect.LiteralType) else _STAND_INS[type(info)]


@functools.cache  # looking into a type takes longer than all else, and there may be thousands of credentials
def in_seconds(type_: Any) -> bool:
    """Whether a type is a duration: declared with Meta(extra={"unit": "seconds"})."""
    return _has_unit(inspect.type_info(type_), "seconds")


@functools.cache
def is_path(type_: Any) -> bool:
    """Whether a type is the path of a file: declared with Meta(extra={"unit": "path"})."""
    return _has_unit(inspect.type_info(type_), "path")


def _has_unit(info: inspect.Type, unit: str) -> bool:
    if isinstance(info, inspect.UnionType):
        return any(_has_unit(choice, unit) for choice in info.types)
    return isinstance(info, inspect.Metadata) and (_says(info, unit) or _has_unit(info.type, unit))


def _says(info: inspect.Metadata, unit: str) -> bool:
    return (info.extra or {}).get("unit") == unit


def expected(info: inspect.Type) -> str:
    """What a type takes, in words that follow "must be"."""
    return _WORDS[type(info)](info)


def _union(info: inspect.UnionType) -> str:
    return " or ".join(expected(choice) for choice in info.types if not isinstance(choice, inspect.NoneType))


def _text(info: inspect.StrType) -> str:
    form = f" of the form {_NOISE.sub('', info.pattern)}" if info.pattern else ""
    return f"text{_length(info, ' characters')}{form}"


def _list(info: inspect.VarTupleType | inspect.ListType) -> str:
    return f"a list{_length(info, ' items')}, each item {expected(info.item_type)}"


def _annotated(info: inspect.Metadata) -> str:
    schema = info.extra_json_schema or {}
    if _says(info, "seconds"):
        words = f'a duration such as "45m" or "1h"{_within(info.type, durations.human)}'
    elif isinstance(info.type, inspect.StrType) and "examples" in schema:  # says more than a pattern
        words = f"text{_length(info.type, ' characters')} such as {schema['examples'][0]}"
    else:
        words = expected(info.type)
    return f"{words} ({schema['description']})" if "description" in schema else words


def _within(info: inspect.Type, show: Callable[[int], str]) -> str:
    if not isinstance(info, inspect.IntType):
        return ""
    return _span(info.ge, info.le, show, ", ", "")


def _length(info: inspect.StrType | inspect.VarTupleType | inspect.ListType | inspect.DictType, unit: str) -> str:
    if info.min_length == 1 and info.max_length is None:
        return " that is not empty"
    return _span(info.min_length, info.max_length, str, " of ", unit)


def _span(least: int | None, most: int | None, show: Callable[[int], str], before: str, after: str) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f"{before}at least {show(least or 0)}{after}"
    if least is None:
        return f"{before}at most {show(most)}{after}"
    return f"{before}{show(least)} to {show(most)}{after}"


def _table(info: inspect.StructType) -> str:
    if info.cls is Reference:
        return '{ file = "/path" } or { env = "NAME" }, where a minter reads it: no secret stands in this file'
    return f"a table of {', '.join(field.encode_name for field in info.fields)}"


def _steps(message: str) -> Steps:
    found = _WAY.search(message)
    return tuple(int(item) if item else name for item, name in _STEP.findall(found[1])) if found else ()


# Of what sources require; `tests/config/test_credentials.py` goes through them all.
_STAND_INS: dict[type[inspect.Type], Any] = {
    inspect.BoolType: False,
    inspect.DictType: {},
    inspect.IntType: 0,
    inspect.StrType: "",
    inspect.StructType: Reference(file="/"),
    inspect.VarTupleType: (),
}
_WORDS: dict[type[inspect.Type], Callable[[Any], str]] = {
    inspect.Metadata: _annotated,
    inspect.UnionType: _union,
    inspect.LiteralType: lambda info: f"one of {', '.join(str(value) for value in info.values)}",
    inspect.IntType: lambda info: f"a whole number{_within(info, str)}",
    inspect.FloatType: lambda _: "a number",
    inspect.BoolType: lambda _: "true or false",
    inspect.StrType: _text,
    inspect.VarTupleType: _list,
    inspect.ListType: _list,
    inspect.DictType: lambda info: f"a table{_length(info, ' keys')}",
    inspect.StructType: _table,
    inspect.AnyType: lambda _: "anything",
}
