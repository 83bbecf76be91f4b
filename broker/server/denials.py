"""Recent denials by their request ids, so that who was refused can learn why. In memory alone: the audit has them all.

No uid, and no pod, can push out those of others: each has so many of its own.
"""

from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from broker.errors import BrokerError, Refused
from broker.events import Event, RequestDenied
from broker.model import Caller

MOST_OF_ONE = 256
MOST_UIDS = 256


class Denial(msgspec.Struct, frozen=True):
    """A denial, and when it was, in seconds since the epoch."""

    at: float
    event: RequestDenied


class Denials:
    """A listener of the ledger. `wall` gives the time."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._of: OrderedDict[int | str | None, deque[Denial]] = OrderedDict()

    def listen(self, event: Event) -> None:
        """Keep a denial; the oldest of its uid's goes for it, and all of that uid's which was longest not denied."""
        if not isinstance(event, RequestDenied):
            return
        key = event.peer or event.uid
        kept = self._of.get(key)
        if kept is None:
            if len(self._of) >= MOST_UIDS:
                self._of.popitem(last=False)
            kept = self._of[key] = deque(maxlen=MOST_OF_ONE)
        self._of.move_to_end(key)
        kept.append(Denial(self._wall(), event))

    def find(self, request_id: str) -> Denial | None:
        """The denial of that id, unless it is none, or too long ago."""
        return next((one for kept in self._of.values() for one in kept if one.event.request_id == request_id), None)


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Where a refused request came from; `peer` is a pod's address."""

    uid: int | None
    peer: str | None = None
    dialect: str | None = None


def denied(
    error: BrokerError, request_id: str, sender: Sender, caller: Caller | None = None, credential: str | None = None
) -> RequestDenied:
    """What the ledger is told of a refusal."""
    return RequestDenied(
        reason=error.reason if isinstance(error, Refused) else "upstream-denied",
        status=error.status,
        request_id=request_id,
        uid=sender.uid,
        caller=caller.name if caller else None,
        token_id=caller.token_id if caller else None,
        dialect=sender.dialect,
        pod=caller.pod if caller else None,
        peer=sender.peer,
        credential=credential,
    )
