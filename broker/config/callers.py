"""`[callers.NAME]` -> CallerEntry. Looks user names up; nothing else here leaves the process."""

import pwd
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from broker.config.credentials import NAME, NAME_RULE
from broker.config.shape import CallerEntry, Credential, Pods, Rule
from broker.config.table import Table
from broker.sources.source import END

LARGEST_UID = 2**32 - 2  # the one above means "no user" to the kernel
# What a cluster's own tokens are for, by default. Whoever is shown one of those may show it to the API server.
API_AUDIENCES = frozenset(f"https://kubernetes.default{rest}" for rest in ("", ".svc", ".svc.cluster.local"))

Uids = Callable[[str], int | None]

_Name = Annotated[str, Meta(min_length=1)]
_Names = tuple[_Name, ...]
_Uid = Annotated[int, Meta(ge=0, le=LARGEST_UID)] | _Name
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123, as Kubernetes has it
_SUBDOMAIN = rf"^{_LABEL}(?:\.{_LABEL})*{END}"
# The fields of `Pods`. The schema of the file is made from them too.
PODS: dict[str, Any] = {
    "namespace": Annotated[str, Meta(pattern=f"^{_LABEL}{END}", examples=["ml"])],
    "service_account": Annotated[str, Meta(max_length=253, pattern=_SUBDOMAIN, examples=["trainer"])],
    "audience": Annotated[str, Meta(max_length=256, pattern=f"^[!-~]+{END}", examples=["credbroker"])],
}

_ROOT = "is root, which may read anything anyway and which many programs run as; add allow_root = true if it is meant"
_NOBODY = (
    'say who it is: uid = "...", group = "...", kubernetes = {...}, any = [...], or worker_token = true if only a '
    "token opens it"
)
_API_AUDIENCE = (
    "is the API server's own audience, and whoever is shown such a token could use it there; choose a name of your "
    'own, such as "credbroker", for the projected volume and here'
)
_NOTHING_ELSE = "is for a caller that nothing else matches; tokens may be issued for any caller, so leave it out here"


class CallerRead(msgspec.Struct, frozen=True, eq=False):
    """A caller as far as it could be read; its grants are checked once all credentials are known."""

    table: Table
    entry: CallerEntry

    @property
    def named(self) -> bool:
        """Whether its name is one."""
        return NAME.fullmatch(self.entry.name) is not None

    def granting(self, credentials: Iterable[Credential]) -> CallerEntry:
        """The caller with those of its grants alone."""
        names = {credential.name for credential in credentials}
        return msgspec.structs.replace(self.entry, grants=tuple(one for one in self.entry.grants if one in names))


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
    table.close()
    if entry.rules and entry.worker_token:
        table.note(_NOTHING_ELSE, "worker_token")
    if table.mistakes == before and not entry.rules and not entry.worker_token:
        table.note(_NOBODY)
    return CallerRead(table, entry)


def _rules(table: Table, uids: Uids, *, allow_root: bool) -> tuple[Rule, ...]:
    items: list[Any] = table.take("any", Annotated[list[dict[str, Any]], Meta(min_length=1)], [])
    if "any" not in table:
        return _rule(table, uids, allow_root=allow_root)
    if "uid" in table or "group" in table or "kubernetes" in table:
        table.note("stands beside uid, group or kubernetes; put those into it", "any")
    for key, type_ in (("uid", _Uid), ("group", _Name), ("kubernetes", dict[str, Any])):
        table.take(key, type_)
    found: list[Rule] = []
    for index in range(len(items)):
        item = table.below("any", index)
        before = item.mistakes
        rules = _rule(item, uids, allow_root=allow_root)
        item.close()
        if not rules and item.mistakes == before:
            item.note('needs uid = "...", group = "..." or kubernetes = {...}')
        found.extend(rules)
    return tuple(found)


def _rule(table: Table, uids: Uids, *, allow_root: bool) -> tuple[Rule, ...]:
    uid = _uid(table, uids)
    group = table.take("group", _Name)
    pods = _pods(table)
    ways = [key for key in ("uid", "group", "kubernetes") if key in table]
    for key in ways[1:]:
        either = ", ".join(f"{{ {way} = ... }}" for way in ways)
        table.note(f"stands beside {ways[0]}; write any = [{either}], each of which matches", key)
    if uid == 0 and not allow_root:
        table.note(_ROOT, "uid")
    rules = (Rule(uid=uid), Rule(group=group), Rule(kubernetes=pods))
    return tuple(rule for rule in rules if rule != Rule())


def _pods(table: Table) -> Pods | None:
    table.take("kubernetes", dict[str, Any])
    if not isinstance(table.content.get("kubernetes"), dict):
        return None
    pods = table.below("kubernetes")
    before = pods.mistakes
    found = {key: pods.take(key, type_) for key, type_ in PODS.items()}
    pods.close()
    if missing := [key for key in PODS if key not in pods]:
        pods.note(f"needs {', '.join(PODS)}; missing: {', '.join(missing)}")
    if found["audience"] in API_AUDIENCES:
        pods.note(_API_AUDIENCE, "audience")
    return Pods(**found) if pods.mistakes == before else None


def _uid(table: Table, uids: Uids) -> int | None:
    given: int | str | None = table.take("uid", _Uid)
    if not isinstance(given, str):
        return given
    found = uids(given)
    if found is None:
        hint = "; a number is written without quotes" if given.isdigit() else ""
        table.note(f"there is no such user on this machine{hint}", "uid")
    return found
