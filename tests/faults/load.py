"""Workers that ask without end, on kept connections and on new ones, with the manners of SDKs and no others.

A kept connection that was closed before a byte of the answer came is opened again, once; a 503 is asked again after its
Retry-After.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

from tests.faults.stage import Answer, Broker, read_answer

KEPT, NEW = 6, 3  # workers that keep their connection, and such that make one for each request
PAUSE = 0.004
TRIES = 4  # of a request that hears 503: a cold daemon mints within seconds


class Load:
    """Workers that ask without end; what became of their requests, by a word each."""

    def __init__(self, broker: Broker) -> None:
        self.seen: Counter[str] = Counter()
        self.longest = 0.0
        self._broker = broker
        self._over = threading.Event()
        workers = [self._keeping] * KEPT + [self._connecting] * NEW
        self._threads = [threading.Thread(target=work, daemon=True) for work in workers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _keeping(self) -> None:
        """On one connection as long as it is kept."""
        with Line(self._broker) as line:
            while not self._over.wait(PAUSE):
                self._ask(lambda: self._again_if_closed(line))

    def _again_if_closed(self, line: "Line") -> Answer | str:
        answer = line.asked()
        if answer == "closed":
            line.open()
            self.seen["opened again"] += 1
            answer = line.asked()
        return answer

    def _connecting(self) -> None:
        """On a connection for each request, which is not asked twice."""

        def alone() -> Answer | str:
            with Line(self._broker) as line:
                return line.asked(Connection="close")

        while not self._over.wait(PAUSE):
            self._ask(alone)

    def _ask(self, ask: Callable[[], Answer | str]) -> None:
        """One request, with patience for a daemon that has just started and has nothing yet."""
        began = time.monotonic()
        for _ in range(TRIES):
            answer = ask()
            if isinstance(answer, str) or answer.status != 503:
                break
            self.seen["asked again"] += 1
            time.sleep(float(answer.fields["retry-after"]))
        self.seen[answer if isinstance(answer, str) else str(answer.status)] += 1
        self.longest = max(self.longest, time.monotonic() - began)


class Line:
    """A connection to the worker plane, or the next one."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.end = broker.connect()

    def open(self) -> None:
        """A new one in its place."""
        self.end.close()
        self.end = self._broker.connect()

    def asked(self, **fields: str) -> Answer | str:
        """The answer, or in a word why there is none."""
        try:
            self.end.sendall(self._broker.attested(**fields))
            return read_answer(self.end) or "closed"
        except ConnectionError:
            return "closed"
        except (TimeoutError, AssertionError) as error:
            return f"failed: {type(error).__name__}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end.close()
