"""Private folders for commands: the user's own in his runtime folder, and one for a single command, gone when it ends.

A guard, which is a shell waiting on a pipe, sees to that even if we are killed: it removes the folder and ends the
command. What a killed guard leaves behind goes at the next start.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from broker.safefile import private_folder

PREFIX = "credbroker-exec-"
LOCK = "lock"
# Reads the command's pid, then waits for a last line; if the pipe ends without it, we were killed.
GUARD = 'read -r command; read -r _ || { [ -z "$command" ] || kill "$command"; rm -rf -- "$1"; }'


class Workspace:
    """A folder of a random name, 0700, and its guard."""

    def __init__(self, folder: str, guard: "subprocess.Popen[bytes] | None") -> None:
        self.folder = folder
        self._guard = guard

    def holds(self, pid: int) -> None:
        """The command that works in here: it ends with us, since its credentials do."""
        self._tell(f"{pid}\n")

    def close(self) -> None:
        """All has ended well; call this before the pid is another's."""
        self._tell("\n\n")

    def _tell(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError):
                self._guard.stdin.write(line.encode())


@contextlib.contextmanager
def workspace() -> Iterator[Workspace]:
    """A new one, in the user's runtime folder or else the temporary one."""
    place = runtime_folder() or tempfile.gettempdir()
    _sweep(Path(place))
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    with Path(folder, LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with _guarded(folder) as guard:
                yield Workspace(folder, guard)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def runtime_folder() -> Path | None:
    """`credbroker` in the user's runtime folder; None where he has none of his own, as under `su`.

    Raises BrokerError where others may enter it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    with contextlib.suppress(OSError):
        if runtime and Path(runtime).is_dir() and Path(runtime).stat().st_uid == os.geteuid():
            folder = Path(runtime, "credbroker").absolute()
            private_folder(folder)
            return folder
    return None


@contextlib.contextmanager
def _guarded(folder: str) -> Iterator["subprocess.Popen[bytes] | None"]:
    try:
        guard = subprocess.Popen(  # noqa: S603 - our own words; the folder is one argument of them
            ["/bin/sh", "-c", GUARD, "credbroker-guard", folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={"PATH": os.defpath},
            start_new_session=True,  # what ends our whole group leaves it
        )
    except OSError:  # an image without a shell
        yield None
        return
    with guard:
        yield guard


def _sweep(place: Path) -> None:
    """Remove the folders of our own whose owner is gone: nobody holds their lock any more."""
    for folder in place.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            with Path(folder, LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
