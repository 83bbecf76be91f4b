"""The end of a plane whose sockets live on elsewhere: whoever got through to us is answered, whoever did not waits.

A client whose kept connection is closed opens another; one whose first request is cut off has asked in vain.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Protocol

GRACE = 0.25  # seconds for who is connected and has not asked yet


class Leaving(Protocol):
    """A connection, as far as its end goes."""

    @property
    def busy(self) -> bool:
        """Whether a reply is owed."""

    @property
    def asking(self) -> bool:
        """Whether it is busy, or a request is only half here, or the first one is still to come."""

    def close(self) -> None:
        """Close at once; a reply already written is still sent."""


async def drain(connections: Collection[Leaving], empty: asyncio.Event) -> None:
    """Close them all, each when it has had its answer. `empty` is set by whoever sees the last one go."""
    for connection in list(connections):
        if not connection.asking:
            connection.close()
    await asyncio.sleep(0)  # one that was accepted just now is among them from the loop's next turn on
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await _gone(connections, empty)
    for connection in list(connections):
        if not connection.busy:
            connection.close()
    await _gone(connections, empty)


async def _gone(connections: Collection[Leaving], empty: asyncio.Event) -> None:
    while connections:
        empty.clear()
        await empty.wait()
