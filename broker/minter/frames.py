"""What daemon and minter say to each other: length-prefixed msgpack over a stream socket. Pure.

The one place besides renderers and sources where a Secret is opened: to be carried across.
"""

import struct
from typing import Any, Literal, TypeVar

import msgspec

from broker.errors import (
    BrokerError,
    Denied,
    IdentityMissing,
    Malformed,
    MintError,
    Throttled,
    Unreachable,
)
from broker.model import Ask, Facts, Minted, Review, Reviewed
from broker.secret import Secret

LONGEST = 16 << 20  # a configuration may have 8 MiB
LONGEST_ANSWER = 1 << 20  # a lease has a few KiB
HEAD = struct.Struct(">I")

_ERRORS = {error.__name__: error for error in (Denied, IdentityMissing, Malformed, Throttled, Unreachable, MintError)}


class Call(msgspec.Struct, frozen=True, kw_only=True, tag="call"):
    """One question: "mint" a lease, mint and ask "who" it is, "find" what zero configuration has, or "retire" keys."""

    do: Literal["mint", "who", "find", "retire"]
    ask: Ask

    @property
    def generation(self) -> str:
        """Of the configuration that it is asked by."""
        return self.ask.generation


class Examine(msgspec.Struct, frozen=True, tag="examine"):
    """The other kind of question: whose is a token that a pod shows?"""

    review: Review

    @property
    def generation(self) -> str:
        """Of the configuration that it is asked by."""
        return self.review.generation


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A BrokerError on its way across."""

    error: str
    advice: str
    code: str
    retry_after: float | None = None


class Brought(msgspec.Struct, frozen=True, tag="minted"):
    """The answer to "mint" and "who"; `facts` are asked of upstream for "who"."""

    minted: Minted
    facts: Facts | None = None


class Found(msgspec.Struct, frozen=True, tag="found"):
    """The answer to "find": the identity in a few words, or None."""

    identity: str | None


class Retired(msgspec.Struct, frozen=True, tag="retired"):
    """The answer to "retire": the keys are no more."""


class Examined(msgspec.Struct, frozen=True, tag="examined"):
    """The answer to it."""

    reviewed: Reviewed


Question = Call | Examine
Good = Brought | Found | Retired | Examined
Answer = Failed | Good

_T = TypeVar("_T")


def pack(message: Question | Answer) -> bytes:
    """A message as one frame."""
    return wrap(_ENCODER.encode(message))


def wrap(body: bytes) -> bytes:
    """Bytes as one frame. Raises Malformed where they are more than a frame may have."""
    if len(body) > LONGEST:
        raise Malformed("a frame between daemon and minter is too long")
    return HEAD.pack(len(body)) + body


def length(head: bytes, longest: int = LONGEST) -> int:
    """How many bytes follow this frame head. Raises Malformed where that is more than a frame may have."""
    (found,) = HEAD.unpack(head)
    if found > longest:
        raise Malformed("a frame between daemon and minter is too long")
    return int(found)


def unpack_call(body: bytes) -> Question:
    """A frame's body, as the minter reads it. Raises Malformed."""
    return _decode(_CALLS, body)


def unpack_answer(body: bytes) -> Answer:
    """A frame's body, as the daemon reads it. Raises Malformed."""
    return _decode(_ANSWERS, body)


def from_error(error: BrokerError) -> Failed:
    """An error as it travels."""
    names = (kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    return Failed(next(names, "MintError"), error.advice, error.code, error.retry_after)


def to_error(failed: Failed) -> MintError:
    """The error as it was raised."""
    return _ERRORS.get(failed.error, MintError)(failed.advice, code=failed.code, retry_after=failed.retry_after)


def _decode(decoder: "msgspec.msgpack.Decoder[_T]", body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Their own text may quote a value: it stays here.
        raise Malformed("daemon and minter do not understand each other; are both of one version?") from None


def _open(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.open()
    raise TypeError(f"a frame carries no {type(value).__name__}")


def _close(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise TypeError(f"a frame carries no {kind.__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_open)
_CALLS: msgspec.msgpack.Decoder[Question] = msgspec.msgpack.Decoder(Question, dec_hook=_close)
_ANSWERS: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer, dec_hook=_close)
