"""Events -> audit lines, one JSON object each: who first received which lease, what was refused, tokens, reloads.

Only names, ids, serials and times: no secret ever comes here, because no event carries one.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from broker.clock import wall
from broker.events import (
    AskRefused,
    Event,
    LeaseEvicted,
    LeaseHanded,
    Reloaded,
    RequestDenied,
    TokenIssued,
    TokenRevoked,
)

REPEATS = 10.0  # the same denial within this many seconds is counted, not written again
MOST_REMEMBERED = 4096

_AUDITED = (LeaseHanded, RequestDenied, TokenIssued, TokenRevoked, Reloaded, LeaseEvicted, AskRefused)


class Audit:
    """Turns the audited events into lines for `write`."""

    def __init__(self, write: Callable[[bytes], None], clock: Callable[[], float] = wall) -> None:
        self._write = write
        self._clock = clock
        self._denials: dict[tuple[object, ...], tuple[float, int]] = {}

    def listen(self, event: Event) -> None:
        """Write an audited event down; denials that repeat are folded."""
        if not isinstance(event, _AUDITED):
            return
        repeats = self._repeats(event) if isinstance(event, RequestDenied | AskRefused) else 0
        if repeats is None:
            return
        line = {"time": _stamp(self._clock()), "event": type(event).__name__, **msgspec.structs.asdict(event)}
        if line.get("expires_at") is not None:
            line["expires_at"] = _stamp(line["expires_at"])
        if repeats:
            line["repeated_before"] = repeats
        self._write(msgspec.json.encode(line) + b"\n")

    def _repeats(self, event: RequestDenied | AskRefused) -> int | None:
        """How often this denial was left out since it was last written, or None to leave it out again."""
        now, what = self._clock(), event.status if isinstance(event, RequestDenied) else event.credential
        key = (event.reason, what, event.uid, event.caller)
        since, count = self._denials.get(key, (float("-inf"), 0))
        if 0 <= now - since < REPEATS:
            self._denials[key] = (since, count + 1)
            return None
        if len(self._denials) >= MOST_REMEMBERED:
            self._denials.clear()
        self._denials[key] = (now, 0)
        return count


def to_file(path: str) -> Callable[[bytes], None]:
    """A writer that appends whole lines to a private file, made 0600."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def write(line: bytes) -> None:
        os.write(descriptor, line)

    return write


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
