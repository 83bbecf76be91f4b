"""The manners of every process of ours: nothing to dump, nothing for others to read, ended with its parent.

`harden` is the first statement of each, so this file imports next to nothing. What a kernel lacks is left out silently.
"""

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_UMASK = 0o077
_GRACE = 0.2  # seconds for an orderly end
_MOST_MEMORY = 1 << 30  # bytes of data that a minter may have: whatever leaks, the machine is not to suffer from it
_LARGE = 256 << 20  # bytes in memory; the SDKs need a quarter of it


class Inherited(NamedTuple):
    """What `harden` and `raise_descriptor_limit` change and a user's own command should have as it was."""

    umask: int
    core: int  # soft limit in bytes
    descriptors: int  # soft limit


def harden() -> Inherited:
    """No core file, no ptrace, no reading of /proc/PID/environ or mem by others; new files are the owner's alone.

    Only soft limits are lowered, so that a command started later can have its own again. An execve undoes the first
    part, so every process asks for itself.
    """
    _prctl(_PR_SET_DUMPABLE, 0)
    core, most = resource.getrlimit(resource.RLIMIT_CORE)
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    return Inherited(os.umask(_UMASK), core, descriptors)


def die_with_parent(parent: int) -> None:
    """End this process as soon as its parent does, at once if that is gone already. `parent` is its pid as it said it.

    Linux counts the end of the *thread* that started us: start children from the main thread.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(1)  # it ended before we asked


def die_with_peer(connection: int) -> None:
    """End this process, and what it started, once the other end of a socket hangs up: also amid a call that blocks.

    Makes a session of its own first, so that nobody else is ended. Who is only waiting to read has a moment to leave.
    """
    import select
    import threading
    import time

    with contextlib.suppress(PermissionError):  # systemd has made one already
        os.setsid()
    hung_up = select.poll()
    hung_up.register(connection, getattr(select, "POLLRDHUP", 0))  # and POLLHUP, always

    def wait() -> None:
        hung_up.poll()
        time.sleep(_GRACE)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def limit_memory() -> None:
    """From now on this process gets a MemoryError where it would have had more than its share."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = _MOST_MEMORY if hard == resource.RLIM_INFINITY else min(hard, _MOST_MEMORY)
    with contextlib.suppress(ValueError, OSError):  # macOS knows the limit and keeps to none
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def grown() -> bool:
    """Whether this process is so large that a new one had better take its place."""
    try:
        with open("/proc/self/statm", "rb") as memory:  # noqa: PTH123 - pathlib costs 10 ms at start
            return int(memory.read().split()[1]) * resource.getpagesize() > _LARGE
    except OSError:  # as on macOS; getrusage(2) would count what the parent had, too
        return False


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one; the limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # macOS promises more than it gives
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def notify(state: str) -> bool:
    """Tell systemd a state such as "READY=1"; whether there was one to tell. Never waits and never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # sd_notify(3): an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service_manager:
        service_manager.settimeout(0)
        try:
            service_manager.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
