"""The longest outage that nobody notices: it begins at the worst moment, just before a call upstream.

Nothing tells a broker that an outage ends but its next call. So one run, with an outage without end, knows the answer:
had upstream come back just before the last call whose credential would still have come in time, nobody had noticed.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec

from tests.leaping import leap
from tests.simulator.cloud import FAIR, Cloud, Kinds, Weather
from tests.simulator.peers import Ours, Peer
from tests.simulator.world import World

EVERY, SELDOM = 5.0, 60.0  # a new worker asks so often, and is refused or not; the second while there is much life left
MUCH = 700.0
BEFORE = 0.05


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run: which broker, which life its credentials have, which kind of outage, whose luck, before which call."""

    broker: Callable[[World, Cloud, random.Random], Ours | Peer]
    life: float
    kind: Kinds
    seed: int
    call: int


class _Noticed(msgspec.Struct, frozen=True):
    """When the first worker was refused, and every call that was made until then (truth)."""

    at: float
    calls: tuple[float, ...]


def longest_unnoticed(run: Run) -> float:
    """Seconds of the longest outage that nobody notices if it begins just before this call."""
    peaceful = _lived(run, begins=float("inf"))
    begins = peaceful.calls[run.call] - BEFORE
    stormy = _lived(run, begins)
    in_time = [call for call in stormy.calls if call >= begins and call + FAIR.latency <= stormy.at]
    return max(in_time, default=begins) - begins


def goal(life: float) -> float:
    """Half of the lifetime, less the 30 s in which a lease is not handed out."""
    return life / 2 - 30


def _lived(run: Run, begins: float) -> _Noticed:
    """Until the first worker is refused, or until there have been calls enough."""
    world = World()

    async def main(_: object) -> _Noticed:
        cloud = Cloud(world, {"train": run.life})
        broker = run.broker(world, cloud, random.Random(run.seed))
        await broker.start()
        await asyncio.sleep(FAIR.latency * 2)
        storm = asyncio.get_running_loop().create_task(_storm(world, cloud, run.kind, begins))
        while True:
            served = await broker.ask()
            if served is None or (begins == float("inf") and len(cloud.asked) > run.call):
                break
            await asyncio.sleep(SELDOM if served.ends - world.truth() > MUCH else EVERY)
        storm.cancel()
        await asyncio.gather(storm, return_exceptions=True)
        await broker.stop()
        return _Noticed(world.truth(), tuple(asked.truth for asked in cloud.asked))

    return leap(main, world)


async def _storm(world: World, cloud: Cloud, kind: Kinds, begins: float) -> None:
    if begins < float("inf"):
        await asyncio.sleep(begins - world.truth())
        for family in ("aws", "gcp"):
            cloud.weather[family] = Weather(kind)
