"""5,000 clients at once on a lease that nobody holds yet, each as patient as botocore and no more.

    python -m tests.bench.herd ADDRESS PATH CLIENTS    (the Authorization value comes on standard input)

botocore's container provider waits 2 s for an answer, tries three times, and sleeps 1 s after anything but a 200; no
other SDK of AWS gives up sooner on a 503. Prints one line of JSON: seconds at which the clients had their lease, and
how many never did. Nothing is staggered: all of them connect in the loop's first turn.
"""

import asyncio
import collections
import resource
import sys
import time

import msgspec
import uvloop

TRIES = 3
PATIENCE = 2.0
PAUSE = 1.0
_SPARE = 64  # descriptors


class Herd(msgspec.Struct, frozen=True):
    """How it ended. `first` and `last` are seconds from the start until a client had its lease."""

    clients: int
    without: int
    first: float
    last: float
    answers: dict[str, int]  # by status, or how a try failed


class _Try(asyncio.Protocol):
    """One connection: the request out, and the reply's status once it is whole."""

    def __init__(self, asking: bytes, answered: "asyncio.Future[int]") -> None:
        self._asking = asking
        self._answered = answered
        self._reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._asking)

    def data_received(self, data: bytes) -> None:
        self._reply += data

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered.done():
            return  # it had waited long enough
        if _is_whole(self._reply):
            self._answered.set_result(int(self._reply[9:12]))
        else:
            self._answered.set_exception(exc or EOFError())


class _Clients:
    """All of them, and what they met."""

    def __init__(self, address: str, path: str, authorization: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        head = f"GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        self._asking = head.encode()
        self._began = time.monotonic()
        self.answers: collections.Counter[str] = collections.Counter()

    async def run(self, count: int) -> list[float]:
        """The moments at which clients had their lease."""
        self._began = time.monotonic()
        ended = await asyncio.gather(*(self._client() for _ in range(count)))
        return sorted(moment for moment in ended if moment is not None)

    async def _client(self) -> float | None:
        for tried in range(TRIES):
            answer = await self._try()
            self.answers[answer] += 1
            if answer == "200":
                return time.monotonic() - self._began
            if tried < TRIES - 1:
                await asyncio.sleep(PAUSE)
        return None

    async def _try(self) -> str:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[int] = loop.create_future()
        transport: asyncio.BaseTransport | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                transport, _ = await loop.create_connection(
                    lambda: _Try(self._asking, answered), self._host, self._port
                )
                return str(await answered)
        except (OSError, EOFError, TimeoutError) as error:
            return type(error).__name__
        finally:
            if transport is not None:
                transport.close()


def _is_whole(reply: bytes) -> bool:
    head, end, body = reply.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return bool(end) and int(length) == len(body)


def main() -> None:
    """Let the herd go."""
    address, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < count + _SPARE:
        raise SystemExit(f"{count} clients need {count + _SPARE} descriptors each side; the hard limit is {most}")
    clients = _Clients(address, path, sys.stdin.readline().strip())
    moments = uvloop.run(clients.run(count))
    herd = Herd(count, count - len(moments), moments[0], moments[-1], dict(clients.answers))
    print(msgspec.json.encode(herd).decode())


if __name__ == "__main__":
    main()
