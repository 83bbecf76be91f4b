"""The two clocks."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker import clock


class TestNow:
    def test_it_never_goes_back(self):
        """Lifetimes are counted on it."""
        moments = [clock.now() for _ in range(100)]

        assert moments == sorted(moments)

    def test_it_counts_from_boot_suspends_included(self):
        """CLOCK_MONOTONIC would keep a lease alive through a night with the lid closed."""
        assert abs(clock.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1

    def test_it_is_the_same_in_every_process(self):
        """Daemon and minter could compare notes."""
        before = clock.now()
        code = "from broker import clock; print(clock.now())"
        other = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

        assert before <= other <= clock.now()


class TestWall:
    def test_it_is_the_time_of_day(self):
        """What upstream's timestamps are compared with."""
        assert abs(clock.wall() - time.time()) < 1


class TestSynchronised:
    def test_it_is_what_the_kernel_says(self):
        """Asking changes nothing, so anybody may."""
        said = subprocess.run(
            [
                sys.executable,
                "-c",
                "import ctypes; print(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)))",
            ],
            capture_output=True,
            check=True,
        )
        timesyncd = Path("/run/systemd/timesync/synchronized").exists()

        assert clock.synchronised() == (timesyncd or 0 <= int(said.stdout) < 5)

    @pytest.mark.parametrize(("state", "synchronised"), [(0, True), (4, True), (5, False), (-1, False)])
    def test_in_doubt_it_is_not(self, state: int, synchronised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A sandbox that forbids the question gives -1."""

        class Library:
            adjtimex = staticmethod(lambda _: state)

        monkeypatch.setattr("ctypes.CDLL", lambda _: Library)
        monkeypatch.setattr("broker.clock.Path", lambda _: tmp_path / "none")

        assert clock.synchronised() is synchronised

    def test_the_mark_of_timesyncd_is_believed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Our own unit forbids the question."""
        monkeypatch.setattr("broker.clock.Path", lambda _: tmp_path)

        assert clock.synchronised()

    def test_another_system_is_not_asked(self, monkeypatch: pytest.MonkeyPatch):
        """It has no such call."""
        monkeypatch.setattr("broker.clock.sys.platform", "darwin")

        assert not clock.synchronised()
