"""Threads for what may hang, such as a name service or a disk: neither loop nor process waits for them at its end.

The executors of the standard library are joined when the interpreter ends, so one hung look-up would hold that up.
"""

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Threads:
    """Works in at most `most` threads, begun as they are needed; with one, it is one thing after the other."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._begun = 0
        self._busy = 0
        self._closed = False

    def do(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """What `work` gives or raises, in the loop that runs now."""
        loop = asyncio.get_running_loop()
        landed: asyncio.Future[T] = loop.create_future()

        def attempt() -> None:
            try:
                land = functools.partial(landed.set_result, work())
            except Exception as error:  # noqa: BLE001 - whatever went wrong, who asked is told, and the thread goes on
                land = functools.partial(landed.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._home, landed, land)

        self._busy += 1
        self._work.put(attempt)
        if self._busy > self._begun < self._most:
            self._begun += 1
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        return landed

    def close(self) -> None:
        """Wait for nobody: what was asked for is still done, as long as the process lives, but nobody hears of it."""
        self._closed = True
        for _ in range(self._begun):
            self._work.put(None)

    def _run(self) -> None:
        while (attempt := self._work.get()) is not None:
            attempt()

    def _home(self, landed: "asyncio.Future[T]", land: Callable[[], None]) -> None:
        self._busy -= 1
        if not (self._closed or landed.done()):  # done: who asked has gone
            land()
