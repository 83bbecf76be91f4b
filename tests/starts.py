"""Starts of a daemon one after the other in one folder, for what is kept from one to the next."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from broker.config.shape import CallerEntry, Credential, DaemonSettings
from broker.events import (
    Event,
)
from broker.keeper import Keeper
from broker.kept_leases import KeptLeases
from broker.model import CallerFacts, Given, Minted
from broker.plan import Rendered
from broker.rounds import Rounds
from broker.safefile import write_private
from tests.leaping import FakeClock
from tests.made import a_book, a_minted, a_role

T = TypeVar("T")

KEY = bytes(range(32))


class Start:
    """One start of a daemon in a folder, without its sockets: its rounds, and what is kept of them."""

    def __init__(self, folder: Path, *parts: Credential | CallerEntry, **settings: Any) -> None:
        self.folder, self.clock, self.events = folder, FakeClock(), list[Event]()
        self.book = a_book(*(parts or (a_role(),)))
        self.rounds = Rounds(self._never, self.events.append, self.clock)
        if not (folder / "key").exists():
            write_private(folder / "key", KEY)
        plain: dict[str, Any] = {"state_dir": str(folder / "state"), "state_key": str(folder / "key")}
        self.kept = KeptLeases(
            settings=DaemonSettings(**(plain | settings)),
            runtime_dir=str(folder / "run"),
            rounds=self.rounds,
            book=lambda: self.book,
            note=self.events.append,
            clock=self.clock,
        )

    async def _never(self, rendered: Rendered, given: Given) -> Minted:
        raise AssertionError(f"minted {rendered.label} with {given}")

    def keeper(self, name: str = "train", audience: str | None = None, **facts: Any) -> Keeper:
        """The keeper of a credential for `trainer`."""
        return self.rounds.keeper(self.book.rendered(name, CallerFacts(caller="trainer", **facts), audience))

    def minted(self, keeper: Keeper, **more: Any) -> None:
        """A mint has come home, and is told."""
        keeper.begin()
        now, wall = self.clock.now(), self.clock.wall()
        for event in keeper.minted(a_minted(wall=wall, **more), now, now, wall):
            self.kept.listen(event)

    def served(self) -> dict[str, object]:
        """What is held, by credential."""
        now = self.clock.now()
        held = ((keeper.rendered.label, keeper.held(now)) for keeper in self.rounds.keepers)
        return {label: lease.value for label, lease in held if lease}

    def told(self, kind: type[Event]) -> list[Event]:
        """What was said, of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def files(self) -> int:
        """How many sealed files there are."""
        return len(list((self.folder / "state").iterdir()))

    def live(self, act: Callable[[], Awaitable[T]]) -> T:
        """Start, act, and end in order."""

        async def main() -> T:
            await self.kept.start()
            async with asyncio.TaskGroup() as group:
                running = group.create_task(self.kept.run())
                try:
                    return await act()
                finally:
                    running.cancel()
                    await self.kept.close()

        return asyncio.run(main())

    def live_shortly(self) -> None:
        """Start, and end as a process does: what its thread still had to do is done, and its lock is free."""

        async def nothing() -> None:
            pass

        self.live(nothing)
        for thread in threading.enumerate():
            if thread.name == "disk":
                thread.join(5.0)


async def until(done: Callable[[], bool]) -> None:
    """Something that the thread brings about."""
    async with asyncio.timeout(10):
        while not done():  # noqa: ASYNC110 - what is awaited happens in a thread
            await asyncio.sleep(0.005)
