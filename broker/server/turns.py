"""What waits for its turn: one of each peer after the other, so that who brings much waits for himself."""

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Turns(Generic[_T]):
    """A line for each peer, of each of which the first is next in turn."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, deque[_T]] = {}
        self._ready = asyncio.Semaphore(0)

    def put(self, peer: Hashable, one: _T) -> None:
        """At the end of this peer's line."""
        self._lines.setdefault(peer, deque()).append(one)
        self._ready.release()

    async def get(self) -> _T:
        """The next one, whenever there is one."""
        await self._ready.acquire()
        peer = next(iter(self._lines))
        line = self._lines.pop(peer)
        one = line.popleft()
        if line:
            self._lines[peer] = line  # behind all others
        return one
