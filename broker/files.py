"""One file kept fresh, or several that belong together, and the files of a worker's environment laid out.

The clock and the waiting are the caller's.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Hashable
from pathlib import Path

from broker.errors import BrokerError
from broker.safefile import private_folder, write_private

OFTENEST = 1.0
SELDOMEST = 60.0  # so an early rotation (`credbroker refresh`) reaches the file within a minute


def next_look(left: float) -> float:
    """Seconds until it is worth asking for a lease again that has `left` seconds to live.

    The broker renews at half of the lifetime and answers from memory, so a quarter of what is left is soon enough and
    costs nothing.
    """
    return min(SELDOMEST, max(OFTENEST, left / 4))


class FreshFile:
    """A private file that holds the latest value and is only written when there is a new one, or it has gone."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._held: tuple[Hashable, int] | None = None

    def put(self, mark: Hashable, data: bytes) -> bool:
        """Write `data` unless that which `mark` names (a serial, an expiry) already stands there; whether it wrote.

        Raises BrokerError where it cannot be written; the next put tries again.
        """
        if self._held is not None and self._held == (mark, self._inode()):
            return False
        write_private(self.path, data)
        self._held = (mark, self._inode())
        return True

    def _inode(self) -> int:
        try:
            return self.path.lstat().st_ino
        except OSError:
            return 0


class FreshFolder:
    """Files that belong together, each lease's in a folder of its own, and a symbolic link to the newest.

    Those before them stay for who has begun to read.
    """

    def __init__(self, folder: str | os.PathLike[str], link: str) -> None:
        self.path = Path(folder).absolute()
        self._link = link
        self._held: tuple[Hashable, int] | None = None

    def put(self, mark: Hashable, files: Callable[[str], tuple[tuple[str, bytes], ...]]) -> bool:
        """Lay out what `files` gives for a folder, unless what `mark` names stands there already; whether it did.

        Raises BrokerError where they cannot be written; the next put tries again.
        """
        if self._held is not None and self._held[0] == mark and (self.path / self._link).exists():
            return False
        number = 0 if self._held is None else self._held[1] + 1
        folder = self.path / str(number)
        private_folder(self.path)
        shutil.rmtree(folder, ignore_errors=True)  # begun, and not ended
        private_folder(folder)
        for name, content in files(str(folder)):
            write_private(folder / name, content)
        self._swap(number)
        self._held = (mark, number)
        shutil.rmtree(self.path / str(number - 2), ignore_errors=True)
        return True

    def _swap(self, number: int) -> None:
        new = self.path / f".{self._link}"
        try:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            new.symlink_to(str(number))
            new.rename(self.path / self._link)
        except OSError as error:
            advice = f"cannot write {self.path / self._link}: {error.strerror}"
            raise BrokerError(advice, code="FileUnwritable") from None


def lay_out(folders: tuple[str, ...], files: tuple[tuple[str, bytes], ...]) -> None:
    """Make the private folders, then write the files that go into them, as (path, content)."""
    for folder in folders:
        private_folder(folder)
    for path, content in files:
        write_private(path, content)
