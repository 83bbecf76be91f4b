"""A command's private folder, and the guard that removes it whatever happens."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker.cli.workspace import PREFIX, runtime_folder, workspace
from broker.errors import BrokerError
from tests.cli.newcomer import until
from tests.other_user import SOMEBODY

# Works in a workspace until it is killed, beside a command of its own.
WORKING = """
import subprocess, sys, time
from broker.cli.workspace import workspace
with workspace() as space:
    command = subprocess.Popen(["sleep", "60"])
    if sys.argv[1:]:
        space.holds(command.pid)
    print(space.folder, command.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's runtime folder; temporary files go elsewhere."""
    for name in ("runtime", "temporary"):
        (tmp_path / name).mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "runtime"


class TestWorkspace:
    def test_it_is_private_in_the_runtime_folder_and_gone_afterwards(self, runtime: Path):
        """Even with files in it."""
        with workspace() as space:
            folder = Path(space.folder)
            (folder / "file").touch()
            assert (folder.parent, folder.stat().st_mode & 0o777) == (runtime / "credbroker", 0o700)

        assert not folder.exists()

    def test_two_have_one_each(self):
        """A random name."""
        with workspace() as one, workspace() as other:
            assert one.folder != other.folder
            assert Path(one.folder).exists()

    def test_what_a_killed_one_left_goes_at_the_next_start(self, runtime: Path):
        """As after a power cut."""
        with workspace() as space:
            left, kept = Path(space.folder).parent / f"{PREFIX}left", Path(space.folder)
            left.mkdir(mode=0o700)
            (left / "lock").touch()
            with workspace():
                assert (left.exists(), kept.exists()) == (False, True)

    def test_what_is_not_ours_is_left_alone(self, runtime: Path, tmp_path: Path):
        """A link to elsewhere, or a folder without a lock, which may just be made."""
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere/lock").touch()
        with workspace() as space:
            parent = Path(space.folder).parent
        (parent / f"{PREFIX}link").symlink_to(tmp_path / "elsewhere")
        (parent / f"{PREFIX}young").mkdir()
        with workspace():
            pass

        assert (tmp_path / "elsewhere/lock").exists()
        assert (parent / f"{PREFIX}young").exists()

    def test_an_image_without_a_shell_does_without_a_guard(self, monkeypatch: pytest.MonkeyPatch):
        """The next start tidies up there."""
        monkeypatch.setattr(subprocess, "Popen", _no_shell)
        with workspace() as space:
            space.holds(1)
            space.close()

        assert not Path(space.folder).exists()


def _no_shell(*_: object, **__: object) -> None:
    raise FileNotFoundError


class TestGuard:
    @pytest.mark.parametrize("holds", [True, False], ids=["with a command", "before it"])
    def test_it_removes_the_folder_of_who_was_killed(self, holds: bool):
        """And ends the command, whose credentials are gone."""
        with subprocess.Popen(
            [sys.executable, "-c", WORKING, *(["holds"] if holds else [])], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            folder, command = process.stdout.readline().split()
            process.kill()
            until(lambda: not Path(folder).exists())
            if holds:
                until(lambda: not _runs(int(command)))
            else:
                os.kill(int(command), 9)

    def test_a_command_that_has_ended_is_not_ended_again(self):
        """Its number may be another process's by then."""
        with subprocess.Popen(["sleep", "60"]) as other:
            with workspace() as space:
                space.holds(other.pid)
                space.close()

            assert other.poll() is None
            other.kill()


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False


class TestRuntimeFolder:
    def test_it_is_made_private(self, runtime: Path):
        """Whatever the umask."""
        assert runtime_folder() == runtime / "credbroker"
        assert (runtime / "credbroker").stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("value", [None, "", "/nonexistent", "/dev/null"])
    def test_without_one_there_is_none(self, monkeypatch: pytest.MonkeyPatch, value: str | None):
        """As in a container."""
        if value is None:
            monkeypatch.delenv("XDG_RUNTIME_DIR")
        else:
            monkeypatch.setenv("XDG_RUNTIME_DIR", value)

        assert runtime_folder() is None

    def test_somebody_elses_is_none(self, monkeypatch: pytest.MonkeyPatch):
        """`su` and `sudo -E` leave the variable as it was."""
        monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)

        assert runtime_folder() is None

    def test_one_that_others_may_enter_is_refused(self, runtime: Path):
        """They may have prepared it."""
        (runtime / "credbroker").mkdir()
        (runtime / "credbroker").chmod(0o755)

        with pytest.raises(BrokerError, match="chmod 700 it"):
            runtime_folder()


class TestLock:
    def test_a_held_one_keeps_the_sweep_away(self):
        """Two commands run side by side."""
        with workspace() as space, Path(space.folder, "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
