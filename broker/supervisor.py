"""What systemd is told of this daemon, as sd_notify(3) has it: ready, reloading, stopping, alive, and a line of status.

It decides nothing: whether the daemon is ready is said to it. Without a systemd all of it goes nowhere.
"""

import time
from collections.abc import Sequence

from broker import process

_PATIENCE = "EXTEND_TIMEOUT_USEC=30000000"


class Supervisor:
    """Remembers what was told, so that it is told once."""

    def __init__(self) -> None:
        self.ready = False
        self._told = ""

    def look(self, missing: Sequence[str], degraded: Sequence[str]) -> None:
        """Say that it is ready as soon as nothing required is `missing`; whenever it has changed, how it stands."""
        became = not self.ready and not missing
        self.ready = self.ready or became
        status = _status(missing, degraded)
        lines = ["READY=1"] if became else []
        if not self.ready:  # a start without upstream takes as long as it takes: it must not be ended for that
            lines.append(_PATIENCE)
        if lines or status != self._told:
            self._told = status
            process.notify("\n".join([*lines, f"STATUS={status}"]))

    def alive(self) -> None:
        """The loop turns: the watchdog need not bite."""
        process.notify("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins. Type=notify-reload wants to know when, by CLOCK_MONOTONIC."""
        if self.ready:  # else systemd would take the end of it for the end of the start
            process.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """It is over, well or not: the daemon is as ready as before."""
        if self.ready:
            process.notify("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        process.notify("STOPPING=1\nSTATUS=answering what is in flight")


def _status(missing: Sequence[str], degraded: Sequence[str]) -> str:
    if missing:
        return f"{_credentials(missing, 'required ')} without a lease: see `credbroker status`"
    if degraded:
        return f"serving; {_credentials(degraded)} cannot be refreshed at present: see `credbroker status`"
    return "serving"


def _credentials(names: Sequence[str], which: str = "") -> str:
    return f"{len(names)} {which}credential{'' if len(names) == 1 else 's'}"
