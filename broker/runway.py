"""Who takes off next: so many at once, each family of sources by its own token bucket, the nearest end first. Pure.

It holds no clock and starts nothing. What takes off is the caller's; here it is an item with a family and a deadline.
"""

import heapq
import itertools
from typing import Generic, TypeVar

NEVER = float("inf")
BURST = 2  # seconds of its rate that a family may save up
NEAR = 120.0  # who has less than this left goes before those who have long had nothing
_WHOLE = 1 - 1e-6  # of a token, less what floating point may lose

T = TypeVar("T")


class _Family(Generic[T]):
    """Those of one family who wait, and its bucket."""

    def __init__(self, rate: float, now: float) -> None:
        self.aloft = 0
        self._rate = rate
        self._tokens = rate * BURST
        self._filled = now
        self._waiting: list[tuple[float, int, T]] = []
        self._broken: list[tuple[float, int, T]] = []

    def __len__(self) -> int:
        return len(self._waiting) + len(self._broken)

    def add(self, item: T, number: int, deadline: float, *, broken: bool) -> None:
        heapq.heappush(self._broken if broken else self._waiting, (deadline, number, item))

    def first(self, now: float) -> list[tuple[float, int, T]]:
        """The heap whose first is next: of those with nothing, who have failed before, none may starve a good lease."""
        if self._broken and not (self._waiting and self._waiting[0][0] < now + NEAR):
            return self._broken
        return self._waiting

    def token_in(self, now: float) -> float:
        """Seconds until there is a token."""
        self._tokens = min(self._rate * BURST, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
        return 0.0 if self._tokens >= _WHOLE else (1 - self._tokens) / self._rate

    def clear(self) -> None:
        self._waiting.clear()
        self._broken.clear()

    def spend(self) -> None:
        self._tokens -= 1


class Runway(Generic[T]):
    """`slots` items aloft at once, `rate` a second of each family; one that hangs leaves a slot to the others."""

    def __init__(self, slots: int, rate: float) -> None:
        self._slots = slots
        self._rate = rate
        self._families: dict[str, _Family[T]] = {}
        self._numbers = itertools.count()

    def queue(self, item: T, family: str, now: float, ends: float | None, *, failing: bool) -> None:
        """Take on an item. `ends` is when what it replaces is served no longer, None where there is nothing to serve.

        The first mint of all counts as one whose end is now: a worker waits for it.
        """
        if family not in self._families:
            self._families[family] = _Family(self._rate, now)
        deadline = now if ends is None else ends
        self._families[family].add(item, next(self._numbers), deadline, broken=failing and ends is None)

    def next(self, now: float) -> T | None:
        """The item that takes off now, if there is a slot and a token for one."""
        free = [family for family in self._families.values() if self._is_free(family) and not family.token_in(now)]
        if not free:
            return None
        family = min(free, key=lambda one: one.first(now)[0][:2])
        family.spend()
        family.aloft += 1
        return heapq.heappop(family.first(now))[2]

    def landed(self, family: str) -> None:
        """One of this family has left its slot."""
        self._families[family].aloft -= 1

    def opens_at(self, now: float) -> float:
        """When there will be a token for somebody who waits for nothing else; NEVER if nobody does."""
        waits = [family.token_in(now) for family in self._families.values() if self._is_free(family)]
        return now + min(waits, default=NEVER)

    def clear(self) -> None:
        """Nobody waits any more."""
        for family in self._families.values():
            family.clear()

    def _is_free(self, family: _Family[T]) -> bool:
        """Whether somebody waits and there is a slot for him."""
        aloft = sum(one.aloft for one in self._families.values())
        most = self._slots - 1 if len(self._families) > 1 else self._slots
        return len(family) > 0 and aloft < self._slots and family.aloft < most
