"""Brokers to compare with: ours, and four others by the rules that they publish. One lease each, nothing else.

The others get what they do not all have: one shared call upstream that goes on when a worker gives up, and workers that
wait a second for it. What is compared is when each refreshes, when it retries, and how long it serves what it holds.
"""

import asyncio
import random
from typing import Protocol

from broker.errors import BrokerError
from broker.model import Given
from broker.plan import Rendered
from tests.desks import AWS
from tests.made import a_book, a_caller, a_role
from tests.simulator.cloud import Birth, Cloud
from tests.simulator.node import REAL, Answer, Node, Parts
from tests.simulator.world import World

HOUR = 3600.0
PATIENCE = 1.0  # of a worker, for a call upstream


class Server(Protocol):
    """What a worker of any broker sees."""

    async def start(self) -> None:
        """Begin to mint."""

    async def stop(self) -> None:
        """End."""

    async def ask(self) -> Birth | None:
        """What a worker is handed, or None where it is refused."""


class Ours:
    """The real desk, rounds, keeper and schedule."""

    name = "credbroker"

    def __init__(self, world: World, cloud: Cloud, luck: random.Random, parts: Parts = REAL) -> None:
        self._cloud = cloud
        self._node = Node(world, cloud, a_book(a_role()), lambda: luck.uniform(-1, 1), parts)
        self._caller = a_caller()

    async def start(self) -> None:
        await self._node.start()

    async def stop(self) -> None:
        self._node.check()
        await self._node.kill()

    async def ask(self) -> Birth | None:
        found = self._node.ask(self._caller, AWS)
        answer = found if isinstance(found, Answer) else await self._node.wait(self._caller, AWS, found)
        return self._cloud.of(answer.lease.value) if answer.lease else None


class Peer:
    """Holds one credential; says by `good` whether it is served. Its `run` refreshes, if it ever does of itself."""

    name = ""

    def __init__(self, world: World, cloud: Cloud, luck: random.Random) -> None:
        self.world = world
        self.luck = luck
        self.held: Birth | None = None
        self._cloud = cloud
        self._rendered: Rendered = a_book(a_role()).rendered("train", a_caller().matches[0])
        self._flight: asyncio.Task[bool] | None = None
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(self.run())

    async def stop(self) -> None:
        tasks = [task for task in (self._running, self._flight) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self) -> None:
        """Nothing, for one that only mints when asked."""

    async def ask(self) -> Birth | None:
        if not self.good():
            flight = self.fetch()
            await asyncio.wait([flight], timeout=PATIENCE)
        return self.held if self.good() else None

    def good(self) -> bool:
        """Whether what is held may be handed out."""
        return self.left > 0

    @property
    def left(self) -> float:
        """Seconds of true life of what is held."""
        return self.held.ends - self.world.truth() if self.held else 0.0

    def fetch(self) -> "asyncio.Task[bool]":
        """The call upstream that is under way, or a new one; whether it brought anything."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.get_running_loop().create_task(self._fetch())
        return self._flight

    async def _fetch(self) -> bool:
        try:
            minted = await self._cloud.mint(self._rendered, Given())
        except BrokerError:
            return False
        self.held = self._cloud.of(minted.value)
        return True


class EksAgent(Peer):
    """Refresh at min(lifetime, 3 h), retry after 1-2 min, nothing handed out under 15 s."""

    name = "EKS agent"

    def good(self) -> bool:
        return self.left > 15

    async def run(self) -> None:
        while True:
            held = self.held
            if held is not None:
                due = held.asked + min(held.ends - held.asked, 3 * HOUR)
                await asyncio.sleep(due - self.world.truth())
            if self.held is held and not await self.fetch():
                await asyncio.sleep(self.luck.uniform(60, 120))


class AwsVault(Peer):
    """No margin: minted when asked for, served to the very end."""

    name = "aws-vault"


class Kiam(Peer):
    """Evicted 5 min before the end, then fetched."""

    name = "kiam"

    def good(self) -> bool:
        return self.left > 300

    async def run(self) -> None:
        while await self.fetch():  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(self.left - 300)


class Weep(Peer):
    """Looked at once a minute, refreshed with less than 10 min left."""

    name = "weep"

    async def run(self) -> None:
        while True:
            if self.left < 600:
                await self.fetch()
            await asyncio.sleep(60)


BROKERS: tuple[type[Ours] | type[Peer], ...] = (Ours, EksAgent, AwsVault, Kiam, Weep)
