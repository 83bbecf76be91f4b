"""What Linux says about a process: the CPU time it has used, the memory it holds, the children it has."""

import os
import re
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11  # counted from behind the command's name, which may hold spaces; stime follows
_MIB = 1024


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """In MiB. `pss` shares what is shared; of a process that cannot be dumped only root may read it, else None."""

    rss: float
    peak: float
    pss: float | None


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, that all threads of a process have used; in steps of 10 ms."""
    behind = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(behind[_UTIME]) + int(behind[_UTIME + 1])) / _TICKS


def memory(pid: int) -> Memory:
    """What the process holds now, and held at most."""
    status = Path(f"/proc/{pid}/status").read_text()
    return Memory(rss=_kib(status, "VmRSS") / _MIB, peak=_kib(status, "VmHWM") / _MIB, pss=_pss(pid))


def children(pid: int) -> tuple[int, ...]:
    """Those that the main thread has started, which here is all of them."""
    return tuple(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _pss(pid: int) -> float | None:
    try:
        return _kib(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss") / _MIB
    except PermissionError:
        return None


def _kib(text: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, f"the kernel tells no {name}"
    return int(found[1])
