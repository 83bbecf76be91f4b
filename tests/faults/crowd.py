"""Many connections at once from one process, each asking as fast as it is answered: guessers, floods, the silent.

Standard library only, and no thread: it runs in children of a test that have become somebody else.
"""

import contextlib
import secrets
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable

_RETRY = 0.05


def guesses(host: str) -> Callable[[], bytes]:
    """Requests that each show another token, which nobody has issued."""

    def one() -> bytes:
        token = f"cbw_{secrets.token_urlsafe(32)}"
        return f"GET /aws/train HTTP/1.1\r\nHost: {host}\r\nAuthorization: {token}\r\n\r\n".encode()

    return one


class Crowd:
    """So many connections to a port, kept up; `ask` makes what each sends next, None for nothing at all."""

    def __init__(self, port: int, count: int, ask: Callable[[], bytes] | None, *, pipelined: int = 1) -> None:
        self.answers: Counter[int] = Counter()
        self.ended = 0
        self._port, self._count, self._ask, self._pipelined = port, count, ask, pipelined
        self._all = selectors.DefaultSelector()
        self._retry_at = 0.0

    def __call__(self) -> None:
        """For ever."""
        self.run(float("inf"))

    def run(self, seconds: float) -> dict[str, int]:
        """For so long; how many answers there were, by status, and how many connections were ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            while len(self._all.get_map()) < self._count and time.monotonic() >= self._retry_at:
                self._connect()
            for key, _ in self._all.select(0.05):
                self._read(key.fileobj)  # type: ignore[arg-type]  # sockets are all that was registered
        return {**{str(status): count for status, count in self.answers.items()}, "ended": self.ended}

    def close(self) -> None:
        """Hang up, all of them."""
        for key in list(self._all.get_map().values()):
            self._end(key.fileobj)  # type: ignore[arg-type]  # likewise
        self._all.close()

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self._all.get_map())

    def _connect(self) -> None:
        end = socket.socket()
        end.settimeout(0)
        try:
            with contextlib.suppress(BlockingIOError):
                end.connect(("127.0.0.1", self._port))
            if self._ask is not None:
                end.send(b"".join(self._ask() for _ in range(self._pipelined)))
        except OSError:
            end.close()
            self._retry_at = time.monotonic() + _RETRY
            return
        self._all.register(end, selectors.EVENT_READ)

    def _read(self, end: socket.socket) -> None:
        try:
            data = end.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.ended += 1
            self._end(end)
            return
        statuses = [int(piece[:3]) for piece in data.split(b"HTTP/1.1 ")[1:]]
        self.answers.update(statuses)
        if self._ask is not None:
            with contextlib.suppress(OSError):
                end.send(b"".join(self._ask() for _ in statuses))

    def _end(self, end: socket.socket) -> None:
        self._all.unregister(end)
        end.close()
