"""The configuration as the minter service reads it: the files as they are, else the last good ones, kept by itself.

It is asked for one generation and gives that one or none. While an administrator edits, the files may have mistakes:
the daemon goes on with what it read before, and leases must not die of it. So the files that it last minted by are kept
in a folder of its own, and count as long as the present ones cannot be read. As soon as those read well, only they do.
"""

import contextlib
import sys
from pathlib import Path

import msgspec

from broker.config import read
from broker.config.callers import nobody
from broker.config.shape import Snapshot
from broker.errors import BrokerError, ConfigError
from broker.minter.admission import NotAdmitted
from broker.minter.frames import LONGEST
from broker.plan import Book, make_book
from broker.safefile import read_private, write_private

_OTHER = (
    "the configuration on disk is not the one that the daemon has in force: `credbroker reload` makes it so, "
    "or says what is wrong with it"
)
_BROKEN = (
    "the configuration on disk has mistakes, and what the daemon has in force is not what the minter last minted by: "
    "`credbroker check --offline` lists them"
)


class Reading:
    """Books by generation, from `path`; what was last minted by is kept in `kept`, by all processes of the service."""

    def __init__(self, path: Path, kept: Path | None) -> None:
        self._path = path
        self._kept = kept
        self._book: Book | None = None
        self._told = ""

    def book(self, generation: str) -> Book:
        """The Book of that generation. Raises NotAdmitted where it is neither the present nor the last good one."""
        try:
            present = read.take(self._path)
            book = self._known(read.generation(present.files)) or self._read(present)
        except ConfigError as error:
            self._tell(f"the configuration has mistakes:\n{error.advice}")
            return self._last_good(generation)
        if book.config.generation != generation:
            raise NotAdmitted("generation", _OTHER)
        if book is not self._book:
            self._book = book
            self._keep(present)
        return book

    def _known(self, generation: str) -> Book | None:
        return self._book if self._book and self._book.config.generation == generation else None

    def _read(self, present: Snapshot) -> Book:
        """Whether a name is a user's is asked once a generation: mints must not wait for a directory that is down."""
        known = present == self._stored()
        return make_book(read.parse(present, uids=nobody) if known else read.parse(present))

    def _last_good(self, generation: str) -> Book:
        stored = self._stored()  # another process of the service may have gone on to a later one
        if stored is not None and read.generation(stored.files) == generation:
            with contextlib.suppress(ConfigError):  # kept by another version
                self._book = self._known(generation) or make_book(read.parse(stored, uids=nobody))
                return self._book
        raise NotAdmitted("configuration", _BROKEN)

    def _stored(self) -> Snapshot | None:
        try:
            return Snapshot.unpack(read_private(self._kept, LONGEST)) if self._kept else None
        except (BrokerError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def _keep(self, present: Snapshot) -> None:
        if self._kept is None or present == self._stored():
            return
        try:
            write_private(self._kept, present.pack())
        except BrokerError as error:
            self._tell(f"{error.advice}. Meanwhile no mint outlives a mistake in the configuration")
            with contextlib.suppress(OSError):
                self._kept.unlink()  # what is there is of a generation that is no longer in force

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            say(text)


def say(text: str) -> None:
    """Words for people, into the journal."""
    sys.stderr.write("".join(f"credbroker-minter: {line}\n" for line in text.splitlines()))
    sys.stderr.flush()
