"""5,000 clients at once on a lease that nobody holds yet, each as patient as botocore and no more.

    python -m tests.bench.herd ADDRESS PATH CLIENTS    (the Authorization value comes on standard input)

botocore's container provider waits 2 s for an answer, tries three times, and sleeps 1 s after anything but a 200; no
other SDK of AWS gives up sooner on a 503. Prints one line of JSON: how it ended. Nothing is staggered: every client
connects and asks before the first answer is looked at.
"""

import asyncio
import collections
import resource
import socket
import sys
import time
from collections.abc import Callable

import msgspec
import uvloop

TRIES = 3
PATIENCE = 2.0
PAUSE = 1.0
_SPARE = 64  # descriptors
_LONGEST = 65536


class Herd(msgspec.Struct, frozen=True):
    """How it ended. `first` and `last` say after how many seconds a client had its lease; None if none ever had."""

    clients: int
    without: int
    first: float | None
    last: float | None
    answers: dict[str, int]  # by status, or how a try failed


class _Try:
    """One connection and one request; `answered` is called once, with the reply's status or how the try failed.

    Without asyncio's transports: those would connect all clients before any of them may ask.
    """

    def __init__(self, address: tuple[str, int], asking: bytes, answered: Callable[[str], None]) -> None:
        self._answered = answered
        self._asking = asking
        self._reply = b""
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(PATIENCE, self._end, "timeout")
        self._socket = socket.socket()
        self._socket.settimeout(0)
        self._socket.connect_ex(address)  # on loopback it is connected when this returns, unless the backlog is full
        self._ask()

    def _ask(self) -> None:
        descriptor = self._socket.fileno()
        try:
            self._socket.send(self._asking)
        except BlockingIOError:
            self._loop.add_writer(descriptor, self._ask)
        except OSError as error:
            self._end(type(error).__name__)
        else:
            self._loop.remove_writer(descriptor)
            self._loop.add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            part = self._socket.recv(_LONGEST)
        except OSError as error:
            self._end(type(error).__name__)
            return
        self._reply += part
        if not part:  # the reply says `Connection: close`
            self._end(_status(self._reply) or "closed")

    def _end(self, how: str) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._answered(how)


class _Clients:
    """All of them, and what they met."""

    def __init__(self, address: str, path: str, authorization: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        head = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        self._asking = head.encode()
        self._began = time.monotonic()
        self.answers: collections.Counter[str] = collections.Counter()

    async def run(self, count: int) -> list[float]:
        """The moments at which clients had their lease."""
        loop = asyncio.get_running_loop()
        clients: list[asyncio.Future[float | None]] = [loop.create_future() for _ in range(count)]
        self._began = time.monotonic()
        for client in clients:
            self._try(client, TRIES)
        return sorted(moment for moment in await asyncio.gather(*clients) if moment is not None)

    def _try(self, client: "asyncio.Future[float | None]", tries: int) -> None:
        def answered(how: str) -> None:
            self.answers[how] += 1
            if how == "200":
                client.set_result(time.monotonic() - self._began)
            elif tries > 1:
                asyncio.get_running_loop().call_later(PAUSE, self._try, client, tries - 1)
            else:
                client.set_result(None)

        _Try(self._address, self._asking, answered)


def _status(reply: bytes) -> str | None:
    """The status of a whole reply."""
    head, end, body = reply.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return head[9:12].decode() if end and int(length) == len(body) else None


def main() -> None:
    """Let the herd go."""
    address, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < count + _SPARE:
        raise SystemExit(f"{count} clients need {count + _SPARE} descriptors each side; the hard limit is {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = _Clients(address, path, sys.stdin.readline().strip())
    moments = uvloop.run(clients.run(count))
    first, last = (moments[0], moments[-1]) if moments else (None, None)
    print(msgspec.json.encode(Herd(count, count - len(moments), first, last, dict(clients.answers))).decode())


if __name__ == "__main__":
    main()
