"""References to secrets, `{ file = ... }` and `{ env = ... }`, as they are configured. Reads none of them. Pure."""

from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any

from broker.config.shape import Credential
from broker.config.table import Table
from broker.model import Reference


def absolute(value: Any, table: Table, *steps: str) -> Any:
    """The value, its references to files made absolute: a relative one starts at the folder of the configuration."""
    match value:
        case Reference(file=str(path)):
            if path.startswith("~"):
                table.note("~ is not expanded; write the whole path", *steps, "file")
            return Reference(file=str(PurePath(table.document.path).parent / path))
        case dict():
            return {name: absolute(item, table, *steps, name) for name, item in value.items()}
    return value


def variables(credentials: Iterable[Credential]) -> frozenset[str]:
    """The variables of the environment that any of them refers to."""
    return frozenset(one.env for credential in credentials for one in _all(credential) if one.env)


def files(credential: Credential) -> tuple[str, ...]:
    """The files that it refers to, by their paths."""
    return tuple(one.file for one in _all(credential) if one.file)


def _all(credential: Credential) -> Iterator[Reference]:
    spec = credential.spec
    for name in spec.__struct_fields__:
        yield from _references(getattr(spec, name))


def _references(value: Any) -> Iterable[Reference]:
    match value:
        case Reference():
            return (value,)
        case dict():
            return tuple(one for one in value.values() if isinstance(one, Reference))
    return ()
