"""The audit's file: whole lines, in order, whatever the disk does meanwhile."""

import contextlib
import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import audit_file
from broker.audit_file import AuditFile
from broker.errors import BrokerError

LINES = [b'{"line":%d}\n' % number for number in range(200)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], AuditFile]]:
    """Opens the file, as often as it is called; closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(AuditFile(str(path))))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> "Disk":
    monkeypatch.setattr(audit_file, "RETRY", 0.01)
    made = Disk(os.write)
    monkeypatch.setattr("broker.audit_file.os.write", made.write)
    return made


class Disk:
    """Takes so many bytes and no more; None for all."""

    def __init__(self, write: Callable[[int, bytes], int]) -> None:
        self._write = write
        self.room: int | None = None
        self.tried = 0

    def write(self, descriptor: int, data: bytes) -> int:
        """As os.write."""
        self.tried += 1
        if self.room is None:
            return self._write(descriptor, data)
        if not self.room:
            raise OSError(28, "No space left on device")
        count = self._write(descriptor, data[: self.room])
        self.room -= count
        return count


def until(true: Callable[[], bool]) -> None:
    """Until the thread has done it."""
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.002)


class TestWrite:
    def test_lines_come_in_order(self, path: Path, opened: Callable[[], AuditFile]):
        """And all of them by the end."""
        file = opened()
        for line in LINES:
            file.write(line)
        file.close()

        assert path.read_bytes() == b"".join(LINES)

    def test_it_is_private_and_appended_to(self, path: Path, opened: Callable[[], AuditFile]):
        """Across restarts, and readable by nobody else."""
        for line in LINES[:2]:
            file = opened()
            file.write(line)
            file.close()

        assert path.read_bytes() == b"".join(LINES[:2])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_nobody_waits_for_the_disk(self, path: Path, opened: Callable[[], AuditFile], disk: Disk):
        """All lines are handed over while the first has not been taken yet."""
        gate, taken = threading.Event(), threading.Event()
        inner = disk.write

        def hangs(descriptor: int, data: bytes) -> int:
            gate.wait(10)
            taken.set()
            return inner(descriptor, data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.audit_file.os.write", hangs)
            file = opened()
            for line in LINES:
                file.write(line)
            waited = taken.is_set()
            gate.set()
            file.close()

        assert not waited
        assert path.read_bytes() == b"".join(LINES)

    def test_a_line_that_a_kill_has_cut_is_ended_first(self, path: Path, opened: Callable[[], AuditFile]):
        """The next one is whole."""
        path.write_bytes(b'{"line":')
        file = opened()
        file.write(LINES[0])
        file.close()

        assert path.read_bytes() == b'{"line":\n' + LINES[0]

    def test_it_follows_no_link(self, path: Path):
        """Whoever could write the folder would choose the file."""
        path.symlink_to(path.with_name("target"))

        with pytest.raises(BrokerError, match="symbolic"):
            AuditFile(str(path))

    def test_what_cannot_be_opened_is_told_with_what_to_do(self, tmp_path: Path):
        """At start, before anything is served."""
        with pytest.raises(BrokerError, match="audit_file"):
            AuditFile(str(tmp_path / "missing" / "audit"))

    def test_no_child_inherits_it(self, path: Path, opened: Callable[[], AuditFile]):
        """A minter has no business in the audit."""
        opened()
        listed = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, check=True).stdout

        assert str(path) not in listed


class TestFullDisk:
    def test_lines_wait_until_there_is_room(self, path: Path, opened: Callable[[], AuditFile], disk: Disk):
        """None is lost, none is cut, however little room there was at first."""
        for room in range(30):
            path.unlink(missing_ok=True)
            disk.room = room
            file = opened()
            for line in LINES[:3]:
                file.write(line)
            until(lambda file=file: file.why is not None)  # type: ignore[misc]
            assert (file.why, file.lost) == ("No space left on device", 0)
            disk.room = None
            file.close()
            assert (path.read_bytes(), file.why, file.lost) == (b"".join(LINES[:3]), None, 0)

    def test_each_try_is_counted(self, opened: Callable[[], AuditFile], disk: Disk):
        """For a metric."""
        disk.room = 0
        file = opened()
        file.write(LINES[0])

        until(lambda: file.failures > 3)

    def test_more_than_can_wait_is_lost_and_counted(
        self, path: Path, opened: Callable[[], AuditFile], disk: Disk, monkeypatch: pytest.MonkeyPatch
    ):
        """A disk that is full for days does not fill the memory too."""
        monkeypatch.setattr(audit_file, "MOST_WAITING", 10)
        disk.room = 0
        file = opened()
        file.write(LINES[0])
        until(lambda: file.failures > 0)
        for line in LINES[1:]:
            file.write(line)
        lost = file.lost
        disk.room = None
        file.close()

        assert lost == len(LINES) - 11
        assert path.read_bytes() == b"".join(LINES[:11])

    def test_the_end_does_not_wait_for_room(
        self, opened: Callable[[], AuditFile], disk: Disk, monkeypatch: pytest.MonkeyPatch
    ):
        """A daemon must be able to stop; what could not be written is counted."""
        monkeypatch.setattr(audit_file, "RETRY", 60.0)
        monkeypatch.setattr(audit_file, "PATIENCE", 30.0)
        disk.room = 0
        file = opened()
        file.write(LINES[0])
        until(lambda: file.failures > 0)
        began = time.monotonic()
        file.close()

        assert time.monotonic() - began < audit_file.PATIENCE / 2
        assert file.lost == 1


class TestReopen:
    def test_after_logrotate_lines_go_to_the_new_file(self, path: Path, opened: Callable[[], AuditFile]):
        """0600 again; the old one has what was written before."""
        file = opened()
        file.write(LINES[0])
        until(lambda: path.read_bytes() == LINES[0])
        path.rename(path.with_suffix(".1"))
        file.write(LINES[1])
        until(lambda: path.with_suffix(".1").read_bytes() == LINES[0] + LINES[1])
        file.reopen()
        file.write(LINES[2])
        file.close()

        assert (path.with_suffix(".1").read_bytes(), path.read_bytes()) == (LINES[0] + LINES[1], LINES[2])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_a_line_that_was_begun_in_the_old_file_is_lost(
        self, path: Path, opened: Callable[[], AuditFile], disk: Disk, monkeypatch: pytest.MonkeyPatch
    ):
        """Half a line at the head of the new one would be worse."""
        monkeypatch.setattr(audit_file, "RETRY", 60.0)
        monkeypatch.setattr(audit_file, "PATIENCE", 30.0)
        disk.room = 5
        file = opened()
        file.write(LINES[0])
        file.write(LINES[1])
        until(lambda: file.why is not None)
        path.rename(path.with_suffix(".1"))
        file.reopen()
        disk.room = None
        file.close()

        assert path.read_bytes() == LINES[1]
        assert path.with_suffix(".1").read_bytes() == LINES[0][:5]
        assert file.lost == 1

    def test_where_the_new_one_cannot_be_opened_the_old_one_stays(
        self, path: Path, opened: Callable[[], AuditFile], disk: Disk
    ):
        """Better there than nowhere; and it is told."""
        file = opened()
        path.rename(path.with_suffix(".1"))
        path.mkdir()
        file.reopen()
        until(lambda: file.failures > 0)
        file.write(LINES[0])
        file.close()

        assert path.with_suffix(".1").read_bytes() == LINES[0]
