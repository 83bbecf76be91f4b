"""A folder of sealed leases: a file each, under a key that is elsewhere. Blocking throughout, so meant for a thread.

It decides what is believed at a start; whose lease fits what configuration it is told.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from broker.errors import BrokerError
from broker.model import CallerFacts, Lease
from broker.safefile import read_private, straight_folder, sweep_folder, write_private
from broker.state import life
from broker.state.kept_file import KeptFile, Stamp
from broker.state.numbers import Numbers, Seen
from broker.state.sealed import Box, Content, Label, Unbelieved, label_of
from broker.state.state_key import Found

KIND = "lease"
LONGEST = 64 << 10  # a lease has a few KiB
MOST_FAILURES = 3  # in one go: a disk that refuses these refuses the rest
_NAME = re.compile(rf"[0-9a-f]{{64}}\.{KIND}")  # files of other kinds are not ours to judge

CacheKeys = Callable[[Label], Iterable[bytes]]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A lease to be sealed, and whose it is."""

    cache_key: bytes
    credential: str
    facts: CallerFacts
    audience: str | None
    lease: Lease
    ends_at: float  # seconds since the epoch


class Opened(msgspec.Struct, frozen=True):
    """A lease that is believed; `as_is` where its file needs no other seal."""

    cache_key: bytes
    label: Label
    lease: Lease
    as_is: bool


class Dropped(msgspec.Struct, frozen=True):
    """A file that is not believed: whose it says it is, if it can tell, and why."""

    credential: str | None
    code: str
    why: str


class Loaded(msgspec.Struct, frozen=True):
    """What a folder had."""

    opened: tuple[Opened, ...]
    dropped: tuple[Dropped, ...]


class Vault:
    """One folder, locked as long as it is open."""

    def __init__(self, path: Path, find_key: Callable[[], Found], seen: Path, moment: life.Moment) -> None:
        self.path = path
        self._moment = moment
        self._folder = straight_folder(path)
        try:
            found = find_key()  # only who has the lock makes one
            self._box, self.origin = Box(found.key), found.origin
        except BaseException:
            os.close(self._folder)
            raise
        stamp = Stamp(owner=str(path), boot=moment.boot, booted=moment.booted)
        self._numbers = Numbers(KeptFile(seen, Seen, stamp))

    def close(self) -> None:
        """Unlock it."""
        os.close(self._folder)

    def load(self, cache_keys: CacheKeys) -> Loaded:
        """Every lease that is believed. What is not is removed, unless another start may believe it."""
        with contextlib.suppress(OSError):
            sweep_folder(self._folder)
        forgot = self._numbers.load()
        dropped = (
            [] if forgot is None else [Dropped(None, "numbers", f"what is replayed is not known: {forgot.advice}")]
        )
        opened = []
        for name in sorted(filter(_NAME.fullmatch, os.listdir(self._folder))):  # noqa: PTH208 - by descriptor, which pathlib cannot
            found = self._taken(name, cache_keys)
            if isinstance(found, Opened):
                opened.append(found)
            elif found.code != life.EXPIRED:
                dropped.append(found)
        return Loaded(tuple(opened), tuple(dropped))

    def write(self, entry: Entry, now: float, wall: float) -> None:
        """Seal one lease. Raises BrokerError, and then the file is as it was."""
        name = name_of(entry.cache_key)
        label = Label(
            kind=KIND,
            credential=entry.credential,
            facts=entry.facts,
            audience=entry.audience,
            boot=self._moment.boot,
            booted=wall - now,
            host=self._moment.host,
            number=self._numbers.next(),
        )
        data = self._box.seal(label, entry.cache_key, Content(entry.lease, wall, entry.ends_at))
        write_private(self.path / name, data, sync=True, sweep=False)
        self._numbers.done(name, label.number, entry.ends_at)

    def remove(self, cache_key: bytes, until: float) -> None:
        """Forget one lease, which ends `until` by the wall clock. Raises BrokerError."""
        name = name_of(cache_key)
        self._numbers.done(name, self._numbers.next(), until)
        try:
            os.unlink(name, dir_fd=self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise BrokerError(f"cannot remove {self.path / name}: {error.strerror}", code="FileFailed") from None

    def tell(self, wall: float) -> None:
        """What was written and removed is known to the next start. Raises BrokerError."""
        self._numbers.save(wall)

    def _taken(self, name: str, cache_keys: CacheKeys) -> Opened | Dropped:
        credential = None
        try:
            data = read_private(self.path / name, LONGEST)
            label = label_of(data)
            credential = label.credential
            opened = self._opened(name, data, label, cache_keys)
        except BrokerError as error:
            if error.code != life.UNSURE:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)
            return Dropped(credential, error.code, error.advice)
        return opened

    def _opened(self, name: str, data: bytes, label: Label, cache_keys: CacheKeys) -> Opened:
        cache_key = _fitting(name, cache_keys(label))
        content = self._box.open(data, cache_key)
        self._numbers.met(label.number)
        if self._numbers.outdated(name, label.number):
            raise Unbelieved("it is an older one, put back", code="replayed")
        lease = life.revived(label, content, self._moment)
        return Opened(cache_key, label, lease, as_is=life.same_boot(label, self._moment))


def _fitting(name: str, cache_keys: Iterable[bytes]) -> bytes:
    """The cache key of this name."""
    found = False
    for cache_key in cache_keys:
        if name_of(cache_key) == name:
            return cache_key
        found = True
    why = "its configuration has changed" if found else "its credential, or who it was for, is not configured now"
    raise Unbelieved(why, code="not-configured")


def name_of(cache_key: bytes) -> str:
    """The file of a lease; it tells nothing of it."""
    return f"{hashlib.sha256(cache_key).hexdigest()}.{KIND}"


def spread(dropped: Iterable[Dropped]) -> Iterator[tuple[Dropped, int, tuple[str, ...]]]:
    """One of each reason, how many there were, and their credentials: a foreign key is one mishap, not a thousand."""
    reasons: dict[tuple[str, str], list[Dropped]] = {}
    for one in dropped:
        reasons.setdefault((one.code, one.why), []).append(one)
    for same in reasons.values():
        yield same[0], len(same), tuple(sorted({one.credential for one in same if one.credential}))
