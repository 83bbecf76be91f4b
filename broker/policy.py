"""Who may have what: deny by default. Pure."""

from collections.abc import Iterator

import msgspec

from broker.model import Caller, CallerFacts, Want
from broker.plan import Book, Rendered, Unrenderable, gives


class Allowed(msgspec.Struct, frozen=True, eq=False):
    """The credential that answers, rendered for this caller."""

    rendered: Rendered


class Denied(msgspec.Struct, frozen=True):
    """No grant answers. `reason` is for the audit line and a metric's label; the caller is not told."""

    reason: str


def decide(book: Book, caller: Caller, want: Want) -> Allowed | Denied:
    """The first grant, in file order, that gives what is wanted."""
    reason = "not-granted"
    for rendered in candidates(book, caller, want):
        if isinstance(rendered, Unrenderable):
            reason = "unrenderable"
            continue
        return Allowed(rendered)
    return Denied(reason)


def candidates(book: Book, caller: Caller, want: Want) -> Iterator[Rendered | Unrenderable]:
    """Every grant that could answer, in order; an Unrenderable stands for one whose template cannot be filled."""
    for name, facts in _grants(book, caller):
        if want.name in (None, name) and gives(book.credentials[name], want.kind, want.audience):
            if book.credentials[name].spec.per_job:
                facts = msgspec.structs.replace(facts, job=caller.job)  # noqa: PLW2901 - the facts of this credential
            try:
                yield book.rendered(name, facts, want.audience)
            except Unrenderable as error:
                yield error


def _grants(book: Book, caller: Caller) -> list[tuple[str, CallerFacts]]:
    """The union of the grants of all that the caller matched; `only` narrows it and sets the order."""
    found: dict[str, CallerFacts] = {}
    for facts in caller.matches:
        entry = book.callers.get(facts.caller)
        for name in entry.grants if entry else ():
            found.setdefault(name, facts)
    if caller.only is None:
        return list(found.items())
    return [(name, found[name]) for name in caller.only if name in found]
