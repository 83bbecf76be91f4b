"""Reading the configuration again, for a daemon that serves meanwhile: all of it or nothing.

It changes nothing itself: what it gives is for the daemon to adopt.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

from broker import vetting
from broker.config.shape import Config, Snapshot
from broker.errors import ConfigError
from broker.events import Event, Reloaded
from broker.plan import Book
from broker.supervisor import Supervisor
from broker.threads import Threads


class Reloading:
    """Reads the file in a thread, because it may name users, whom a name service has to know.

    `told` hears whether it was refused, and why.
    """

    def __init__(
        self,
        path: Path | None,
        note: Callable[[Event], None],
        supervisor: Supervisor,
        told: Callable[[ConfigError | None], None],
    ) -> None:
        self._path = path
        self._note = note
        self._supervisor = supervisor
        self._told = told
        self._reader = Threads(1, "reading")
        self._soon = asyncio.Event()
        self.alone = asyncio.Lock()  # one at a time, until it is adopted

    async def read(self, present: Callable[[], Config], by_uid: int | None) -> tuple[Config, Snapshot, Book]:
        """What the file says now. Raises ConfigError, which has then been told."""
        self._supervisor.reloading()
        try:
            read = await self._reader.do(functools.partial(vetting.again, self._path, present().daemon))
        except ConfigError as error:
            self._told(error)
            self._note(Reloaded(present().generation, error.advice, by_uid))
            raise
        finally:
            self._supervisor.reloaded()
        self._told(None)
        return read

    def soon(self) -> None:
        """For a signal, which cannot wait."""
        self._soon.set()

    async def run(self, reload: Callable[[], Awaitable[object]]) -> None:
        """Reload whenever a signal has said so; what is wrong has been told."""
        while await self._soon.wait():
            self._soon.clear()
            with contextlib.suppress(ConfigError):
                await reload()

    def close(self) -> None:
        """Wait for nobody."""
        self._reader.close()
