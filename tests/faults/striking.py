"""Minters that are killed at the very step."""

import contextlib
import os
import signal
from pathlib import Path


def minters(daemon: int) -> list[int]:
    """A daemon's children, which are its minters."""
    return [
        int(pid) for task in Path(f"/proc/{daemon}/task").iterdir() for pid in (task / "children").read_text().split()
    ]


def strike(daemon: int, step: str, killed: list[int], now: str) -> None:
    """Kill every minter of it when it comes to that step for the first time; the fake cloud calls this with `now`."""
    if now != step or killed:
        return
    killed += minters(daemon)
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
