"""One file kept fresh, and the files of a worker's environment laid out. The clock and the waiting are the caller's."""

import os
from collections.abc import Hashable
from pathlib import Path

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


def lay_out(folders: tuple[str, ...], files: tuple[tuple[str, bytes], ...]) -> None:
    """Make the private folders, then write the files that go into them, as (path, content)."""
    for folder in folders:
        private_folder(folder)
    for path, content in files:
        write_private(path, content)
