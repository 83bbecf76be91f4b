"""One thing that many may wait for. Who stops waiting disturbs nobody. Pure."""

import itertools
from collections.abc import Callable
from typing import Any


class Landing:
    """Something under way that lands once; callbacks are given this object."""

    __slots__ = ("_numbers", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[int, Callable[[Any], None]] = {}
        self._numbers = itertools.count()

    def add(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call back once at landing; the returned function takes that back."""
        number = next(self._numbers)
        self._waiting[number] = callback
        return lambda: self._waiting.pop(number, None) and None

    def call_back(self) -> None:
        """It has landed: tell everybody who still waits."""
        waiting, self._waiting = self._waiting, {}
        for callback in waiting.values():
            callback(self)
