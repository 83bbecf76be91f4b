"""`env = { NAME = "value" }` of a credential: plain variables that travel with it. Pure."""

from broker import variables
from broker.config.table import Table
from broker.config.templates import facts_in
from broker.model import Settings

LONGEST = 4096
MOST = 64


def read_settings(table: Table) -> Settings:
    """The variables in order; every mistake in them is noted, and none is quoted."""
    if len(table.content) > MOST:
        table.note(f"has more than {MOST} variables")
    found = tuple((name, table.take(name, str)) for name in table.content)
    for name, value in found:
        if value is not None and (fault := _fault(name, value)):
            table.note(fault, name)
    return tuple((name, value) for name, value in found if value is not None)


def _fault(name: str, value: str) -> str | None:
    if facts_in(value):
        return "has a template, and none is filled in here: these are the same for every caller"
    if len(value) > LONGEST:
        return f"is longer than {LONGEST} characters"
    return variables.plain_fault(name, value)
