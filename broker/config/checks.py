"""What lies between the tables: `from` chains, grants, shared identities, readiness. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from broker.config.callers import CallerRead
from broker.config.credentials import Entry
from broker.config.daemon import address_in
from broker.config.durations import human
from broker.config.shape import Credential
from broker.config.table import Table, did_you_mean
from broker.config.templates import facts_in
from broker.model import Spec

# AWS gives a role that is assumed from another role's session one hour at most.
CHAINED = 3600
ROLE_SESSIONS = frozenset({"aws-assume-role", "aws-web-identity"})
OF_ONE_PROCESS = frozenset({"uid", "user", "group"})

Entries = Mapping[str, Entry]


def check_credentials(entries: Entries) -> None:
    """Notes every mistake between credentials."""
    _note_cycles(entries)
    for entry in entries.values():
        if entry.base is not None:
            _check_base(entry, entries)
        elif entry.source and entry.source.needs_base and "from" not in entry.table:
            kind = entry.source.base
            entry.table.note(f"from is missing: {entry.source.name} is minted from another credential, of kind {kind}")
        _check_readiness(entry, entries)


def sound(entries: Entries) -> tuple[Credential, ...]:
    """The credentials that are right, and minted from none that is not."""
    chains = {name: _chain(name, entries) for name in entries}
    return tuple(
        entry.credential
        for name, entry in entries.items()
        if entry.credential and all(entries[link].credential for link in chains[name]) and _ends(chains[name], entries)
    )


def _ends(chain: list[str], entries: Entries) -> bool:
    """Whether a chain goes neither into nothing nor in a circle."""
    return entries[chain[-1]].base is None


def check_grants(callers: Mapping[str, CallerRead], entries: Entries) -> None:
    """Notes grants of what does not exist, and of identities that others are minted from."""
    chained = {entry.base: name for name, entry in entries.items() if entry.base is not None}
    for caller in callers.values():
        for index, name in enumerate(caller.entry.grants):
            if name in caller.entry.grants[:index]:
                caller.table.note("is granted already", "grants", index)
            elif name not in entries:
                caller.table.note(f"there is no such credential{did_you_mean(name, *entries)}", "grants", index)
            elif name in chained and not entries[name].share_identity:
                caller.table.note(
                    f"grants the identity that `{chained[name]}` is minted from, and so all that it may do; "
                    f"add share_identity = true to [credentials.{name}] if that is meant",
                    "grants",
                    index,
                )


def check_listen(daemon: Table, callers: Mapping[str, CallerRead]) -> None:
    """Notes listeners that only pods may use where no caller is one."""
    if any("kubernetes" in way for caller in callers.values() for way in _ways(caller.table)):
        return  # be it one with mistakes of its own
    listen = daemon.content.get("listen")
    for index, text in enumerate(listen if isinstance(listen, list) else ()):
        address = address_in(text) if isinstance(text, str) else None
        if address and address.for_pods:
            daemon.note("is for Kubernetes callers alone, and no caller has kubernetes = {...}", "listen", index)


def _ways(table: Table) -> tuple[dict[str, Any], ...]:
    ways = table.content.get("any")
    return (table.content, *(way for way in (ways if isinstance(ways, list) else ()) if isinstance(way, dict)))


def _check_base(entry: Entry, entries: Entries) -> None:
    if entry.source and entry.source.base is None:
        entry.table.note(f"{entry.source.name} is not minted from another credential; leave it out", "from")
        return
    base = entries.get(entry.base or "")
    if base is None:
        entry.table.note(f"there is no such credential{did_you_mean(entry.base, *entries)}", "from")
    elif entry.source and base.source and base.source.spec.kind is not entry.source.base:
        entry.table.note(f"must name a credential of the kind `{entry.source.base}`, and this one is not", "from")
    elif _chains_roles(entry, base) and getattr(entry.credential and entry.credential.spec, "duration", 0) > CHAINED:
        entry.table.note(
            f"at most {human(CHAINED)} here: AWS gives a role assumed from another role's session no more", "duration"
        )


def _chains_roles(entry: Entry, base: Entry) -> bool:
    if entry.source is None or base.source is None:
        return False
    return entry.source.name == "aws-assume-role" and base.source.name in ROLE_SESSIONS


def _note_cycles(entries: Entries) -> None:
    """Each cycle once, where it is first met."""
    told: set[str] = set()
    for name in entries:
        chain = _chain(name, entries)
        if chain[-1] not in chain[:-1]:
            continue
        cycle = chain[chain.index(chain[-1]) :]
        if told.isdisjoint(cycle):
            told.update(cycle)
            entries[cycle[0]].table.note(f"goes in a circle: {' → '.join(cycle)}", "from")


def _chain(name: str, entries: Entries) -> list[str]:
    """The names along `from`, up to its end or to the first that comes again."""
    chain = [name]
    while (base := entries[chain[-1]].base) in entries and base is not None:
        chain.append(base)
        if base in chain[:-1]:
            break
    return chain


def _check_readiness(entry: Entry, entries: Entries) -> None:
    """What is only minted when somebody asks cannot be waited for before anybody may ask."""
    credential = entry.credential
    if credential is None:
        return
    if reason := _unknown_before(credential, entries):
        if credential.warm == "start":
            entry.table.note(f"cannot be minted at start: {reason}", "warm")
        if credential.required:
            entry.table.note(f"cannot gate readiness: {reason}", "required")
    elif credential.required and credential.warm == "first-use":
        entry.table.note('cannot gate readiness: warm = "first-use" mints it only when somebody asks', "required")


def _unknown_before(credential: Credential, entries: Entries) -> str | None:
    """Why it can only be minted when somebody asks."""
    if credential.spec.per_job:
        return "each job has one of its own, made when it asks"
    chain = (entries[name].credential for name in _chain(credential.name, entries))
    facts = sorted({fact for link in chain if link for fact in _facts_of(link.spec)})
    return f"it renders {', '.join(f'{{{fact}}}' for fact in facts)}, known only when somebody asks" if facts else None


def _facts_of(spec: Spec) -> set[str]:
    """What the templates of a spec, its defaults included, ask about the process that wants it."""
    return facts_in(msgspec.json.encode(spec).decode()) & OF_ONE_PROCESS
