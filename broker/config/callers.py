"""`[callers.NAME]` -> CallerEntry. Looks user names up; nothing else here leaves the process."""

import pwd
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from broker.config.credentials import NAME, NAME_RULE
from broker.config.shape import CallerEntry, Rule
from broker.config.table import Table

LATER = ("kubernetes",)
LARGEST_UID = 2**32 - 2  # the one above means "no user" to the kernel

Uids = Callable[[str], int | None]

_Name = Annotated[str, Meta(min_length=1)]
_Names = tuple[_Name, ...]
_Uid = Annotated[int, Meta(ge=0, le=LARGEST_UID)] | _Name

_ROOT = "is root, which may read anything anyway and which many programs run as; add allow_root = true if it is meant"
_NOBODY = 'say who it is: uid = "...", group = "...", any = [...], or worker_token = true if only a token opens it'
_NOTHING_ELSE = "is for a caller that nothing else matches; tokens may be issued for any caller, so leave it out here"


class CallerRead(msgspec.Struct, frozen=True, eq=False):
    """A caller as far as it could be read; its grants are checked once all credentials are known."""

    table: Table
    entry: CallerEntry


def uid_of(name: str) -> int | None:
    """The uid of a user of this machine."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def nobody(_: str) -> int:
    """For a minter, where it decides nothing which user a name is: no name service is asked, which might not answer."""
    return 65534


def read_caller(name: str, table: Table, uids: Uids = uid_of) -> CallerRead:
    """The caller; every mistake in it is noted."""
    before = table.mistakes
    if not NAME.fullmatch(name):
        table.note(NAME_RULE)
    allow_root = table.take("allow_root", bool, default=False)
    entry = CallerEntry(
        name=name,
        rules=_rules(table, uids, allow_root=allow_root),
        worker_token=table.take("worker_token", bool, default=False),
        grants=table.take("grants", _Names, ()),
        issuers=table.take("issuers", _Names, ()),
        allow_root=allow_root,
        bare=table.take("bare", bool, default=False),
    )
    table.close(LATER)
    if entry.rules and entry.worker_token:
        table.note(_NOTHING_ELSE, "worker_token")
    if table.mistakes == before and not entry.rules and not entry.worker_token:
        table.note(_NOBODY)
    return CallerRead(table, entry)


def _rules(table: Table, uids: Uids, *, allow_root: bool) -> tuple[Rule, ...]:
    items: list[Any] = table.take("any", Annotated[list[dict[str, Any]], Meta(min_length=1)], [])
    if "any" not in table:
        return _rule(table, uids, allow_root=allow_root)
    if "uid" in table or "group" in table:
        table.note("stands beside uid or group; put those into it", "any")
    table.take("uid", _Uid)
    table.take("group", _Name)
    found: list[Rule] = []
    for index in range(len(items)):
        item = table.below("any", index)
        before = item.mistakes
        rules = _rule(item, uids, allow_root=allow_root)
        item.close(LATER)
        if not rules and item.mistakes == before:
            item.note('needs uid = "..." or group = "..."')
        found.extend(rules)
    return tuple(found)


def _rule(table: Table, uids: Uids, *, allow_root: bool) -> tuple[Rule, ...]:
    uid = _uid(table, uids)
    group = table.take("group", _Name)
    if "uid" in table and "group" in table:
        table.note("stands beside uid; write any = [{ uid = ... }, { group = ... }], either of which matches", "group")
    if uid == 0 and not allow_root:
        table.note(_ROOT, "uid")
    return ((Rule(uid=uid),) if uid is not None else ()) + ((Rule(group=group),) if group is not None else ())


def _uid(table: Table, uids: Uids) -> int | None:
    given: int | str | None = table.take("uid", _Uid)
    if not isinstance(given, str):
        return given
    found = uids(given)
    if found is None:
        hint = "; a number is written without quotes" if given.isdigit() else ""
        table.note(f"there is no such user on this machine{hint}", "uid")
    return found
