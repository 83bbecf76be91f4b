"""What a request shows of its caller, which configured callers an account matches, and what it may ask for. Pure.

What is shown decides alone: a bad token is 401, never a fall-back to the uid.
"""

import msgspec

from broker import jwt
from broker.callers.accounts import Account
from broker.callers.worker_token import HEADER_PREFIX, LENGTH, PATH_PREFIX
from broker.config.shape import CallerEntry
from broker.errors import Refused
from broker.model import Caller, CallerFacts
from broker.wire import Request

_HOW_TO = "this request does not say who asks, or not by anything that this daemon knows"


class HeaderToken(msgspec.Struct, frozen=True):
    """An Authorization field with a worker token."""

    text: str

    def __repr__(self) -> str:
        return "HeaderToken(...)"


class PathToken(msgspec.Struct, frozen=True):
    """A worker token in the path, and the segments behind it, which name the dialect.

    Whether that dialect may be opened so is the dialect's word: URLs end up in error texts.
    """

    text: str
    rest: tuple[str, ...]

    def __repr__(self) -> str:
        return "PathToken(...)"


class ImdsToken(msgspec.Struct, frozen=True):
    """An IMDSv2 session token, whole: the kernel's uid of its connection counts, if the token is that uid's."""

    text: str

    def __repr__(self) -> str:
        return "ImdsToken(...)"


class ProjectedToken(msgspec.Struct, frozen=True):
    """An Authorization field with what looks like a token that a cluster projected into a pod."""

    text: str

    def __repr__(self) -> str:
        return "ProjectedToken(...)"


class Attested(msgspec.Struct, frozen=True):
    """It asks to be known by the kernel's uid of its connection."""


class Bare(msgspec.Struct, frozen=True):
    """It shows nothing: for callers with `bare = true` the uid counts, for all others it is 401."""


class Probe(msgspec.Struct, frozen=True):
    """It asks whether this is a metadata server, by a path where no secret is: anybody may."""


class Bad(msgspec.Struct, frozen=True):
    """It shows something that identifies nobody: 401. `reason` is a fixed word for audit and metrics."""

    reason: str


Shown = HeaderToken | PathToken | ImdsToken | ProjectedToken | Attested | Bare | Probe | Bad

_ATTESTED, _BARE, _PROBE = Attested(), Bare(), Probe()
_BAD_HEADER = Bad("authorization-not-ours")
_BAD_PATH = Bad("path-token-malformed")
_BAD_PAIR = Bad("imds-token-and-authorization")  # no client sends both, and one might hide that the other is bad
_BAD_AZURE_PAIR = Bad("identity-header-and-authorization")  # likewise

IMDS_PUT = ("latest", "api", "token")  # the path that a session token of IMDSv2 is asked for at


def identify_shown(request: Request) -> Shown:
    """What the request shows. A path token decides first, then Authorization, then what the protocol itself says.

    What App Service calls X-IDENTITY-HEADER is Authorization by another name.
    """
    segments = request.segments
    if segments[0] == "w":
        return _in_path(segments)
    imds = request.fields.get("x-aws-ec2-metadata-token") if segments[0] == "latest" else None
    if (shown := _authorization(request, imds)) is not None:
        return shown
    if segments == IMDS_PUT and request.method == "PUT":
        return _ATTESTED
    if imds is not None:
        return ImdsToken(imds)
    if segments[0] == "computeMetadata" and request.fields.get("metadata-flavor") == "Google":
        return _ATTESTED
    return _PROBE if segments == ("",) else _BARE


def _authorization(request: Request, imds: str | None) -> Shown | None:
    shown = request.fields.get("authorization")
    other = request.fields.get("x-identity-header") if request.segments[0] == "azure" else None
    if shown is None:
        return None if other is None else _in_header(other)
    if other is not None:
        return _BAD_AZURE_PAIR
    return _in_header(shown) if imds is None else _BAD_PAIR


def _in_header(value: str) -> Shown:
    if value == "attested":
        return _ATTESTED
    text = value[7:] if value[:7].lower() == "bearer " else value
    if text.startswith(HEADER_PREFIX) and len(text) == LENGTH:
        return HeaderToken(text)
    return ProjectedToken(text) if jwt.has_form(text) else _BAD_HEADER


def _in_path(segments: tuple[str, ...]) -> Shown:
    text, rest = segments[1] if len(segments) > 1 else "", segments[2:]
    if not text.startswith(PATH_PREFIX) or len(text) != LENGTH:
        return _BAD_PATH
    if rest in {(), ("",)}:
        return _PROBE
    return PathToken(text, rest)


def unidentified(reason: str) -> Refused:
    """The one 401 of the worker plane; it says what to set and never what was wrong. `reason` is for the audit line."""
    return Refused(401, "Unauthorized", _HOW_TO, reason=reason)


def match_uid(callers: tuple[CallerEntry, ...], account: Account) -> Caller | None:
    """Every caller that the account's uid or groups match, in file order; None if none does."""
    matches = tuple(facts_for(entry, account) for entry in callers if matches_account(entry, account))
    return Caller(matches=matches, how="uid", uid=account.uid) if matches else None


def bare_allowed(callers: tuple[CallerEntry, ...], caller: Caller) -> Caller | None:
    """What is left of a caller known by its uid when it shows nothing: its matches with `bare = true`, if any."""
    bare = {entry.name for entry in callers if entry.bare}
    matches = tuple(match for match in caller.matches if match.caller in bare)
    return msgspec.structs.replace(caller, matches=matches) if matches else None


def matches_account(entry: CallerEntry, account: Account) -> bool:
    """Whether the account is this caller by its uid or a group; root only where the caller says so."""
    if entry.worker_token or (account.uid == 0 and not entry.allow_root):
        return False
    return any(rule.uid == account.uid for rule in entry.rules) or _matching_group(entry, account) is not None


def facts_for(entry: CallerEntry, account: Account | None) -> CallerFacts:
    """What templates may say of this caller as that account; of a token that is bound to none, its name alone."""
    if account is None:
        return CallerFacts(caller=entry.name)
    group = _matching_group(entry, account)
    return CallerFacts(caller=entry.name, uid=str(account.uid), user=account.user, group=group)


def _matching_group(entry: CallerEntry, account: Account) -> str | None:
    for rule in entry.rules:
        if rule.group is not None and account.in_group(rule.group):
            return rule.group
    return None


def is_operator(asking: Account, operators: tuple[str, ...], daemon_uid: int) -> bool:
    """Whether the account may reload, see every status and issue tokens for every caller."""
    return asking.uid == daemon_uid or _named(asking, operators)


def may_issue(entry: CallerEntry, asking: Account, operators: tuple[str, ...], daemon_uid: int) -> bool:
    """Whether the account may have worker tokens of this caller. For whom they may be bound, `may_bind` says."""
    return matches_account(entry, asking) or may_issue_for_others(entry, asking, operators, daemon_uid)


# The contract's sentence is one rule for both: status of, and tokens for.
may_see = may_issue


def may_bind(
    entry: CallerEntry, asking: Account, operators: tuple[str, ...], daemon_uid: int, *, uid: int | None
) -> bool:
    """Whether the account may have a token of this caller that is bound to `uid`.

    To another's uid, or to none, only issuers and operators may: templates render {user} from it, and a caller's
    member would else become any other user.
    """
    if may_issue_for_others(entry, asking, operators, daemon_uid):
        return True
    return uid == asking.uid and matches_account(entry, asking)


def may_issue_for_others(entry: CallerEntry, asking: Account, operators: tuple[str, ...], daemon_uid: int) -> bool:
    """Whether the account may have tokens of this caller that are bound to another uid, or to none."""
    return _named(asking, entry.issuers) or is_operator(asking, operators, daemon_uid)


def _named(account: Account, names: tuple[str, ...]) -> bool:
    """Whether one of the names, a user's or "group:NAME", is the account's."""
    for name in names:
        if name.startswith("group:"):
            if account.in_group(name.removeprefix("group:")):
                return True
        elif account.user is not None and name == account.user:
            return True
    return False
