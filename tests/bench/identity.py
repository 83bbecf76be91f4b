"""What it costs to know who asks: each part in a loop of its own, beside the whole answer in the same rounds.

No sockets but the one that the kernel is asked about: the server's own cost is measured by load, elsewhere.
"""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from statistics import median

import msgspec

from broker.callers.peer import Attestor
from broker.server.link import Link
from broker.wire import Reply
from tests.server.plane import ALICE, Work, at_work

TIMES = 2000  # a part in a round
ROUNDS = 5
GOOD = 200


class Cost(msgspec.Struct, frozen=True):
    """One part, in microseconds; `of` is what it is a part of."""

    name: str
    micros: float
    of: str = ""


def main() -> None:
    """Measure in this process and print JSON: the bench runs it in a fresh one."""
    print(json.dumps(msgspec.to_builtins(at_work(_measured))))


async def _measured(work: Work) -> tuple[Cost, ...]:
    await work.warm()
    with _attested() as attest:
        parts = {"asking the kernel whose connection it is": (attest, "connection"), **_parts(work)}
        found: dict[str, list[float]] = {name: [] for name in parts}
        for _ in range(ROUNDS):
            for name, (part, _) in parts.items():
                found[name].append(_micros(part))
    return tuple(Cost(name, median(found[name]), of) for name, (_, of) in parts.items())


def _parts(work: Work) -> dict[str, tuple[Callable[[], object], str]]:
    token, now = work.token(), work.clock.now()
    link = Link(("127.0.0.1", work.port), ALICE)
    shows = work.reception.read(work.request("/aws/train", Authorization=token))
    says = work.reception.read(work.attested("/aws/train"))
    for asked in (shows, says):
        answer = work.reception.answer(asked, link)
        assert isinstance(answer, Reply)
        assert answer.status == GOOD

    def by_token() -> bool:
        entry = work.tokens.find(token, "header", now)
        return entry is not None and entry.fits(ALICE, attesting=True)

    return {
        "whose worker token it is": (by_token, "request"),
        "whose uid it is": (lambda: work.directory.caller(ALICE, now), "request"),
        "the whole answer to a worker token": (lambda: work.reception.answer(shows, link), ""),
        "the whole answer to an attested uid": (lambda: work.reception.answer(says, link), ""),
    }


@contextlib.contextmanager
def _attested() -> Iterator[Callable[[], object]]:
    """A connection to ourselves, and the question whose it is."""
    attestor = Attestor()
    off = attestor.start()
    assert off is None, off
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        local, peer = client.getpeername(), client.getsockname()
        assert attestor.uid_of(local, peer) is not None
        yield lambda: attestor.uid_of(local, peer)
    attestor.close()


def _micros(part: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(TIMES):
        part()
    return (time.perf_counter() - began) / TIMES * 1e6


if __name__ == "__main__":
    main()
