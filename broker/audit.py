"""Events -> audit lines, one JSON object each: who first received which lease, what was refused, tokens, reloads.

Only names, ids, serials and times: no secret ever comes here, because no event carries one. Lines go to a sink, which
never makes anybody wait.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from broker import clock
from broker.events import (
    AskRefused,
    Event,
    KeysLeft,
    KeysRetired,
    LeaseEvicted,
    LeaseHanded,
    Limited,
    RefreshAsked,
    Reloaded,
    RequestDenied,
    TokenIssued,
    TokenRevoked,
    WriteFailed,
    WriteHealed,
)

REPEATS = 10.0  # the same denial within this many seconds is counted, and the count written when they are over
MOST_REMEMBERED = 4096
NAME = "audit"

_AUDITED = (
    LeaseHanded | LeaseEvicted | RefreshAsked | Limited | Reloaded | TokenIssued | TokenRevoked | KeysRetired | KeysLeft
)
_OF_PODS = {"pod", "peer"}  # left out of all other lines
_Denial = RequestDenied | AskRefused


class Sink(Protocol):
    """Where lines go. What it cannot write it counts, and tells when it is asked."""

    @property
    def failures(self) -> int:
        """Tries that have failed so far."""

    @property
    def lost(self) -> int:
        """Lines that are gone for good."""

    @property
    def why(self) -> str | None:
        """Why it cannot write at present; None if it can."""

    def write(self, line: bytes) -> None:
        """Take a whole line. Never waits."""

    def reopen(self) -> None:
        """Go on in the file that now has the name."""

    def close(self) -> None:
        """Write what is left."""


class Clock(Protocol):
    """Both clocks of `broker.clock`."""

    def now(self) -> float:
        """Seconds since boot."""

    def wall(self) -> float:
        """Seconds since the epoch."""


class _Window(msgspec.Struct):
    """A denial that was written, and how often it has come again since."""

    last: _Denial
    began: float
    repeats: int = 0


class Audit:
    """Turns the audited events into lines for a sink; `tick` once a second."""

    def __init__(self, sink: Sink, note: Callable[[Event], None], clocks: Clock = clock) -> None:
        self._sink = sink
        self._note = note
        self._clock = clocks
        self._windows: dict[tuple[object, ...], _Window] = {}
        self._failures = self._lost = 0
        self._failing = False

    def listen(self, event: Event) -> None:
        """Write an audited event down; denials that repeat are counted."""
        if isinstance(event, _Denial):
            self._denied(event)
        elif isinstance(event, _AUDITED):
            self._write(event)

    def tick(self) -> None:
        """Write the counts of windows that are over, and tell how the sink is doing."""
        self._finish(self._clock.now() - REPEATS)
        self._look_after_sink()

    def reopen(self) -> None:
        """The file was moved away, by logrotate say."""
        self._sink.reopen()

    def close(self) -> None:
        """Write every count that is left, and end."""
        self._finish(float("inf"))
        self._sink.close()

    def _denied(self, event: _Denial) -> None:
        now, key = self._clock.now(), _key(event)
        window = self._windows.get(key)
        if window is not None and now - window.began < REPEATS:
            window.repeats += 1
            window.last = event
            return
        if window is not None:
            self._count(self._windows.pop(key))
        elif len(self._windows) >= MOST_REMEMBERED:
            self._finish(float("inf"))
        self._windows[key] = _Window(event, now)
        self._write(event)

    def _finish(self, moment: float) -> None:
        """End the windows that began at or before it; the oldest come first."""
        for key, window in list(self._windows.items()):
            if window.began > moment:
                break
            del self._windows[key]
            self._count(window)

    def _count(self, window: _Window) -> None:
        if window.repeats:
            self._write(window.last, repeats=window.repeats)

    def _write(self, event: Event, **more: object) -> None:
        line = {**msgspec.structs.asdict(event), **more}
        line = {name: value for name, value in line.items() if value is not None or name not in _OF_PODS}
        if line.get("expires_at") is not None:
            line["expires_at"] = _stamp(line["expires_at"])
        self._line(type(event).__name__, **line)

    def _line(self, name: str, **members: object) -> None:
        line = {"time": _stamp(self._clock.wall()), "event": name, **members}
        self._sink.write(msgspec.json.encode(line) + b"\n")

    def _look_after_sink(self) -> None:
        sink = self._sink
        if sink.failures > self._failures or (sink.why and not self._failing):
            self._failures = sink.failures
            self._note(WriteFailed(NAME, sink.why or "a line could not be written", first=not self._failing))
            self._failing = True
        if self._failing and sink.why is None:
            self._failing = False
            self._note(WriteHealed(NAME, sink.lost - self._lost))
            if sink.lost > self._lost:
                self._line("LinesLost", count=sink.lost - self._lost)
                self._lost = sink.lost


class ToLog:
    """The sink where no audit file is configured: standard error, beside the log."""

    failures = 0
    lost = 0
    why: str | None = None

    def write(self, line: bytes) -> None:
        """One line; what becomes of it is the log's affair."""
        try:
            sys.stderr.write(line.decode())
            sys.stderr.flush()
        except OSError as error:
            self.failures += 1
            self.lost += 1
            self.why = error.strerror
        else:
            self.why = None

    def reopen(self) -> None:
        """Whoever reads standard error sees to that."""

    def close(self) -> None:
        """Nothing is left."""


def _key(event: _Denial) -> tuple[object, ...]:
    """What makes two denials the same: all but what is another each time, or that who asks may choose."""
    if isinstance(event, RequestDenied):
        who = (event.uid, event.caller, event.token_id, event.pod, event.peer)
        return (event.reason, event.status, *who, event.dialect, event.credential)
    return (event.reason, event.uid, event.credential, event.caller)


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
