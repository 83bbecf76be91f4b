"""What good weather costs and gives: calls upstream a day, and the least life that each SDK is ever handed."""

import asyncio
import random

import msgspec

from tests.leaping import leap
from tests.simulator.cloud import Cloud
from tests.simulator.peers import Ours, Peer, Server
from tests.simulator.sdks import SDKS, Client
from tests.simulator.world import World

DAY = 86_400.0
FIRST = 60.0  # the first call of all, which a worker may have to wait for
USES = (5.0, 65.0)  # seconds between two calls that a client signs


class Days(msgspec.Struct, frozen=True):
    """Some days of one broker with one lease and a client of each SDK."""

    calls_a_day: float
    least: dict[str, float]
    refused: int
    used_dead: int


def days(broker: type[Ours] | type[Peer], life: float, count: float, seed: int) -> Days:
    """So many days in good weather."""
    world = World()

    async def main(_: object) -> Days:
        luck = random.Random(seed)
        cloud = Cloud(world, {"train": life})
        server = broker(world, cloud, luck)
        await server.start()
        await asyncio.sleep(FIRST)
        clients = [Client(sdk) for sdk in SDKS]
        ends = world.truth() + count * DAY
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.create_task(_work(world, server, client, luck, ends)) for client in clients))
        await server.stop()
        return Days(
            len(cloud.asked) / count,
            {client.sdk.name: client.least for client in clients},
            sum(client.refused for client in clients),
            sum(client.used_dead for client in clients),
        )

    return leap(main, world)


async def _work(world: World, server: Server, client: Client, luck: random.Random, ends: float) -> None:
    while world.truth() < ends:
        if client.needs(world.truth()):
            birth = await server.ask()
            client.got(world.truth(), birth.ends if birth else None)
        client.uses(world.truth())
        await asyncio.sleep(luck.uniform(*USES))
