"""One thing that many may wait for. Who stops waiting disturbs nobody."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any


class Landing:
    """Something under way that lands once; callbacks are given this object."""

    __slots__ = ("_numbers", "_waiting", "landed")

    def __init__(self) -> None:
        self.landed = False
        self._waiting: dict[int, Callable[[Any], None]] = {}
        self._numbers = itertools.count()

    def add(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back once at landing, at once if it has landed; the returned function takes that back."""
        if self.landed:
            callback(self)
        number = next(self._numbers)
        self._waiting[number] = callback
        return lambda: self._waiting.pop(number, None) and None

    async def over(self) -> None:
        """Wait for the landing."""
        landed = asyncio.Event()
        self.add(lambda _: landed.set())
        await landed.wait()

    def call_back(self) -> None:
        """It has landed: tell everybody who still waits. The first callback's error is raised once all were told."""
        self.landed = True
        waiting, self._waiting = self._waiting, {}
        failed: Exception | None = None
        for callback in waiting.values():
            try:
                callback(self)
            except Exception as error:  # noqa: BLE001 - raised below; one who fails must not leave the others waiting
                failed = failed or error
        if failed is not None:
            raise failed
