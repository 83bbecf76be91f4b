"""Which caller a pod's token is: reviewed by a minter, once for all who show it, remembered for a minute.

A pod that goes on asking is reviewed anew before that minute ends, and so waits but once. While the API server is away,
tokens are judged by its keys, for ten minutes after its last good answer. A few fixed loops ask; whoever waits is told
when an answer lands. It makes no task and knows no HTTP.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec

from broker.callers import kubernetes, match
from broker.callers.kubernetes import Verdict, Verdicts
from broker.config.shape import Config
from broker.errors import BrokerError, Malformed, NotReady, Throttled, Unreachable
from broker.events import Note, ReviewsFail, ReviewsWork
from broker.model import Caller, Keys, Pod, Reviewed
from broker.rounds import Clock
from broker.secret import Secret
from broker.server.link import Peer
from broker.server.turns import Turns
from broker.waiting import Landing

BELIEVED = 600.0  # how long after the API server's last good answer its keys are
NODE_NAME = "CREDBROKER_NODE_NAME"  # by the downward API: pods of other nodes are then refused
RENEW = 300.0  # keys are asked for anew, so that at least half of that is left when it goes away
PROBE = 10.0  # and so often while they are not had
MOST_WAITING = 256  # beyond that each peer may have one more, so that those who flood shut nobody out
MOST_OF_ONE = 16
MOST_KNOWN = 10_000
_KEYS = object()  # has a turn like any peer

Ask = Callable[[Secret | None, Keys | None], Awaitable[Reviewed]]


class Examination(Landing):
    """One token under review; None is a renewal of the keys."""

    __slots__ = ("claimed_end", "digest", "peer", "token")

    def __init__(self, token: Secret | None, digest: bytes, peer: Peer, claimed_end: float) -> None:
        super().__init__()
        self.token = token
        self.digest = digest
        self.peer = peer
        self.claimed_end = claimed_end


class Reviews:
    """Callers by the tokens of their pods. `ask` has a minter review one; `node` is where this daemon is, if known."""

    def __init__(
        self, config: Callable[[], Config], ask: Ask, note: Note, clock: Clock, node: str | None = None
    ) -> None:
        self._config = config
        self._ask = ask
        self._note = note
        self._clock = clock
        self._node = node or None
        self._verdicts = Verdicts()
        self._known: dict[Pod, Caller | str] = {}
        self._under_way: dict[bytes, Examination] = {}
        self._waiting: Turns[Examination] = Turns()
        self._of_peer: Counter[Peer] = Counter()
        self._keys: Keys | None = None
        self._good_at = float("-inf")  # when a question began that the API server answered
        self._renew_at = float("-inf")
        self._away = False  # the API server did not answer, or asked for patience
        self._mute_since = float("inf")  # when reviews began to fail so, be it that keys can be had
        self._told: dict[str, str] = {}  # what fails, and by which code

    def caller(self, text: str, peer: Peer) -> Caller | Examination:
        """The caller that shows this token, or the review that must land first.

        Raises Refused (401), or NotReady where nobody can tell now. `peer` is whom a flood would be counted against.
        """
        verdict = self._verdict(text, peer)
        if isinstance(verdict, Examination):
            return verdict
        assert verdict.pod is not None
        caller = self.of(verdict.pod)
        if isinstance(caller, str):
            raise match.unidentified(caller)
        return caller

    def of(self, pod: Pod) -> Caller | str:
        """The caller that a pod is by the present configuration; or why it is none, in a fixed word."""
        if pod not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[pod] = kubernetes.decide(self._config().callers, pod, self._node)
        return self._known[pod]

    def end_of(self, text: str) -> float | None:
        """When a token that was reviewed ends, in seconds since the epoch."""
        verdict = self._verdicts.find(kubernetes.digest_of(text), self._clock.now())
        return verdict.expires_at if verdict is not None and verdict.pod is not None else None

    def adopt(self, before: Config) -> None:
        """The configuration was this one: review and match anew. The keys stay, unless of another cluster."""
        self._verdicts.clear()
        self._known.clear()
        if before.daemon.kubernetes != self._config().daemon.kubernetes:
            self._keys, self._away = None, False
            self._good_at = self._renew_at = float("-inf")
            self._mute_since = float("inf")

    def tick(self) -> None:
        """Have the keys renewed where that is due; while the API server is away, this is what finds it again."""
        now = self._clock.now()
        if self._config().audiences and now >= self._renew_at:
            self._renew_at = now + PROBE
            self._waiting.put(_KEYS, Examination(None, b"", None, 0.0))

    async def run(self) -> None:
        """Review what waits until cancelled. Several of these run beside one another."""
        while True:
            examination = await self._waiting.get()
            if examination.token is None:
                await self._renew()
            else:
                await self._examine(examination, examination.token)

    def _verdict(self, text: str, peer: Peer) -> Verdict | Examination:
        """The verdict that holds, which is a pod's; or the review that will bring one."""
        digest, now = kubernetes.digest_of(text), self._clock.now()
        verdict = self._verdicts.find(digest, now)
        if verdict is None:
            return self._under_way.get(digest) or self._begin(text, digest, peer)
        if now >= verdict.due and digest not in self._under_way:
            with contextlib.suppress(BrokerError):  # then later
                self._begin(text, digest, peer)
        if verdict.reason is not None:
            raise match.unidentified(verdict.reason)
        if verdict.pod is None:
            raise self._nobody_knows()
        return verdict

    def _begin(self, text: str, digest: bytes, peer: Peer) -> Examination:
        audiences = self._config().audiences
        claims = kubernetes.sift(text, audiences) if audiences else "no-kubernetes-caller"
        if isinstance(claims, str):
            raise match.unidentified(claims)
        if self._of_peer[peer] >= (MOST_OF_ONE if len(self._under_way) < MOST_WAITING else 1):
            raise NotReady("too many tokens wait to be reviewed; ask again", retry_after=1.0)
        examination = Examination(Secret(text), digest, peer, claims.exp)
        self._under_way[digest] = examination
        self._of_peer[peer] += 1
        self._waiting.put(peer, examination)
        return examination

    async def _examine(self, examination: Examination, token: Secret) -> None:
        try:
            reviewed = await self._reviewed(token)
        except BrokerError:
            reviewed = None
        except Exception as bug:  # noqa: BLE001 - a review that never lands would leave its digest under way for ever
            self._fail("review", Malformed(f"the review failed inside credbroker ({type(bug).__name__})"))
            reviewed = None
        self._keep(examination, reviewed, self._clock.now())
        del self._under_way[examination.digest]
        self._of_peer[examination.peer] -= 1
        if not self._of_peer[examination.peer]:
            del self._of_peer[examination.peer]
        # From the loop itself: what fails in a connection must not end this one.
        asyncio.get_running_loop().call_soon(examination.call_back)

    def _keep(self, examination: Examination, reviewed: Reviewed | None, now: float) -> None:
        """Remember what was found. Where nothing was, a verdict that still holds is not given up before its end."""
        held = self._verdicts.find(examination.digest, now)
        if reviewed is None and held is not None:
            self._verdicts.keep(examination.digest, msgspec.structs.replace(held, due=now + kubernetes.UNSURE))
        else:
            self._verdicts.keep(examination.digest, self._judged(reviewed, examination.claimed_end, now))

    def _judged(self, reviewed: Reviewed | None, end: float, now: float) -> Verdict:
        if reviewed is None:
            return Verdict(until=now + kubernetes.UNSURE)
        if reviewed.pod is None:
            return Verdict(until=now + kubernetes.REFUSED, reason=reviewed.reason or "review-refused")
        # No longer than the token itself; but for a moment even where our clock says that it has ended.
        fresh = min(kubernetes.FRESH, max(end - self._clock.wall(), 1.0))
        if reviewed.by_keys:
            fresh = min(fresh, self._believed_until() - now)
        due = now + fresh - kubernetes.AHEAD if fresh == kubernetes.FRESH else float("inf")
        return Verdict(until=now + fresh, due=due, pod=reviewed.pod, expires_at=end)

    async def _reviewed(self, token: Secret) -> Reviewed:
        """By the API server; while that is away, by its keys. Raises BrokerError where neither can tell."""
        if not self._away:
            began = self._clock.now()
            try:
                reviewed = await self._ask(token, None)
            except BrokerError as error:
                self._fail("review", error)
                if not self._away:
                    raise
            else:
                self._good_at, self._mute_since = began, float("inf")
                self._works("review")
                return reviewed
        keys = self._believed_keys()
        if keys is None:
            raise self._nobody_knows()
        return await self._ask(token, keys)

    async def _renew(self) -> None:
        began = self._clock.now()
        try:
            self._keys = (await self._ask(None, None)).keys
        except BrokerError as error:
            self._fail("renewal", error)
        except Exception as bug:  # noqa: BLE001 - the loop that this runs in must go on
            self._fail("renewal", Malformed(f"the renewal failed inside credbroker ({type(bug).__name__})"))
        else:
            self._good_at, self._renew_at = began, self._clock.now() + RENEW
            self._works("renewal", *(("review",) if self._away else ()))
            self._away = False

    def _believed_keys(self) -> Keys | None:
        """The keys, where the API server is away and has not been for too long."""
        return self._keys if self._away and self._clock.now() <= self._believed_until() else None

    def _believed_until(self) -> float:
        """Who still gives keys, but no reviews any more, does not know either which pods are there."""
        return min(self._good_at, self._mute_since) + BELIEVED

    def _fail(self, what: str, error: BrokerError) -> None:
        """No answer is an outage, which a renewal probes for its end. An answer that does not help is none."""
        self._away = isinstance(error, Unreachable | Throttled)
        if self._away and what == "review":
            self._renew_at = self._clock.now()
            self._mute_since = min(self._mute_since, self._renew_at)
        if self._told.get(what) != error.code:
            self._told[what] = error.code
            self._note(ReviewsFail(what, error.code, error.advice, self._believed_keys() is not None))

    def _works(self, *whats: str) -> None:
        if [what for what in whats if self._told.pop(what, None)]:
            self._note(ReviewsWork())

    def _nobody_knows(self) -> NotReady:
        return NotReady("whose token this is cannot be reviewed now; ask again", code="ReviewAway", retry_after=2.0)
