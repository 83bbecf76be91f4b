"""A private folder for one command, gone when it ends; what a killed one left behind goes at the next start."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from broker.safefile import private_folder

PREFIX = "credbroker-exec-"
LOCK = "lock"


@contextlib.contextmanager
def workspace() -> Iterator[str]:
    """A folder of a random name, 0700, in the user's runtime folder or the temporary one."""
    place = _place()
    _sweep(place)
    folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    with Path(folder, LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _place() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK):
        folder = Path(runtime, "credbroker")
        private_folder(folder)
        return str(folder)
    return tempfile.gettempdir()


def _sweep(place: str) -> None:
    """Remove the folders of our own whose owner is gone: nobody holds their lock any more."""
    for folder in Path(place).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if folder.lstat().st_uid != os.geteuid() or folder.is_symlink():
                continue
            with Path(folder, LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
