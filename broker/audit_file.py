"""An audit file: whole lines appended by a thread of its own, since a disk may take its time.

While the disk is full, lines wait in memory; only those beyond MOST_WAITING are lost, and counted. No line is ever cut
short by a newcomer: one that was, by a full disk or a kill, is finished or ended first.
"""

import os
import queue
import stat
import threading

from broker.errors import BrokerError

MOST_WAITING = 20_000
LONGEST_WRITE = 1 << 20
RETRY = 1.0
PATIENCE = 2.0  # at the end, for what is left
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class AuditFile:
    """Satisfies `audit.Sink`. Made 0600; raises BrokerError where it cannot be opened at first."""

    def __init__(self, path: str) -> None:
        self.why: str | None = None
        self._path = path
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._tries = self._gone = 0  # the thread's: writes that failed, lines that it gave up
        self._dropped = 0  # lines that there was no room to wait for
        self._reopen, self._ending = threading.Event(), threading.Event()
        self._whole = True
        try:
            self._descriptor = os.open(path, _FLAGS, 0o600)
        except OSError as error:
            advice = f"cannot write the audit to {path}: {error.strerror}; correct audit_file, or who owns its folder"
            raise BrokerError(advice, code="AuditUnavailable") from None
        self._lines.put(_end_of_line(self._descriptor))
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    @property
    def failures(self) -> int:
        """Tries that have failed, and lines that were not even tried."""
        return self._tries + self._dropped

    @property
    def lost(self) -> int:
        """Lines that are gone for good."""
        return self._gone + self._dropped

    def write(self, line: bytes) -> None:
        """Take a whole line. Never waits."""
        if self._lines.qsize() < MOST_WAITING:
            self._lines.put(line)
        else:
            self._dropped += 1
            self.why = self.why or "the disk does not keep up"

    def reopen(self) -> None:
        """From the next line on, write to the file that now has the name."""
        self._reopen.set()
        self._lines.put(b"")

    def close(self) -> None:
        """Write what is left, for as long as PATIENCE."""
        self._ending.set()
        self._lines.put(b"")
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not (self._ending.is_set() and self._lines.empty()):
            data = self._written(self._next())
            while data and not self._ending.wait(RETRY):
                data = self._written(data)
            left = self._written(data)  # a last try, at the end; else nothing is left
            self._gone += left.count(b"\n")
        os.close(self._descriptor)

    def _next(self) -> bytes:
        """All lines that wait, at least one, as one write."""
        parts = [self._lines.get()]
        length = len(parts[0])
        while length < LONGEST_WRITE and not self._lines.empty():
            parts.append(self._lines.get())
            length += len(parts[-1])
        return b"".join(parts)

    def _written(self, data: bytes) -> bytes:
        """Write it; gives what could not be written, which may begin within a line."""
        if self._reopen.is_set():
            data = self._open_again(data)
        try:
            while data:
                count = os.write(self._descriptor, data)
                self._whole = data[count - 1 : count] == b"\n"
                data = data[count:]
        except OSError as error:
            self._tries += 1
            self.why = error.strerror
        else:
            self.why = None
        return data

    def _open_again(self, data: bytes) -> bytes:
        """Go on in the file of the name; a line that was begun in the old one is lost."""
        self._reopen.clear()
        try:
            descriptor = os.open(self._path, _FLAGS, 0o600)
        except OSError as error:
            self._tries += 1
            self.why = f"it cannot be opened anew: {error.strerror}"
            return data
        os.close(self._descriptor)
        self._descriptor = descriptor
        if not self._whole:
            self._gone += 1
            data = data.partition(b"\n")[2]
        self._whole = True
        return _end_of_line(descriptor) + data


def _end_of_line(descriptor: int) -> bytes:
    """What ends a line that somebody, killed within it, has left in the file: nothing where all are whole."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return b""
    return b"" if os.pread(descriptor, 1, status.st_size - 1) == b"\n" else b"\n"
