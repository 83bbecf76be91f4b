"""`[credentials.NAME]` -> Credential: the common keys, and those of its source's spec. Pure."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import inspect

from broker.config import fields, references, templates
from broker.config.settings import read_settings
from broker.config.shape import Credential
from broker.config.table import Table, did_you_mean
from broker.model import Spec
from broker.sources import Source

NAME = re.compile(r"[A-Za-z0-9_@-][A-Za-z0-9._@-]{0,63}")  # a path that begins with a dot is refused
NAME_RULE = "a name has 1 to 64 letters, digits, dots, underscores, at signs or hyphens, and no dot first"
_WORD = re.compile(r"\w+")
COMMON = ("warm", "required", "on_denied", "share_identity")  # and `source`, `from`, `env`
TYPES = {field.name: field.type for field in msgspec.structs.fields(Credential)}


class Entry(msgspec.Struct, frozen=True, eq=False):
    """A credential as far as it could be read; `credential` is None where it has mistakes of its own."""

    table: Table
    source: Source | None
    base: str | None
    share_identity: bool
    credential: Credential | None


def read_credential(name: str, table: Table, sources: Mapping[str, Source]) -> Entry:
    """The credential; every mistake in it is noted."""
    before = table.mistakes
    if not NAME.fullmatch(name):
        table.note(NAME_RULE)
    source = _source(table, sources)
    base = table.take("from", str)
    common = {key: value for key in COMMON if (value := table.take(key, TYPES[key])) is not None}
    env = read_settings(table.below("env")) if "env" in table else ()
    credential = None
    if source:  # without one nothing is known about the other keys
        spec = _spec(table, source.spec)
        table.close()
        if spec and table.mistakes == before:
            credential = Credential(name=name, source=source.name, spec=spec, base=base, env=env, **common)
    return Entry(table, source, base, common.get("share_identity") is True, credential)


def _source(table: Table, sources: Mapping[str, Source]) -> Source | None:
    known = ", ".join(sources)
    if "source" not in table:
        table.note(f"source is missing; one of {known}")
        return None
    name = table.take("source", str)
    if name is not None and name not in sources:
        table.note(f"unknown source{did_you_mean(name, *sources) or f'; one of {known}'}", "source")
    return sources.get(name)


def _spec(table: Table, type_: type[Spec]) -> Spec | None:
    given: dict[str, Any] = {}
    wrong: set[str] = set()
    for field in _fields(type_):
        key, before = field.encode_name, table.mistakes
        if key in table:
            value = _templated(table, key, field.type)
            if table.mistakes == before:
                given[field.name] = value
        elif field.required:
            table.take(key, field.type)
            table.note(f"{key} is missing: {fields.expected(inspect.type_info(field.type))}")
        if table.mistakes > before:
            wrong.add(field.name)
    _note_between(table, type_, given, wrong)
    return None if wrong else type_(**given)


def _note_between(table: Table, type_: type[Spec], given: dict[str, Any], wrong: set[str]) -> None:
    """What is wrong between the fields, as far as it does not hang on one that is wrong by itself."""
    stand_ins = {one.name: fields.stand_in(one.type) for one in _fields(type_) if one.required and one.name in wrong}
    names = {field.name: field.encode_name for field in _fields(type_)}
    for name, text in type_(**given, **stand_ins).mistakes():
        if wrong.isdisjoint({name, *_WORD.findall(text)}):
            table.note(text, names.get(name, name))


@functools.cache
def _fields(type_: type[Spec]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a spec: msgspec works them out anew each time, and there may be thousands of credentials."""
    return msgspec.structs.fields(type_)


def _templated(table: Table, key: str, type_: Any) -> Any:
    before = table.mistakes
    if fields.is_path(type_):
        value = table.take_path(key, type_)
    else:
        value = references.absolute(table.take(key, type_), table, key)
    if table.mistakes == before:
        for steps, fault in templates.faults(table.content[key]):
            table.note(fault, key, *steps)
    return value
