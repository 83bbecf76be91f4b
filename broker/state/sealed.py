"""What one sealed file looks like: a label in the clear, and behind it what only the key opens. Pure.

    magic, with the format's version | length of the label | label | nonce | sealed content and tag

Sealed by ChaCha20-Poly1305 with all that stands before the content as associated data, and with the cache key too,
which stands nowhere: it is rendered anew from the configuration, so that a lease fits the spec that it was minted for
or is none. The label names no spec and no secret.
"""

import os
import struct
from typing import Any

import msgspec

from broker.errors import BrokerError
from broker.model import CallerFacts, Lease
from broker.secret import Secret

MAGIC = b"credbroker sealed 1\n"
_LENGTH = struct.Struct(">I")
_NONCE = 12
_LONGEST_LABEL = 16 << 10


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """Whose lease it is, sealed when, by which start of which machine. Its kind is the file's ending too.

    `number` grows with each write: an older file that is put back has one that was seen before.
    """

    kind: str
    credential: str
    facts: CallerFacts
    audience: str | None
    boot: str
    booted: float  # when that boot began, by the wall clock of the sealing: decides where the boot has no name
    host: str
    number: int


class Content(msgspec.Struct, frozen=True):
    """What is sealed: the lease, and by the wall clock of that moment when it was sealed and when the lease ends."""

    lease: Lease
    sealed_at: float
    ends_at: float


class Unbelieved(BrokerError):
    """A sealed file that is not used; `code` is a word for metrics, the advice what is wrong with it."""


class Box:
    """Seals and opens with one key."""

    def __init__(self, key: Secret) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        self._cipher = ChaCha20Poly1305(bytes.fromhex(key.open()))

    def seal(self, label: Label, cache_key: bytes, content: Content) -> bytes:
        """A whole file."""
        text = msgspec.msgpack.encode(label)
        head = MAGIC + _LENGTH.pack(len(text)) + text
        nonce = os.urandom(_NONCE)
        return head + nonce + self._cipher.encrypt(nonce, _ENCODER.encode(content), head + cache_key)

    def open(self, data: bytes, cache_key: bytes) -> Content:
        """What is in a file. Raises Unbelieved."""
        from cryptography.exceptions import InvalidTag

        head = data[: _head(data)]
        nonce, sealed = data[len(head) : len(head) + _NONCE], data[len(head) + _NONCE :]
        try:
            return _DECODER.decode(self._cipher.decrypt(nonce, sealed, head + cache_key))
        except (InvalidTag, ValueError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            advice = "it is damaged, or sealed with another key or for another configuration"
            raise Unbelieved(advice, code="not-opened") from None


def label_of(data: bytes) -> Label:
    """The label of a file, not to be believed before it is opened. Raises Unbelieved."""
    if not data.startswith(MAGIC):
        raise Unbelieved("another version wrote it, or it is damaged", code="other-version")
    try:
        return _LABELS.decode(data[len(MAGIC) + _LENGTH.size : _head(data)])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unbelieved("it is damaged", code="damaged") from None


def _head(data: bytes) -> int:
    """How many bytes stand before the nonce."""
    start = len(MAGIC) + _LENGTH.size
    if len(data) < start:
        raise Unbelieved("it is damaged", code="damaged")
    (length,) = _LENGTH.unpack(data[len(MAGIC) : start])
    if length > _LONGEST_LABEL or len(data) < start + length + _NONCE:
        raise Unbelieved("it is damaged", code="damaged")
    return int(start + length)


def _show(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.open()
    raise TypeError(f"no {type(value).__name__} is sealed")


def _hide(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"no {kind.__name__} is sealed")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_show)
_DECODER = msgspec.msgpack.Decoder(Content, dec_hook=_hide)
_LABELS = msgspec.msgpack.Decoder(Label)
