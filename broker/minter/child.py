"""The minter process: one question at a time, answered from its own reading of the configuration.

Started by `minter.client` with one inherited socket; the first frame is a snapshot of the configuration's files. It may
import cloud SDKs (inside the sources) and read the long-lived identity; it believes nothing but names and facts.
"""

from broker.process import die_with_parent, grown, harden, limit_memory

harden()

import os  # noqa: E402 - nothing else happens before this process is undumpable
import socket  # noqa: E402
import sys  # noqa: E402

import msgspec  # noqa: E402

from broker.config.callers import nobody  # noqa: E402
from broker.config.read import parse  # noqa: E402
from broker.config.shape import Snapshot  # noqa: E402
from broker.errors import BrokerError, IdentityMissing, Unreachable  # noqa: E402
from broker.minter import frames, review  # noqa: E402
from broker.model import Facts, Given, Minted, Review, Reviewed  # noqa: E402
from broker.plan import Book, Rendered, make_book  # noqa: E402
from broker.sources import TABLE, Source  # noqa: E402


def main(arguments: list[str]) -> int:
    """Answer calls until the daemon closes the socket: `child SOCKET_FD PARENT_PID`."""
    talk, parent = (int(argument) for argument in arguments)
    die_with_parent(parent)
    limit_memory()
    with socket.socket(fileno=talk) as daemon:
        snapshot = receive(daemon)
        book = make_book(parse(Snapshot.unpack(snapshot), uids=nobody)) if snapshot else None
        while book and (body := receive(daemon)):
            daemon.sendall(frames.pack(answer(book, body)))
            if grown():
                break  # another starts afresh with the next question
    return 0


def answer(book: Book, body: bytes) -> frames.Answer:
    """The answer to one frame; whatever goes wrong comes back as an error of ours."""
    try:
        return _answer(book, frames.unpack_call(body))
    except BrokerError as error:
        return frames.from_error(error)
    except MemoryError:
        raise SystemExit(1) from None  # the daemon counts that, and starts another
    except Exception as error:  # noqa: BLE001 - a source's bug fails one mint, in words that quote nothing
        return frames.from_error(Unreachable(f"the source failed unexpectedly ({type(error).__name__})"))


def _answer(book: Book, call: frames.Question) -> frames.Answer:
    if call.generation != book.config.generation:
        raise Unreachable("the minter has another configuration than the daemon; it will be replaced")
    if isinstance(call, frames.Examine):
        return frames.Examined(_examine(book, call.review))
    ask = call.ask
    if ask.credential not in book.credentials:
        raise Unreachable("the daemon asked for a credential that is not configured")
    rendered = book.rendered(ask.credential, ask.facts, ask.given.audience)
    source = TABLE[rendered.credential.source]
    if call.do == "find":
        return frames.Found(source.find(rendered.spec) if source.find else None)
    if (rendered.base is None) != (ask.given.base is None):
        raise IdentityMissing("a chained credential needs the held lease of its base, and no other does")
    given = msgspec.structs.replace(ask.given, credential=rendered.label)
    if call.do == "retire":
        _retire(source, rendered, given)
        return frames.Retired()
    minted = _mint(source, rendered, given)
    return frames.Brought(minted, _who(source, rendered, given, minted) if call.do == "who" else None)


def _examine(book: Book, asked: Review) -> Reviewed:
    if not book.config.audiences:
        raise Unreachable("the daemon asked whose a token is, and no caller is a pod")
    return review.answer(asked, book.config.daemon.kubernetes, book.config.audiences, os.environ)


def _mint(source: Source, rendered: Rendered, given: Given) -> Minted:
    if given.audience is None:
        return source.mint(rendered.spec, given)
    if source.id_token is None or given.audience not in getattr(rendered.spec, "audiences", ()):
        raise Unreachable("the daemon asked for an audience that is not configured")
    return source.id_token(rendered.spec, given)


def _who(source: Source, rendered: Rendered, given: Given, minted: Minted) -> Facts:
    """Whose it is; a key that nobody will have does not outlive the question."""
    try:
        return source.who(rendered.spec, minted.value)
    finally:
        if source.retire and minted.facts.principal:
            _retire(source, rendered, msgspec.structs.replace(given, spent=(minted.facts.principal,)))


def _retire(source: Source, rendered: Rendered, given: Given) -> None:
    if source.retire is None:
        raise Unreachable("the daemon asked to end what nobody makes for a job")
    source.retire(rendered.spec, given)


def receive(daemon: socket.socket) -> bytes | None:
    """The body of the next frame, or None when the daemon hung up. Raises Malformed for one that is too long."""
    head = _exactly(daemon, frames.HEAD.size)
    return _exactly(daemon, frames.length(head)) if head else None


def _exactly(daemon: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = daemon.recv(count - len(parts))
        if not part:
            return None  # the daemon is gone, or done with us
        parts += part
    return bytes(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
