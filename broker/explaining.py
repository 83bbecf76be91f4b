"""Why a caller may have a credential, or may not, and what upstream would be asked for it. Pure but for `by_files`.

A spec holds no secret: names, policies, and at most where a secret lies. That, and what a role's trust policy may rely
on (its external id), is told to operators alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from broker import policy
from broker.callers import match
from broker.callers.accounts import Account, look_up
from broker.config.place import find
from broker.config.shape import CallerEntry, Config
from broker.config.table import did_you_mean
from broker.control_api import ExplainOrder, Explanation, MintAsked
from broker.errors import Refused
from broker.model import Caller, CallerFacts, Lease, Reference, Spec, Want
from broker.plan import Book, Rendered, Unrenderable, make_book
from broker.sources.aws_specs import AssumeRole, Federation, WebIdentity, name_sent

Files = tuple[tuple[str, bytes], ...]

HIDDEN = "known to operators"
_DISCREET = ("external_id", "file", "token_file")
_NOT_GRANTED = "an operator can add it to the caller's `grants` and reload"
_NOT_SHARED = (
    "the lease is the daemon's own session, handed on: share_identity = true on the credential would allow it, a role "
    "of its own (aws-assume-role) is better"
)


class Question(msgspec.Struct, frozen=True, eq=False):
    """May a process of this account, which is this caller, have this credential? `account` is None for nobody's token.

    `whole` is for operators: others learn nothing of what they are not granted. `held` gives a rendering's lease.
    """

    book: Book
    files: Files
    entry: CallerEntry
    credential: str
    account: Account | None
    whole: bool = True
    held: Callable[[Rendered], Lease | None] = lambda _: None


def by_files(config: Config, files: Files, order: ExplainOrder) -> Explanation:
    """As a daemon of this configuration would answer an operator. Looks the uid up. Raises Refused, ConfigError."""
    book = make_book(config)
    entry = book.callers.get(order.caller)
    if entry is None:
        raise unknown_caller(book, order.caller)
    account = None if order.uid is None else look_up(order.uid)
    own = look_up(os.getuid())
    if account is None and match.matches_account(entry, own):
        account = own
    return explain(Question(book, files, entry, order.credential, account))


def unknown_caller(book: Book, name: str) -> Refused:
    """What operators are told."""
    advice = f"there is no caller {name!r} in the configuration{did_you_mean(name, *book.callers)}"
    return Refused(403, "UnknownCaller", advice)


def prepare(files: Files) -> None:
    """Find out where things stand: once a generation, and long enough for a large one to be no loop's work."""
    find(files, "callers", "")


def explain(question: Question) -> Explanation:
    """The answer, by the very decision that requests get."""
    book, entry, name, account = question.book, question.entry, question.credential, question.account
    facts = match.facts_for(entry, account)
    caller = Caller(matches=(facts,), how="token", uid=account.uid if account else None)
    reason, why, advice = _judged(question, caller)
    nth = book.config.callers.index(entry)
    before, after = (_also(entry, account, some) for some in (book.config.callers[:nth], book.config.callers[nth:]))
    place = find(question.files, "callers", entry.name)
    return Explanation(
        allowed=reason == "granted",
        reason=reason,
        why=why,
        advice=advice,
        caller=entry.name,
        credential=name,
        place=place or "zero configuration",
        nth=nth + 1,
        callers=len(book.callers),
        grants=entry.grants,
        grant=entry.grants.index(name) + 1 if name in entry.grants else None,
        default_of=_default(book, caller, name),
        uid=account.uid if account else None,
        user=account.user if account else None,
        group=facts.group,
        matched=_matched(entry, account),
        also=tuple(other.name for other in (*before, *after)),
        first=next((other.name for other in before if name in other.grants), None),
        mints=tuple(_mints(question, facts)) if name in entry.grants else (),
        generation=book.config.generation,
    )


def _judged(question: Question, caller: Caller) -> tuple[str, str, str | None]:
    """The reason as a word and as a sentence, and what to do next."""
    book, name, entry = question.book, question.credential, question.entry
    decision = policy.decide(book, caller, Want(None, name))
    if isinstance(decision, policy.Allowed):
        return _shared(question, decision.rendered)
    if decision.reason == "unrenderable":
        return decision.reason, *_unrenderable(question, caller)
    if question.whole and name not in book.credentials:
        why = f"there is no credential {name!r} in the configuration{did_you_mean(name, *book.credentials)}"
        return decision.reason, why, None
    known = "" if question.whole else ", or there is no such credential"
    return decision.reason, f"{entry.name} is not granted {name}{known}", _NOT_GRANTED


def _shared(question: Question, rendered: Rendered) -> tuple[str, str, str | None]:
    lease = question.held(rendered)
    if lease is not None and lease.facts.handed_on and not rendered.credential.share_identity:
        return "identity-not-shared", "the daemon's own identity is not shared with callers", _NOT_SHARED
    return "granted", f"{question.entry.name} is granted {question.credential}", None


def _unrenderable(question: Question, caller: Caller) -> tuple[str, str]:
    """Why a template denies, and what to do about it."""
    tried = policy.candidates(question.book, caller, Want(None, question.credential))
    why = next(one.advice for one in tried if isinstance(one, Unrenderable))
    if question.account is None:
        return why, "name the user whose process it is by --uid; a token that is bound to no uid is denied for good"
    return why, "give the user or group a name of A-Za-z0-9._@- that is 64 characters long at most, or another template"


def _default(book: Book, caller: Caller, name: str) -> str | None:
    """The kind for which this credential comes first."""
    found: dict[str, str] = {}
    for rendered in policy.candidates(book, caller, Want(None)):
        if isinstance(rendered, Rendered):
            found.setdefault(str(rendered.spec.kind), rendered.label)
    return next((kind for kind, first in found.items() if first == name), None)


def _matched(entry: CallerEntry, account: Account | None) -> str | None:
    """By what the account is this caller, or which pods are it; None where only a token makes it so."""
    if account is None:
        pods = (rule.kubernetes for rule in entry.rules if rule.kubernetes)
        named = ", ".join(f"{one.namespace}/{one.service_account}" for one in pods)
        return f"the pods of {named}" if named else None
    if not match.matches_account(entry, account):
        return None
    group = match.facts_for(entry, account).group
    by_uid = any(rule.uid == account.uid for rule in entry.rules)
    return f"uid {account.uid}" if by_uid or group is None else f"group {group}"


def _also(entry: CallerEntry, account: Account | None, callers: Iterable[CallerEntry]) -> tuple[CallerEntry, ...]:
    """What else the account is, if it is this caller by its uid."""
    if account is None or not match.matches_account(entry, account):
        return ()
    return tuple(other for other in callers if other.name != entry.name and match.matches_account(other, account))


def _mints(question: Question, facts: CallerFacts) -> Iterator[MintAsked]:
    """The credential's chain, bases first; as it is written where a template cannot be filled."""
    book = question.book
    for name in reversed(book.chain(question.credential)):
        credential = book.credentials[name]
        try:
            spec, rendered = book.rendered(credential.name, facts).spec, True
        except Unrenderable:
            spec, rendered = credential.spec, False
        yield MintAsked(
            credential=credential.name,
            source=credential.source,
            place=find(question.files, "credentials", credential.name) or "zero configuration",
            spec=_shown(spec, whole=question.whole, rendered=rendered),
            rendered=rendered,
        )


def _shown(spec: Spec, *, whole: bool, rendered: bool) -> dict[str, Any]:
    """What is set of a spec, by the configuration's own keys; the session name as upstream is told it."""
    if rendered and isinstance(spec, AssumeRole | WebIdentity | Federation):
        spec = msgspec.structs.replace(spec, session_name=name_sent(spec))
    shown = {key: _set(value) for key, value in msgspec.to_builtins(spec).items() if value not in (None, (), [], {})}
    discreet = () if whole else (key for key in shown if key in _DISCREET or _is_reference(getattr(spec, key, None)))
    return shown | dict.fromkeys(discreet, HIDDEN)


def _set(value: Any) -> Any:
    """Of a reference, the one way that is taken; of a table, whatever is in it."""
    return {key: one for key, one in value.items() if one is not None} if isinstance(value, dict) else value


def _is_reference(value: Any) -> bool:
    """Whether it says where a secret lies, or a table of such."""
    return any(isinstance(one, Reference) for one in (value.values() if isinstance(value, dict) else (value,)))
