"""Worker tokens for those who may have them: issued, held, listed, revoked. No HTTP in here."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator

import msgspec

from broker import control_api as api
from broker.callers import match
from broker.callers.accounts import Account
from broker.callers.worker_token import Purpose, TokenEntry, TokenOrder, WorkerTokens
from broker.errors import Refused
from broker.events import Note, TokenIssued, TokenRevoked
from broker.model import Caller, CallerFacts, Pod
from broker.plan import Book
from broker.rounds import Clock
from broker.secret import Secret
from broker.server.rights import NO_CALLER, Rights, not_seen

LONGEST_TTL = 30 * 86_400.0
FOR_EVER = float("inf")
_NOT_ISSUED = "there is no such caller, or you may not issue tokens of it: `credbroker whoami` says which one you are"


class Issuer:
    """Issues worker tokens and ends them.

    `where` gives the worker plane's host and port, the host empty where it serves pods alone; `of_pod` says which
    caller a pod is now.
    """

    def __init__(  # noqa: PLR0913 - the composition root hands over the parts
        self,
        *,
        rights: Rights,
        worker_tokens: WorkerTokens,
        granted: Callable[[Caller], tuple[api.Granted, ...]],
        where: Callable[[], tuple[str, int]],
        note: Note,
        clock: Clock,
        of_pod: Callable[[Pod], Caller | str] = lambda _: "no-kubernetes-caller",
    ) -> None:
        self._rights = rights
        self._tokens = worker_tokens
        self._granted = granted
        self._where = where
        self._note = note
        self._clock = clock
        self._of_pod = of_pod

    def engage(self, account: Account, order: api.WorkerOrder) -> api.Worker:
        """Two tokens for a worker of the asking user, and what its environment needs."""
        host, port = self._where()
        if not host:
            advice = "this daemon serves pods alone: add a loopback address to `listen`"
            raise Refused(403, "PodsAlone", advice)
        caller = self._caller(account, order)
        granted = self._granted(caller)
        if unknown := sorted(set(order.use) - {one.name for one in granted}):
            advice = f"not granted to {caller.name}: {', '.join(unknown)}; correct --use, or add it to `grants`"
            raise Refused(403, "AccessDenied", advice)
        ttl = FOR_EVER if order.hold else min(order.ttl, LONGEST_TTL)
        first = self._order(account, caller, "header", ttl, held=order.hold)
        header, in_header = self._make(first)
        path, in_path = self._make(msgspec.structs.replace(first, purpose="path", beside=in_header.id))
        return api.Worker(
            caller=caller.name,
            host=host,
            port=port,
            header_token=header.open(),
            path_token=path.open(),
            granted=granted,
            token_ids=(in_header.id, in_path.id),
        )

    def claim(self, account: Account, order: api.ClaimOrder) -> api.Claimed:
        """The tokens of a worker that a restart has cut off from the connection that held them."""
        entries = self._tokens.claim(order.token, self._clock.now(), account.uid)
        host, port = self._where()
        return api.Claimed(host=host, port=port, token_ids=tuple(entry.id for entry in entries))

    def dismiss(self, worker: api.Worker | api.Claimed) -> None:
        """The connection that held a worker's tokens is gone, and so are they."""
        for token_id in worker.token_ids:
            self._end(token_id, "closed", None)

    def issue(self, account: Account, order: api.TokenOrder, bound: Account | None) -> api.Token:
        """One worker token, bound to a uid where one is named, and for mere members to their own."""
        entry = self._rights.entry(order.caller)
        if entry is None or not self._rights.may_issue(entry, account):
            raise Refused(403, "AccessDenied", _NOT_ISSUED)
        if bound is None and not self._rights.may_issue_unbound(entry, account):
            bound = account
        if not self._rights.may_bind(entry, account, bound.uid if bound else None):
            raise Refused(403, "AccessDenied", "only its issuers and operators may bind a token to another uid")
        facts = match.facts_for(entry, bound)
        caller = Caller(matches=(facts,), how="token", uid=bound.uid if bound else None)
        ttl = min(order.ttl, LONGEST_TTL)
        token, made = self._make(self._order(account, caller, order.purpose, ttl))
        return msgspec.structs.replace(listed(made), token=token.open())

    def seen_by(self, account: Account) -> tuple[api.Token, ...]:
        """The live tokens of the callers that the account may see."""
        seen = self._rights.seen_by(account).keys()
        return tuple(listed(entry) for entry in self._tokens.list() if _names(entry) <= seen)

    def counts(self) -> Counter[str]:
        """How many live tokens each caller has."""
        return Counter(name for entry in self._tokens.list() for name in _names(entry))

    def revoke(self, account: Account, token_id: str) -> api.Token:
        """End a token before its time, and those that were issued beside it."""
        entry = self._tokens.entry(token_id)
        if entry is None or not _names(entry) <= self._rights.seen_by(account).keys():
            raise Refused(404, "NotFound", "no token of that id that you may see: credbroker token list has them")
        self.end(account, (token_id, *self._beside({token_id})))
        return listed(entry)

    def chosen(self, account: Account, order: api.RevokeOrder) -> api.Revoked:
        """The tokens that an order means; none has ended yet, for there may be many: `end` is for a few at a time."""
        seen = self._rights.seen_by(account).keys()
        if order.ids:
            found = (self._tokens.entry(one) for one in order.ids)
            ids = {entry.id for entry in found if entry is not None and _names(entry) <= seen}
            wanted = dict.fromkeys((*order.ids, *self._beside(ids)))
            ids |= wanted.keys() - set(order.ids)
            return api.Revoked(
                ids=tuple(one for one in wanted if one in ids), missing=tuple(one for one in wanted if one not in ids)
            )
        if order.caller is None and not order.everything:
            raise Refused(400, "BadRequest", "which tokens? name their ids, a caller, or all")
        if order.caller is not None and order.caller not in seen:
            raise not_seen()
        named = ((entry.id, _names(entry)) for entry in self._tokens.list())
        return api.Revoked(ids=tuple(one for one, names in named if names <= seen and order.caller in {None, *names}))

    def end(self, account: Account, token_ids: Iterable[str]) -> None:
        """End tokens that were `chosen` for the account; those that have ended meanwhile are left out."""
        for token_id in token_ids:
            self._end(token_id, "revoked", account.uid)

    def expire(self) -> None:
        """End the tokens that have reached their time."""
        for entry in self._tokens.expire(self._clock.now()):
            self._note(_revoked(entry, "closed" if entry.held else "expired"))

    def adopt(self, book: Book) -> None:
        """A new generation: tokens of callers that it does not have end, and those of pods that it knows otherwise."""
        for entry in self._tokens.adopt(book.callers):
            self._note(_revoked(entry, "caller-gone"))
        for entry in self._tokens.list():
            if entry.caller.pod is not None and not self._still_is(entry.caller, entry.caller.pod):
                self._end(entry.id, "caller-gone", None)

    def _beside(self, ids: Container[str]) -> Iterator[str]:
        """The other tokens of the same workers: who is to have no more AWS keys is to have no more of Google's."""
        return (entry.id for entry in self._tokens.list() if entry.beside in ids)

    def _caller(self, account: Account, order: api.WorkerOrder) -> Caller:
        """Who the worker will be: the named caller, if the account may have its tokens, else all that it is."""
        if order.caller is None:
            matches = self._unnamed(account)
        else:
            entry = self._rights.entry(order.caller)
            if entry is None or not self._rights.may_issue(entry, account):
                raise Refused(
                    403, "UnknownCaller", f"uid {account.uid} may not be caller {order.caller!r}, or there is none"
                )
            matches = (match.facts_for(entry, account),)
        return Caller(matches=matches, how="token", uid=account.uid, only=order.use or None)

    def _unnamed(self, account: Account) -> tuple[CallerFacts, ...]:
        """All that the account is by its uid; else the only caller whose tokens it may issue, as root under `exec`."""
        caller = match.match_uid(self._rights.callers, account)
        if caller is not None:
            return caller.matches
        issues = [entry for entry in self._rights.callers if self._rights.may_issue(entry, account)]
        if len(issues) == 1:
            return (match.facts_for(issues[0], account),)
        hint = f"say --as {' or '.join(entry.name for entry in issues)}" if issues else NO_CALLER
        raise Refused(403, "UnknownCaller", f"no caller in the configuration matches uid {account.uid}; {hint}")

    def _order(
        self, account: Account, caller: Caller, purpose: Purpose, ttl: float, *, held: bool = False
    ) -> TokenOrder:
        operator = self._rights.is_operator(account)
        return TokenOrder(
            caller=caller, purpose=purpose, ttl=ttl, issued_by=account.uid, held=held, by_operator=operator
        )

    def _make(self, order: TokenOrder) -> tuple[Secret, TokenEntry]:
        token, entry = self._tokens.issue(order, self._clock.now(), self._clock.wall())
        self._note(TokenIssued(entry.id, order.caller.name, order.caller.uid, _ends(entry), order.issued_by))
        return token, entry

    def _still_is(self, caller: Caller, pod: Pod) -> bool:
        now = self._of_pod(pod)
        return isinstance(now, Caller) and now.matches == caller.matches

    def _end(self, token_id: str, why: str, by_uid: int | None) -> None:
        entry = self._tokens.revoke(token_id)
        if entry is not None:
            self._note(_revoked(entry, why, by_uid))


def _revoked(entry: TokenEntry, why: str, by_uid: int | None = None) -> TokenRevoked:
    return TokenRevoked(entry.id, why, entry.caller.name, entry.caller.uid, by_uid)


def _names(entry: TokenEntry) -> set[str]:
    return {facts.caller for facts in entry.caller.matches}


def _ends(entry: TokenEntry) -> float | None:
    return None if entry.held and not entry.unclaimed else entry.expires_at


def listed(entry: TokenEntry) -> api.Token:
    """A token as people are shown it."""
    return api.Token(
        id=entry.id,
        caller=entry.caller.name,
        purpose=entry.purpose,
        uid=entry.caller.uid,
        issued_by=entry.issued_by,
        expires_at=_ends(entry),
        unclaimed=entry.unclaimed,
        beside=entry.beside,
        pod=f"{entry.caller.pod.namespace}/{entry.caller.pod.name}" if entry.caller.pod else None,
    )
