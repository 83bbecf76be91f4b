"""References to secrets, `{ file = ... }` and `{ env = ... }`, as they are configured. Reads none of them. Pure."""

from collections.abc import Iterable
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
    specs = (credential.spec for credential in credentials)
    values = (getattr(spec, name) for spec in specs for name in spec.__struct_fields__)
    return frozenset(one.env for value in values for one in _references(value) if one.env)


def _references(value: Any) -> Iterable[Reference]:
    match value:
        case Reference():
            return (value,)
        case dict():
            return tuple(one for one in value.values() if isinstance(one, Reference))
    return ()
