"""The two clocks that a lifetime is counted on, which boot the first belongs to, who vouches for the second. No sleep.

`now` counts through a suspend and never steps (CLOCK_BOOTTIME; CLOCK_MONOTONIC stops in suspend); where the system has
none, as on macOS, CLOCK_MONOTONIC stands in for it. `wall` is what upstream's timestamps are compared with.
"""

import sys
import time
from pathlib import Path

_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_CLOCK_ERROR = 5  # TIME_ERROR: not synchronised


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


def synchronised() -> bool:
    """Whether the kernel vouches for the wall clock, which something keeps. False where it cannot be asked."""
    if sys.platform != "linux":
        return False
    if Path("/run/systemd/timesync/synchronized").exists():  # a sandbox may forbid the question below
        return True
    import ctypes

    asked = ctypes.create_string_buffer(512)  # struct timex, all zero: only a question; adjtimex(2)
    state: int = ctypes.CDLL(None).adjtimex(asked)
    return 0 <= state < _CLOCK_ERROR
