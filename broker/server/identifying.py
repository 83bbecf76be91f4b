"""Who asks: the caller by what a request shows, and where that is not enough by the kernel's word on its connection.

What is shown decides alone. Where a name service or a cluster must answer first, it gives what to wait for.
"""

from collections.abc import Callable

from broker.callers import match
from broker.callers.imds_token import ImdsTokens
from broker.callers.worker_token import Purpose, TokenEntry, WorkerTokens
from broker.config.shape import CallerEntry
from broker.model import Caller
from broker.rounds import Clock
from broker.secret import Secret
from broker.server.directory import Directory, LookUp
from broker.server.link import Link
from broker.server.reviews import Examination, Reviews


class Identifier:
    """Says who asks. `imds_tokens` None: IMDS is off; `reviews` None: no caller is a pod, nor will be.

    `behind` gives the projected token that a pod has swapped for the path token of an id.
    """

    def __init__(  # noqa: PLR0913 - each way to be known has its part
        self,
        *,
        callers: Callable[[], tuple[CallerEntry, ...]],
        tokens: WorkerTokens,
        directory: Directory,
        clock: Clock,
        attesting: bool,
        imds_tokens: ImdsTokens | None,
        reviews: Reviews | None,
        behind: Callable[[str], Secret | None] = lambda _: None,
    ) -> None:
        self._callers = callers
        self._tokens = tokens
        self._directory = directory
        self._clock = clock
        self._attesting = attesting
        self._imds_tokens = imds_tokens
        self._reviews = reviews
        self._behind = behind

    def caller(self, shown: match.Shown, link: Link) -> Caller | LookUp | Examination:
        """Who it is, or what must land first. Raises Refused (401), or NotReady where nobody can tell now."""
        if isinstance(shown, match.ProjectedToken):
            if self._reviews is None:
                raise match.unidentified("no-kubernetes-caller")
            return self._reviews.caller(shown.text, link.counted_as)
        if isinstance(shown, match.PathToken):
            return self._by_token(shown.text, "path", link)
        if isinstance(shown, match.Bad):
            raise match.unidentified(shown.reason)
        if link.for_pods:
            raise match.unidentified("pods-alone")  # a token for a uid is nobody's here, nor is anybody attested
        if isinstance(shown, match.HeaderToken):
            return self._by_token(shown.text, "header", link)
        return self._by_uid(shown, link)

    def new_session(self, ttl: int, shown: match.Shown, link: Link) -> Secret:
        """A session token of IMDS: for the kernel's uid alone, never for whoever shows a worker token."""
        if self._imds_tokens is None or link.uid is None or not isinstance(shown, match.Attested):
            raise match.unidentified("not-attested")
        return self._imds_tokens.issue(link.uid, ttl, self._clock.now())

    def _by_uid(self, shown: match.Shown, link: Link) -> Caller | LookUp:
        bare = isinstance(shown, match.Bare)
        if isinstance(shown, match.ImdsToken):
            self._check_session(shown, link)
        if link.uid is None:
            raise match.unidentified("nothing-shown" if bare else "not-attested")
        caller = self._directory.caller(link.uid, self._clock.now())
        if isinstance(caller, LookUp):
            return caller
        if caller is not None and bare:
            caller = match.bare_allowed(self._callers(), caller)
        if caller is None:
            raise match.unidentified("nothing-shown" if bare else "uid-matches-nobody")
        return caller

    def _by_token(self, text: str, purpose: Purpose, link: Link) -> Caller | Examination:
        entry = self._tokens.find(text, purpose, self._clock.now())
        if entry is None:
            raise match.unidentified("token-unknown")
        if link.for_pods and entry.caller.pod is None:
            raise match.unidentified("pods-alone")
        if not entry.fits(link.uid, attesting=self._attesting):
            raise match.unidentified("token-of-another-uid", whose=entry.caller)
        if entry.peer != link.pod_peer:
            raise match.unidentified("token-of-another-pod", whose=entry.caller)
        return entry.caller if entry.caller.pod is None else self._by_swapped(entry, link)

    def _by_swapped(self, entry: TokenEntry, link: Link) -> Caller | Examination:
        """The pod by the token that it has swapped, while that is good; the path token alone, after a restart."""
        projected = self._behind(entry.id)
        if projected is None or self._reviews is None:
            return entry.caller
        found = self._reviews.caller(projected.open(), link.counted_as)
        return entry.caller if isinstance(found, Caller) else found

    def _check_session(self, shown: match.ImdsToken, link: Link) -> None:
        if link.uid is None or self._imds_tokens is None:
            raise match.unidentified("not-attested")
        if not self._imds_tokens.holds(shown.text, link.uid, self._clock.now()):
            raise match.unidentified("imds-token-not-good")
