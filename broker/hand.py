"""A thread of its own for what may take its time, such as a disk: the loop only hears of the end."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

from broker.errors import BrokerError

T = TypeVar("T")


class Hand:
    """A thread of its own that does one thing after the other. One that hangs holds up nobody, not even the end."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="hand", daemon=True).start()

    def stop(self, last: Callable[[], None] | None) -> None:
        """End once all is done, this last."""
        if last is not None:
            self._work.put(last)
        self._work.put(None)

    def do(self, work: Callable[[], T]) -> "asyncio.Future[T | BrokerError]":
        """What `work` gives, or why it gave nothing."""
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[T | BrokerError] = loop.create_future()

        def land(result: T | BrokerError) -> None:
            if not landed.done():
                landed.set_result(result)

        def attempt() -> None:
            result = _tried(work)
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(land, result)

        self._work.put(attempt)
        return landed

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _tried(work: Callable[[], T]) -> T | BrokerError:
    try:
        return work()
    except BrokerError as error:
        return error
    except OSError as error:
        return BrokerError(f"the disk failed: {error.strerror}; look at it and at the kernel's log", code="FileFailed")
    except Exception as bug:  # noqa: BLE001 - whoever waits must hear of it
        return BrokerError(f"it failed inside credbroker ({type(bug).__name__})", code="Bug")
