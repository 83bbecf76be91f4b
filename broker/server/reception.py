"""From a parsed request to a reply: who asks, what for, may they, the held lease, its bytes. Synchronous.

Where something must be waited for (a mint, a name service) it gives the thing to wait for, and is simply asked again.
"""

import os
import secrets
from typing import Any

import msgspec

from broker import head
from broker.callers import match
from broker.callers.imds_token import ImdsTokens
from broker.callers.worker_token import WorkerTokens
from broker.config.shape import Limits
from broker.desk import Desk
from broker.dialects import DIALECTS, Dialect, Wish, imds
from broker.dialects import token as nameless
from broker.errors import BrokerError, NotReady, Refused, in_public
from broker.events import Note
from broker.metrics import Metrics
from broker.model import Caller, Kind, Lease, Want
from broker.origin import refuse_forwarded
from broker.rounds import Clock, Flight
from broker.server import swap
from broker.server.denials import Sender, denied
from broker.server.directory import Directory
from broker.server.identifying import Identifier
from broker.server.limiter import Limiter
from broker.server.link import Link
from broker.server.reviews import Reviews
from broker.server.swap import Swapper
from broker.waiting import Landing
from broker.wire import Reply, Request

MOST_READ = 512  # different heads that are remembered between two sweeps
LONGEST_READ = 2048  # bytes of such a head; SDKs send about 400
UNAVAILABLE = 500
DEFAULT = Limits()


class Asked(msgspec.Struct, eq=False):
    """What a head says, whoever sends it: nothing in here depends on who asks, on grants or on what is held.

    The path token is no longer in front of the path. `sent_to` is where it was last found to be meant for.
    """

    request: Request
    shown: match.Shown
    dialect: Dialect | None
    nowhere: bool = False  # no such path, whoever asks
    sent_to: tuple[str, int] | None = None
    want: Wish | None = None  # once its caller is known: who is not learns nothing of paths


class Late(msgspec.Struct, frozen=True):
    """A reply that is held back a while; `last` if the connection ends with it."""

    reply: Reply
    last: bool


class Reception:
    """Answers requests of the worker plane."""

    def __init__(  # noqa: PLR0913 - the composition root hands over the parts
        self,
        *,
        desk: Desk,
        tokens: WorkerTokens,
        directory: Directory,
        metrics: Metrics,
        note: Note,
        clock: Clock,
        attesting: bool,
        limits: Limits = DEFAULT,
        imds_tokens: ImdsTokens | None = None,  # None: IMDS is off
        reviews: Reviews | None = None,  # None: no caller is a pod, nor will be
    ) -> None:
        self._desk = desk
        self._metrics = metrics
        self._note = note
        self._clock = clock
        self._swapper = Swapper(tokens, note, clock)
        self._identifier = Identifier(
            callers=lambda: desk.book.config.callers,
            tokens=tokens,
            directory=directory,
            clock=clock,
            attesting=attesting,
            imds_tokens=imds_tokens,
            reviews=reviews,
            behind=self._swapper.behind,
        )
        self._own_uid = os.geteuid()  # of a broker for one command its user's: who reads what it reads
        self._limiter = Limiter(limits, note, clock)
        self._with_imds = imds_tokens is not None
        self._reviews = reviews
        self._read: dict[bytes, Asked] = {}
        self._worn: dict[tuple[Dialect | None, str], Reply] = {}

    def read(self, one: bytes) -> Asked:
        """What a head asks for. SDKs repeat themselves to the byte, so the same bytes are read once until `forget`.

        Raises Refused.
        """
        asked = self._read.get(one)
        if asked is None:
            asked = _asked(head.parse(one), with_imds=self._with_imds)
            if len(one) <= LONGEST_READ and len(self._read) < MOST_READ:
                self._read[one] = asked
        return asked

    def tick(self) -> None:
        """Once a second: keep no head, and so no token, for longer than a moment; fill the buckets."""
        self._read.clear()
        self._limiter.tick()
        self._swapper.tick()

    def close(self) -> None:
        """Tell what the limits have held back."""
        self._limiter.close()

    def answer(self, asked: Asked, link: Link, landed: Landing | None = None) -> Reply | Late | Landing:
        """The reply, or what to wait for before asking again with what has `landed`.

        Who asks and what they get is decided each time.
        """
        try:
            if asked.sent_to != link.accepted_on:
                refuse_forwarded(asked.request, link.accepted_on)
                asked.sent_to = link.accepted_on
            return self._serve(asked, link, landed)
        except BrokerError as error:
            if self._limiter.failed(link.counted_as):
                return self._once_too_often(error, asked.dialect)
            whose = error.whose if isinstance(error, match.Unidentified) else None
            return self.refuse(error, asked.dialect, link, whose, self._named(asked))

    def late(self, asked: Asked, link: Link) -> Reply:
        """The reply for who has waited long enough; what was waited for goes on."""
        return self.refuse(NotReady("nothing is minted yet; ask again", retry_after=1.0), asked.dialect, link)

    def refuse(
        self,
        error: BrokerError,
        dialect: Dialect | None,
        link: Link,
        caller: Caller | None = None,
        credential: str | None = None,
    ) -> Reply:
        """The refusal in the dialect's own shape; its request id stands in the audit line too."""
        request_id = secrets.token_hex(8)
        if link.uid != self._own_uid:
            error = in_public(error)
        if error.status < UNAVAILABLE:
            sender = Sender(uid=link.uid, peer=link.pod_peer, dialect=dialect.NAME if dialect else None)
            self._note(denied(error, request_id, sender, caller, credential))
        reply = (dialect or nameless).refuse(error, request_id)
        self._metrics.requests[dialect.NAME if dialect else "none", reply.status] += 1
        return reply

    def _serve(self, asked: Asked, link: Link, landed: Landing | None) -> Reply | Late | Landing:
        if asked.nowhere:
            raise _no_such_path()
        dialect, shown = asked.dialect, asked.shown
        if isinstance(shown, match.Probe):
            if not self._limiter.allows_probe(link.counted_as):
                return self._too_many(dialect, link, None)
            return self._counted(DIALECTS[""], DIALECTS[""].parse(asked.request))
        caller = self._identifier.caller(shown, link)
        if not isinstance(caller, Caller):
            return caller
        link.identified = True
        if not isinstance(landed, Flight) and not self._limiter.allows(caller):  # who waited for one has paid
            return self._too_many(dialect, link, caller)
        try:
            return self._serve_known(asked, link, caller)
        except BrokerError as error:
            return self.refuse(error, dialect, link, caller, self._named(asked))

    def _named(self, asked: Asked) -> str | None:
        """The credential that is asked for by name, if there is one of it: no other text of a caller's is written."""
        try:
            want = asked.want or (asked.dialect.parse(asked.request) if asked.dialect else None)
        except BrokerError:
            return None
        name = want.name if isinstance(want, Want) else None
        return name if name in self._desk.book.credentials else None

    def _serve_known(self, asked: Asked, link: Link, caller: Caller) -> Reply | Landing:
        dialect, want = asked.dialect, asked.want
        if dialect is None and asked.request.method == "PUT" and asked.request.segments == swap.PATH:
            return self._swap(asked.shown, caller, link)
        if isinstance(asked.shown, match.PathToken) and dialect is not None and not dialect.path_token_ok:
            raise match.unidentified("path-token-elsewhere")  # URLs end up in errors
        if want is None and dialect is not None:
            want = asked.want = dialect.parse(asked.request)
        if dialect is None or want is None:
            raise _no_such_path()
        if not isinstance(want, Want):
            return self._counted(dialect, self._leaseless(want, caller, asked.shown, link))
        lease = self._desk.lease(caller, want, dialect.NAME)
        if not isinstance(lease, Lease):
            return lease
        left = lease.ends - self._clock.now()
        self._metrics.remaining.observe(left)
        return self._counted(dialect, dialect.render(asked.request, lease, left))

    def _too_many(self, dialect: Dialect | None, link: Link, caller: Caller | None) -> Late:
        error = NotReady("this caller asks too much; ask less often", code="TooManyRequests", retry_after=1.0)
        return Late(self.refuse(error, dialect, link, caller), last=False)

    def _once_too_often(self, error: BrokerError, dialect: Dialect | None) -> Late:
        """The same refusal for who has had too many: nothing is written down, and it is the connection's last."""
        reply = self._worn.get((dialect, error.code))
        if reply is None:
            reply = self._worn[dialect, error.code] = (dialect or nameless).refuse(error, "of too many: not kept")
        self._metrics.requests[dialect.NAME if dialect else "none", reply.status] += 1
        return Late(reply, last=True)

    def _leaseless(self, wish: Wish, caller: Caller, shown: match.Shown, link: Link) -> Any:
        """The reply to what needs no lease: the dialect's own, a session of IMDS, the name of its role."""
        match wish:
            case imds.NewToken(ttl):
                return imds.token(self._identifier.new_session(ttl, shown, link), ttl)
            case imds.RoleList():
                rendered = (keeper.rendered for keeper, _ in self._desk.keepers_of(caller))
                return imds.roles(tuple(one.label for one in rendered if one.spec.kind is Kind.AWS))
        return wish

    def _swap(self, shown: match.Shown, caller: Caller, link: Link) -> Reply:
        if not isinstance(shown, match.ProjectedToken) or self._reviews is None:
            raise Refused(403, "AccessDenied", "only the token of a pod is swapped", reason="swap-of-another")
        ends = self._reviews.end_of(shown.text)
        if ends is None:
            raise NotReady("the review of this token has just ended; ask again", retry_after=1.0)
        reply = self._swapper.swap(caller, shown.text, ends, link)
        self._metrics.requests[swap.NAME, reply.status] += 1
        return reply

    def _counted(self, dialect: Dialect, reply: Any) -> Reply:
        self._metrics.requests[dialect.NAME, reply.status] += 1
        return reply  # type: ignore[no-any-return]  # a probe's parse is always a Reply


def _asked(request: Request, *, with_imds: bool) -> Asked:
    shown = match.identify_shown(request)
    if isinstance(shown, match.PathToken):
        request = msgspec.structs.replace(request, segments=shown.rest)
    elif isinstance(shown, match.Probe):
        request = msgspec.structs.replace(request, segments=("",))
    dialect = DIALECTS.get(request.segments[0])
    if dialect is imds and not with_imds:
        # Who speaks it hears so at once, known or not: clients then look elsewhere. For all others it is any path.
        return Asked(request, shown, None, nowhere=isinstance(shown, match.ImdsToken) or request.method == "PUT")
    return Asked(request, shown, dialect)


def _no_such_path() -> Refused:
    return Refused(404, "NotFound", "no such path")
