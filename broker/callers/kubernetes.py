"""Pods, by the tokens that their cluster projects into them: which need a review, and which callers a reviewed one is.

Pure: what a minter brought home comes in, with the time of the boot clock; a decision comes out. A verdict is kept by
the token's SHA-256 digest, never with the token.
"""

import hashlib
from collections.abc import Container

import msgspec

from broker import jwt
from broker.config.shape import CallerEntry, Pods
from broker.model import Caller, CallerFacts, Pod

FRESH = 60.0  # a pod that was deleted is served for so long at most
AHEAD = 20.0  # before a verdict of that life ends, it is asked for anew while it still holds
REFUSED = 10.0  # a token that is nobody's is not reviewed again before
UNSURE = 2.0  # where nobody could tell
MOST_KNOWN = 10_000
MOST_REFUSED = 4096


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a review found: a pod, or why the token is nobody's (a fixed word), or neither where nobody could tell.

    `expires_at` is the token's own end in seconds since the epoch; `until`, and `due` from when on a new one is wanted,
    are on the boot clock.
    """

    until: float
    due: float = float("inf")
    pod: Pod | None = None
    expires_at: float = 0.0
    reason: str | None = None


class Verdicts:
    """The verdicts that still hold, by digest. What is refused never makes room for itself among the good ones."""

    __slots__ = ("_good", "_others")

    def __init__(self) -> None:
        self._good: dict[bytes, Verdict] = {}
        self._others: dict[bytes, Verdict] = {}

    def find(self, digest: bytes, now: float) -> Verdict | None:
        """The verdict on the token of that digest, if it holds."""
        found = self._good.get(digest) or self._others.get(digest)
        return found if found is not None and now < found.until else None

    def keep(self, digest: bytes, verdict: Verdict) -> None:
        """Remember a verdict; the oldest goes where there are too many."""
        kept, most = (self._good, MOST_KNOWN) if verdict.pod else (self._others, MOST_REFUSED)
        self._good.pop(digest, None)
        self._others.pop(digest, None)
        if len(kept) >= most:
            del kept[next(iter(kept))]
        kept[digest] = verdict

    def clear(self) -> None:
        """Forget them all: another configuration asks for other audiences."""
        self._good.clear()
        self._others.clear()


def digest_of(text: str) -> bytes:
    """By what a token is remembered."""
    return hashlib.sha256(text.encode("ascii", "backslashreplace")).digest()


def sift(text: str, audiences: Container[str]) -> jwt.Claims | str:
    """What a token says of itself, which a review may confirm; or why none is needed to refuse it, in a fixed word.

    Its times are left to those who verify it: here they could only be compared with a clock that may be wrong.
    """
    try:
        claims = jwt.parse(text).claims
    except jwt.BadJwt as bad:
        return bad.reason
    if not any(audience in audiences for audience in claims.audiences):
        return "jwt-audience"
    return claims if claims.bound.pod is not None and claims.bound.node is not None else "jwt-unbound"


def decide(callers: tuple[CallerEntry, ...], pod: Pod, node: str | None) -> Caller | str:
    """Every configured caller that a reviewed pod is, in file order; or why it is none, in a fixed word.

    `node` is where this daemon is; None where it was not told. A token that fell into hands on another node is no good.
    """
    if not (pod.name and pod.uid and pod.node):
        return "pod-unbound"
    if node is not None and pod.node != node:
        return "pod-of-another-node"
    found = [entry.name for entry in callers if any(_is(rule.kubernetes, pod) for rule in entry.rules)]
    if not found:
        return "pod-matches-nobody"
    return Caller(matches=tuple(CallerFacts(caller=name) for name in found), how="kubernetes", pod=pod)


def _is(pods: Pods | None, pod: Pod) -> bool:
    return (
        pods is not None
        and (pods.namespace, pods.service_account) == (pod.namespace, pod.service_account)
        and pods.audience in pod.audiences
    )
