"""Questions about who may what, for those who may ask: which rule decides, why that refusal, who is this worker."""

import secrets
from collections.abc import Callable, Mapping

import msgspec

from broker import control_api as api
from broker import explaining
from broker.callers import match
from broker.callers.accounts import Account
from broker.callers.worker_token import WorkerTokens
from broker.config.shape import CallerEntry
from broker.details import SocketAnswered
from broker.errors import BrokerError, Refused
from broker.events import Note, RequestDenied
from broker.model import Caller, Lease
from broker.plan import Rendered
from broker.server.clerk import Clerk
from broker.server.denials import Denials, Sender, denied
from broker.server.issuer import listed
from broker.server.reasons import OTHER, REASONS
from broker.server.rights import not_seen

DIALECT = "socket"
DENIED = frozenset({401, 403})


class Inquiry:
    """Answers them. `files` gives the configuration as it was read."""

    def __init__(
        self, clerk: Clerk, tokens: WorkerTokens, denials: Denials, files: Callable[[], explaining.Files], *, note: Note
    ) -> None:
        self._clerk = clerk
        self._desk, self._rights, self._clock = clerk.desk, clerk.rights, clerk.clock
        self._tokens = tokens
        self._denials = denials
        self._files = files
        self._note = note

    def read(self) -> None:
        """Find out where things stand in the configuration; blocking, for a thread."""
        explaining.prepare(self._files())

    def explain(self, asking: Account, order: api.ExplainOrder, named: Account | None) -> api.Explanation:
        """Which rule decides; `named` is the account of the order's uid. Raises Refused for what is not his to see."""
        whole, entry = self._rights.is_operator(asking), self._rights.seen_by(asking).get(order.caller)
        if entry is None:
            raise explaining.unknown_caller(self._desk.book, order.caller) if whole else not_seen()
        account = named
        if named is None and match.matches_account(entry, asking):
            account = asking
        if named is not None and not self._rights.may_bind(entry, asking, named.uid):
            raise Refused(403, "AccessDenied", "you may ask this for your own uid; operators and issuers for any")
        return explaining.explain(
            explaining.Question(
                book=self._desk.book,
                files=self._files(),
                entry=entry,
                credential=order.credential,
                account=account,
                whole=whole,
                held=self._held,
            )
        )

    def denial(self, asking: Account, request_id: str) -> api.DenialRow:
        """Why a request was refused: for operators, whoever sent it, and those who may see the caller."""
        found, seen = self._denials.find(request_id), self._rights.seen_by(asking)
        operator = self._rights.is_operator(asking)
        if found is None or not (operator or _is_his(found.event, asking, seen)):
            raise Refused(404, "NotFound", self._not_kept())
        event = found.event
        reason = REASONS.get(event.reason, OTHER)
        granted = any(event.credential in entry.grants for entry in seen.values())
        return api.DenialRow(
            request_id=event.request_id,
            at=found.at,
            status=event.status,
            reason=event.reason,
            what=reason.what,
            advice=reason.advice,
            uid=event.uid,
            caller=event.caller,
            token_id=event.token_id,
            dialect=event.dialect,
            credential=event.credential if operator or granted else None,  # nor does the refusal say that it exists
        )

    def worker(self, asking: Account, order: api.WhoOrder) -> api.Who:
        """Who the holder of a token is, as the worker plane would have it. Raises Refused(401)."""
        entry = self._tokens.by_digest(_bytes(order.digest), self._clock.now())
        if entry is None or not entry.fits(asking.uid, attesting=True):
            reason = "token-unknown" if entry is None else "token-of-another-uid"
            advice = "the token of this worker is over, or may not be shown by this uid: take a new one"
            raise Refused(401, "Unauthorized", advice, reason=reason)
        bound = "bound to this uid" if entry.caller.uid is not None else "bound to no uid"
        if (pod := entry.caller.pod) is not None:
            bound = f"bound to the pod {pod.namespace}/{pod.name}"
        return msgspec.structs.replace(
            self._clerk.who(asking),
            callers=tuple(facts.caller for facts in entry.caller.matches),
            how=f"worker token {entry.id} ({entry.purpose}), {bound}",
            granted=self._clerk.granted(entry.caller),
            token=listed(entry),
        )

    def refused(self, error: BrokerError, uid: int | None, name: str | None) -> None:
        """The audit hears of a refusal of the control socket; `name` is the credential that was asked for."""
        if error.status not in DENIED:
            return
        known = None if uid is None else self._clerk.directory.caller(uid, self._clock.now())
        caller = known if isinstance(known, Caller) else None
        credential = name if name in self._desk.book.credentials else None
        self._note(denied(error, secrets.token_hex(8), Sender(uid=uid, dialect=DIALECT), caller, credential))

    def answered(self, event: SocketAnswered) -> None:
        """A log at debug level hears of every answer; a name that is none of ours is left out."""
        if event.credential not in self._desk.book.credentials:
            event = msgspec.structs.replace(event, credential=None)
        self._note(event)

    def _held(self, rendered: Rendered) -> Lease | None:
        now = self._clock.now()
        return next((one.held(now) for one in self._clerk.rounds.keepers if one.rendered.key == rendered.key), None)

    def _not_kept(self) -> str:
        file = self._desk.book.config.daemon.audit_file
        where = f"the audit in {file} has" if file else "the audit in the daemon's log (`journalctl -u credbroker`) has"
        return (
            "no denial of that id is remembered that you may see: recent ones are, until a restart, and no 503 "
            f"(`credbroker status` says what cannot be minted); {where} every denial by its request_id"
        )


def _is_his(denial: RequestDenied, asking: Account, seen: Mapping[str, CallerEntry]) -> bool:
    """Whether it was of his own uid, or of callers that he may see."""
    return denial.uid == asking.uid or (denial.caller is not None and set(denial.caller.split("+")) <= seen.keys())


def _bytes(digest: str) -> bytes:
    try:
        return bytes.fromhex(digest)
    except ValueError:
        raise Refused(400, "BadRequest", "a digest is 64 hexadecimal digits") from None
