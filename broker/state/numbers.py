"""Which write of each sealed file was its last, told outside of its folder: an older file put back is known by that.

Kept in the runtime folder, which no backup has and no reboot leaves: after one, an older file is worth what its own
expiry says. Knows nothing of what is sealed.
"""

import msgspec

from broker.errors import BrokerError
from broker.state.kept_file import FOREIGN, KeptFile

_NEVER = 0


class Seen(msgspec.Struct, frozen=True):
    """The last number of a file, written or removed; to be known until the lease in it has expired."""

    name: str
    number: int
    until: float  # seconds since the epoch


class Numbers:
    """Gives each write its number, and knows those of the last ones."""

    def __init__(self, file: KeptFile[Seen]) -> None:
        self._file = file
        self._seen: dict[str, Seen] = {}
        self._last = _NEVER
        self._told = True

    def load(self) -> BrokerError | None:
        """Take back what the process before us knew; why it could not be. Of another boot there is nothing to know."""
        try:
            self._seen = {seen.name: seen for seen in self._file.load()}
        except BrokerError as error:
            return None if error.code == FOREIGN else error
        self._last = max((seen.number for seen in self._seen.values()), default=_NEVER)
        return None

    def met(self, number: int) -> None:
        """A number that was given once is never given again."""
        self._last = max(self._last, number)

    def outdated(self, name: str, number: int) -> bool:
        """Whether this file was written again, or removed, after it had this number."""
        return name in self._seen and number < self._seen[name].number

    def next(self) -> int:
        """A number for a write that is about to happen."""
        self._last += 1
        return self._last

    def done(self, name: str, number: int, until: float) -> None:
        """That file was written, or shall be gone: whatever has a lower number is not it."""
        self._seen[name] = Seen(name, number, until)
        self._told = False

    def save(self, wall: float) -> None:
        """Tell the disk. Raises BrokerError."""
        if self._told:
            return
        self._seen = {name: seen for name, seen in self._seen.items() if seen.until > wall}
        self._file.save(self._seen.values())
        self._told = True
