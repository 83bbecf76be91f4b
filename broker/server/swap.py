"""`PUT /worker-token`: a pod swaps its own token for a path token, for clients that can show nothing but a URL.

One token for a pod, however often it asks: asking again with the next projected token is how it lives on, and its URL,
which clients read once, stays what it was. It ends with the projected token that it was last asked for with, which
stands behind it: whoever shows it is reviewed by that, and only from the address that it was asked for from.
"""

import hashlib
import hmac
import secrets

import msgspec

from broker.callers.worker_token import PATH_PREFIX, RANDOM_BYTES, TokenOrder, WorkerTokens, encoded
from broker.config.shape import Address
from broker.errors import Refused
from broker.events import Note, TokenIssued
from broker.model import Caller
from broker.rounds import Clock
from broker.secret import Secret
from broker.server.link import Link
from broker.wire import Reply, json_body, timestamp
from broker.worker_env.environment import Plane, opened
from broker.worker_env.google import UNSET, metadata_variables

NAME = "worker-token"
PATH = (NAME,)
LONGEST = 86_400.0  # whatever the projected token says: the API server's own may live for a year


class _Behind(msgspec.Struct, frozen=True):
    projected: Secret | None
    ends: float


_NOTHING = _Behind(None, 0.0)


class Swapper:
    """Swaps. Its key lives as long as the daemon: afterwards the same pod is given another token."""

    def __init__(self, tokens: WorkerTokens, note: Note, clock: Clock) -> None:
        self._tokens = tokens
        self._note = note
        self._clock = clock
        self._key = secrets.token_bytes(RANDOM_BYTES)
        self._behind: dict[str, _Behind] = {}
        self._swept = tokens.changes

    def behind(self, token_id: str) -> Secret | None:
        """The projected token behind a path token; None where that is from before a restart."""
        return self._behind.get(token_id, _NOTHING).projected

    def swap(self, caller: Caller, shown: str, ends: float, link: Link) -> Reply:
        """The path token of the pod that has shown a projected token, and ends by its end, in seconds since the epoch.

        Raises Refused.
        """
        now, wall = self._clock.now(), self._clock.wall()
        ttl = min(ends - wall, LONGEST)
        if ttl <= 0:
            raise Refused(401, "Unauthorized", "this token has ended; read the file anew", reason="jwt-expired")
        order = TokenOrder(caller=caller, purpose="path", ttl=ttl, issued_by=None, peer=link.pod_peer)
        text = self._text(caller)
        entry, is_new = self._tokens.renew(text.open(), order, now, wall)
        if ends >= self._behind.get(entry.id, _NOTHING).ends:
            self._behind[entry.id] = _Behind(Secret(shown), ends)
        if is_new:
            self._note(TokenIssued(entry.id, caller.name, None, entry.expires_at, None, caller.pod))
        return _rendered(text, entry.expires_at, Address(*link.accepted_on))

    def tick(self) -> None:
        """Once a second: keep no projected token for longer than the path token that it is behind."""
        if self._swept != self._tokens.changes:
            self._swept = self._tokens.changes
            for token_id in [one for one in self._behind if self._tokens.entry(one) is None]:
                del self._behind[token_id]

    def _text(self, caller: Caller) -> Secret:
        """As good as random to whoever does not have the key; each time the same for a pod as the same callers."""
        who = msgspec.json.encode((caller.pod, caller.matches))
        return Secret(PATH_PREFIX + encoded(hmac.digest(self._key, who, hashlib.sha256)))


def _rendered(token: Secret, ends: float, address: Address) -> Reply:
    """The token, and the environment of Google's clients as `credbroker env --format json` has it."""
    plane = Plane(address=address, folder="", program=(), path_token=token)
    variables = {name: opened(value) for name, value in metadata_variables(plane)}
    environment = {"set": variables, "unset": UNSET}
    return Reply(200, json_body(token=token.open(), expires_at=timestamp(ends), environment=environment))
