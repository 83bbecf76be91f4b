"""The broker as workers meet it: the real desk, rounds, keepers and schedule, without sockets and minters.

`Parts` are the modules it is made of, so that a copy with a seeded mistake can take a module's place.
"""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec

from broker import desk, keeper, rounds, runway, schedule
from broker.errors import BrokerError
from broker.model import Caller, Lease, Want
from broker.plan import Book
from tests.mutants import compiled
from tests.simulator.cloud import Cloud
from tests.simulator.world import World

PATIENCE = 0.7  # that a connection waits for a cold lease


class Parts(msgspec.Struct, frozen=True):
    """The core's modules as one set, each knowing the others of the set."""

    desk: ModuleType = desk
    rounds: ModuleType = rounds

    @classmethod
    def with_one(cls, module: ModuleType, changed: ModuleType) -> "Parts":
        """The real ones, but for one that was changed."""

        def copy(original: ModuleType) -> ModuleType:
            return changed if module is original else compiled(original)

        of_desk, of_rounds, of_keeper = copy(desk), copy(rounds), copy(keeper)
        of_keeper.__dict__["schedule"] = copy(schedule)
        of_rounds.__dict__["Keeper"] = of_keeper.__dict__["Keeper"]
        of_rounds.__dict__["Runway"] = copy(runway).__dict__["Runway"]
        return cls(of_desk, of_rounds)


REAL = Parts()


class Answer(msgspec.Struct, frozen=True):
    """What a worker got: a lease, or none with the status of a refusal; and how long it waited."""

    lease: Lease | None
    waited: float = 0.0
    status: int = 200


class Node:
    """One machine with a broker on it, that may be killed and started again."""

    def __init__(self, world: World, cloud: Cloud, book: Book, luck: Callable[[], float], parts: Parts = REAL) -> None:
        self._world = world
        self._cloud = cloud
        self._book = book
        self._luck = luck
        self._parts = parts
        self.desk: Any = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As the daemon's start: warm what is configured."""
        self._rounds = self._parts.rounds.Rounds(self._cloud.mint, _unheard, self._world, self._luck)
        self.desk = self._parts.desk.Desk(self._book, self._rounds, _unheard, self._world)
        self._rounds.warm(self._book.warm())
        self._running = asyncio.get_running_loop().create_task(self._rounds.run())

    async def kill(self) -> None:
        """With everything it held."""
        if self._running is not None:
            running, self._running = self._running, None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self._rounds.close()
            self._cloud.forget_flights()

    def check(self) -> None:
        """Raise what has ended the rounds, if anything did."""
        if self._running is not None and self._running.done():
            self._running.result()

    @property
    def keepers(self) -> tuple[Any, ...]:
        """The keepers of this life."""
        return tuple(self._rounds.keepers)

    def ask(self, caller: Caller, want: Want) -> Answer | asyncio.Event:
        """What a worker gets at once, or what it waits for."""
        try:
            found = self.desk.lease(caller, want, "aws")
        except BrokerError as error:
            return Answer(None, status=error.status)
        if isinstance(found, Lease):
            return Answer(found)
        event = asyncio.Event()
        found.add(lambda _: event.set())
        return event

    async def wait(self, caller: Caller, want: Want, event: asyncio.Event) -> Answer:
        """What it gets in the end."""
        began = self._world.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                await event.wait()
        except TimeoutError:
            return Answer(None, self._world.monotonic() - began, 503)
        again = self.ask(caller, want)
        waited = self._world.monotonic() - began
        if isinstance(again, asyncio.Event):
            return Answer(None, waited, 503)
        return msgspec.structs.replace(again, waited=waited)


def _unheard(_: object) -> None:
    """Events are counted elsewhere."""
