"""The two clocks that a lifetime is counted on, and which boot the first belongs to. No sleep in here.

`now` counts through a suspend and never steps (CLOCK_BOOTTIME; CLOCK_MONOTONIC stops in suspend); where the system has
none, as on macOS, CLOCK_MONOTONIC stands in for it. `wall` is what upstream's timestamps are compared with.
"""

import time
from pathlib import Path

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds since boot, suspend included; the same in every process of this machine."""
    return time.clock_gettime(_BOOT)


def wall() -> float:
    """Seconds since the epoch by the local clock, which may step."""
    return time.time()


def boot() -> str:
    """A name of this start of the machine; empty where the system has none, or a sandbox hides it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
