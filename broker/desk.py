"""The heart: who asks for what, and the held lease that answers. Synchronous; a cold lease is a Flight to wait for."""

import contextlib
from collections.abc import Iterator

from broker import policy
from broker.errors import Refused
from broker.events import LeaseHanded, Note, StaleServed
from broker.keeper import Keeper
from broker.model import Caller, CallerFacts, Kind, Lease, Want
from broker.plan import Book, Rendered, Unrenderable, of_one_caller
from broker.rounds import Clock, Flight, Rounds

MOST_REMEMBERED = 50_000


class Desk:
    """Answers wants from held leases. `book` is swapped whole at a reload."""

    def __init__(self, book: Book, rounds: Rounds, note: Note, clock: Clock) -> None:
        self._book = book
        self._rounds = rounds
        self._note = note
        self._clock = clock
        self._found: dict[tuple[Caller, Want], Keeper] = {}

    @property
    def book(self) -> Book:
        """The generation that decides now."""
        return self._book

    def swap(self, book: Book) -> None:
        """Decide by another generation from now on; leases that it still grants stay warm."""
        self._book = book
        self._found.clear()
        self._rounds.adopt(lambda keeper: _still(book, keeper.rendered))
        self._rounds.warm(book.warm())

    def lease(self, caller: Caller, want: Want, dialect: str) -> Lease | Flight:
        """The held lease, or the flight that brings one.

        Raises Refused (403 not granted, 404 unknown audience) or the reason why nothing can be had now.
        """
        keeper = self._found.get((caller, want))
        if keeper is None or keeper.gone:
            keeper = self._find(caller, want)
        keeper.asked = now = self._clock.now()
        keeper.cross_check(now, self._clock.wall())
        lease = keeper.held(now)
        if lease is None:
            return self._rounds.ask(keeper)
        if lease.facts.handed_on and not keeper.rendered.credential.share_identity:
            raise _refusal(want, "identity-not-shared")
        keeper.served += 1
        if keeper.failures:
            self._note(StaleServed(keeper.rendered.label))
        if caller.bearer not in keeper.handed:
            self._hand(caller, keeper, lease, dialect)
        return lease

    def keepers_of(self, caller: Caller) -> Iterator[tuple[Keeper, bool]]:
        """Every keeper this caller is granted, and whether it is the first of its kind."""
        kinds: set[Kind] = set()
        for rendered in policy.candidates(self._book, caller, Want(None)):
            if isinstance(rendered, Rendered):
                kind = rendered.spec.kind
                yield self._rounds.keeper(rendered), kind not in kinds
                kinds.add(kind)

    def _find(self, caller: Caller, want: Want) -> Keeper:
        if want.account is not None:
            return self._by_account(caller, want)
        decision = policy.decide(self._book, caller, want)
        if isinstance(decision, policy.Denied):
            raise _refusal(want, decision.reason)
        return self._remember(caller, want, self._rounds.keeper(decision.rendered))

    def _by_account(self, caller: Caller, want: Want) -> Keeper:
        """A Google account names a credential only once its lease tells the account; before, nothing matches."""
        plain = Want(Kind.GOOGLE)
        for rendered in policy.candidates(self._book, caller, plain):
            if isinstance(rendered, Unrenderable):
                continue
            lease = self._rounds.keeper(rendered).lease
            if lease is not None and lease.facts.email == want.account:
                named = Want(want.kind, rendered.credential.name, audience=want.audience)
                return self._found.get((caller, named)) or self._find(caller, named)  # whose account it is may change
        raise _refusal(want, "unknown-account")

    def _remember(self, caller: Caller, want: Want, keeper: Keeper) -> Keeper:
        if len(self._found) >= MOST_REMEMBERED:
            self._found.clear()
        self._found[caller, want] = keeper
        return keeper

    def _hand(self, caller: Caller, keeper: Keeper, lease: Lease, dialect: str) -> None:
        keeper.handed.add(caller.bearer)
        self._note(
            LeaseHanded(
                caller=caller.name,
                how=caller.how,
                uid=caller.uid,
                token_id=caller.token_id,
                credential=keeper.rendered.label,
                identity=lease.facts.identity,
                serial=lease.serial,
                expires_at=lease.expires_at if keeper.rendered.spec.short_lived else None,
                dialect=dialect,
                pod=caller.pod,
            )
        )


def _refusal(want: Want, reason: str) -> Refused:
    """Not granted and not existing look the same; an audience that nobody configured is 404 as at the real server."""
    if want.kind is Kind.GOOGLE_ID or want.account is not None:
        return Refused(404, "NotFound", "not found", reason=reason)
    return Refused(403, "AccessDenied", "not granted", reason=reason)


def _still(book: Book, rendered: Rendered) -> Rendered | None:
    """The same rendering in another generation, if it is still granted (or still a base of what is).

    One that knows no process is shared by callers: any of them that is still granted it keeps it warm.
    """
    found = granted_again(book, rendered.credential.name, rendered.facts, rendered.audience)
    return next((again for again in found if again.key == rendered.key), None)


def granted_again(book: Book, name: str, facts: CallerFacts, audience: str | None) -> Iterator[Rendered]:
    """What a credential that was rendered once, perhaps by another generation, would be for those still granted it."""
    if name not in book.credentials:
        return
    for caller in (facts.caller, *(() if of_one_caller(book, name) else book.callers)):
        entry = book.callers.get(caller)
        if entry and (name in entry.grants or any(name in book.chain(grant) for grant in entry.grants)):
            with contextlib.suppress(Unrenderable):
                others = CallerFacts(caller=caller, job=facts.job)
                yield book.rendered(name, facts if caller == facts.caller else others, audience)
