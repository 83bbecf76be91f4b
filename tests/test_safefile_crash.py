"""Private files: a write that fails or is killed leaves the old file whole, and the next one clears up."""

import fcntl
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Never

import pytest

from broker.errors import BrokerError
from broker.safefile import write_private


def refused(match: str) -> pytest.RaisesExc[BrokerError]:
    return pytest.raises(BrokerError, match=match)


class TestAWriteThatFails:
    @pytest.mark.parametrize("step", ["fsync", "rename"])
    def test_leaves_the_old_file_and_nothing_else(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str):
        """A full disk: the last good value goes on being served."""
        write_private(tmp_path / "token", b"old")

        def full(*_: object, **__: object) -> Never:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(f"broker.safefile.os.{step}", full)
        with refused("make room on that disk"):
            write_private(tmp_path / "token", b"new", sync=True)

        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"token": b"old"}

    def test_tells_no_more_than_the_kernel_did(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """An unknown error has an advice too."""

        def odd(*_: object, **__: object) -> Never:
            raise OSError

        monkeypatch.setattr("broker.safefile.os.rename", odd)
        with refused("it failed; look at the disk"):
            write_private(tmp_path / "token", b"new")


KILLED = """
import os, signal, sys
from broker import safefile
step, path = sys.argv[1:]
here = getattr(safefile.os, step)
setattr(safefile.os, step, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
safefile.write_private(path, b"new", sync=True)
"""


class TestAfterACrash:
    @pytest.mark.parametrize("step", ["fchmod", "fsync", "rename"])
    def test_the_old_file_is_whole_and_the_next_write_clears_up(self, tmp_path: Path, step: str):
        """SIGKILL at every step of a write."""
        write_private(tmp_path / "token", b"old")
        killed = subprocess.run([sys.executable, "-c", KILLED, step, tmp_path / "token"], check=False)

        assert killed.returncode == -signal.SIGKILL
        assert (tmp_path / "token").read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2

        write_private(tmp_path / "token", b"new")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"token": b"new"}

    def test_only_our_own_leftovers_of_this_very_name_go(self, tmp_path: Path):
        """Other writers' files, and other files, stay."""
        kept = ["token.credbroker-0123456789abcdef", ".token.credbroker-0123", ".tokens.credbroker-0123456789abcdef"]
        for name in (*kept, ".token.credbroker-0123456789abcdef"):
            (tmp_path / name).touch()
        write_private(tmp_path / "token", b"new")

        assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*kept, "token"))

    def test_what_a_living_writer_holds_stays(self, tmp_path: Path):
        """Two writers of one name do not take each other's files away."""
        theirs = tmp_path / ".token.credbroker-0123456789abcdef"
        with theirs.open("wb") as writer:
            fcntl.flock(writer, fcntl.LOCK_EX)
            write_private(tmp_path / "token", b"new")

            assert theirs.exists()

    def test_a_writer_whose_file_was_swept_before_it_was_locked_starts_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Between making a file and locking it another writer may come."""
        lock = fcntl.flock
        swept: list[Path] = []

        def flock(descriptor: int, how: int) -> None:
            if not swept:
                swept.extend(tmp_path.iterdir())
                swept[0].unlink()
            lock(descriptor, how)

        monkeypatch.setattr("broker.safefile.fcntl.flock", flock)
        write_private(tmp_path / "token", b"new")

        assert re.fullmatch(r"\.token\.credbroker-[0-9a-f]{16}", swept[0].name)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"token": b"new"}

    def test_a_file_system_without_locks_is_written_to_all_the_same(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Only leftovers stay there."""

        def flock(*_: object) -> Never:
            raise OSError(37, "No locks available")

        monkeypatch.setattr("broker.safefile.fcntl.flock", flock)
        (tmp_path / ".token.credbroker-0123456789abcdef").touch()
        write_private(tmp_path / "token", b"new")

        assert len(list(tmp_path.iterdir())) == 2
