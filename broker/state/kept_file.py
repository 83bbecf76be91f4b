"""Values in one private file, so that they survive a restart of the daemon: whole, of this boot and its own, or not.

Neither clock is read here, and nothing is known of what is kept. `Stamp` says of which boot and which daemon a file is:
the boot clock's times in it mean nothing after another start of the machine, nor another daemon's to this one.
"""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from broker.errors import BrokerError
from broker.safefile import read_private, write_private

MAGIC = b"credbroker kept 1\n"
LONGEST = 128 << 20
FOREIGN = "Foreign"
DRIFT = 300.0  # how far the wall clock may be stepped before a file of an unnamed boot counts as another boot's

_T = TypeVar("_T")


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Whose file it is, and of which boot; `booted` is when that began, by the wall clock.

    `boot` is empty where the kernel does not tell (a sandbox without /proc/sys): then `booted` decides.
    """

    owner: str
    boot: str
    booted: float

    def knows(self, other: "Stamp") -> bool:
        """Whether what the other has written means something to us."""
        if self.owner != other.owner:
            return False
        if self.boot and other.boot:
            return self.boot == other.boot
        return abs(self.booted - other.booted) < DRIFT


class KeptFile(Generic[_T]):
    """One file of values of type `kind`."""

    def __init__(self, path: Path, kind: type[_T], stamp: Stamp) -> None:
        self.path = path
        self._kind = kind
        self._stamp = stamp

    def load(self) -> tuple[_T, ...]:
        """What was saved last; nothing where there is no file. Raises BrokerError for a file that is not believed."""
        if not self.path.exists():
            return ()
        data = read_private(self.path, LONGEST)
        head = len(MAGIC) + hashlib.sha256().digest_size
        body = data[head:]
        if not data.startswith(MAGIC):
            raise _unbelieved("another version wrote it, or another program")
        if hashlib.sha256(body).digest() != data[len(MAGIC) : head]:
            raise _unbelieved("it is damaged")
        try:
            stamp, values = msgspec.msgpack.decode(body, type=tuple[Stamp, tuple[self._kind, ...]])  # type: ignore[name-defined]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise _unbelieved("another version wrote it") from None
        if not self._stamp.knows(stamp):
            raise BrokerError("it is of another boot, or of another daemon", code=FOREIGN)
        return values

    def save(self, values: Iterable[_T]) -> None:
        """Replace the file. Raises BrokerError. Meant for a thread: values are encoded one by one, not in one go."""
        encode = msgspec.msgpack.Encoder().encode
        parts = [msgspec.Raw(encode(value)) for value in values]
        body = encode((self._stamp, parts))
        with contextlib.suppress(OSError):  # what is wrong with the place, the next line says
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
        write_private(self.path, MAGIC + hashlib.sha256(body).digest() + body)


def _unbelieved(why: str) -> BrokerError:
    return BrokerError(why, code="NotBelieved")
