"""Fault 12: ten thousand clients ask for one cold lease, and ask a 503 again as SDKs do. One mint, one lease for all.

The clients are children of the test; upstream is so slow that every one of them comes before the lease does.
"""

import asyncio
import json
import multiprocessing
import resource
import time
from collections import Counter

from tests.bench.slow_sts import SlowSts
from tests.cli.newcomer import WORLD, newcomer
from tests.faults.stage import Broker

CLIENTS, CHILDREN = 10_000, 2
AT_ONCE = 1_500  # connections of a child: descriptors have a limit, and so has a listener's queue
THINKS = 2.0  # seconds
WHOLE = {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}


async def one(port: int, head: bytes, place: asyncio.Semaphore, seen: Counter[str]) -> None:
    """A client: asks until it has its lease, each time on a connection of its own."""
    for _ in range(30):
        try:
            async with place:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head)
                answer = await reader.read()
                writer.close()
        except ConnectionError:  # 256 of a uid may be silent for over a second, which here they are: all ask at once
            answer = b""
        fields, _, body = answer.partition(b"\r\n\r\n")
        if fields.startswith(b"HTTP/1.1 200"):
            seen[body.decode() if json.loads(body).keys() >= WHOLE else "a part"] += 1
            return
        seen[fields[9:12].decode() or "closed"] += 1
        await asyncio.sleep(1.0)
    seen["never"] += 1


async def many(port: int, head: bytes, count: int) -> Counter[str]:
    """So many of them."""
    seen: Counter[str] = Counter()
    place = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(one(port, head, place, seen) for _ in range(count)))
    return seen


def child(port: int, head: bytes, count: int) -> Counter[str]:
    """A process of clients."""
    return asyncio.run(many(port, head, count))


class TestFault12:
    def test_12_ten_thousand_clients_cause_one_mint(self):
        """And each has the same whole lease, sooner or later; whoever has one already waits for nobody."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with SlowSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts) as broker:
            calls = sts.count("AssumeRole")
            sts.latency = THINKS
            head = broker.attested("/aws/mine", Connection="close")
            with multiprocessing.get_context("spawn").Pool(CHILDREN) as children:
                jobs = [children.apply_async(child, (broker.port, head, CLIENTS // CHILDREN)) for _ in range(CHILDREN)]
                time.sleep(1.5)
                held = broker.ask(broker.attested())
                seen = sum((job.get(60) for job in jobs), Counter())

        assert held.status == 200
        assert sts.count("AssumeRole") == calls + 1
        assert seen.pop("503") > CLIENTS // 10
        assert seen.pop("closed", 0) < CLIENTS // 10
        assert list(seen.values()) == [CLIENTS]
        assert sts.registry.latest().access_key_id in next(iter(seen))
