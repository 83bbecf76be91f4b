"""One life of a node, act by act: weather upstream, clocks, restarts, herds; and workers who ask all the while.

Every answer goes before the judge. Acts raise Breach where a promise is broken.
"""

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from broker.model import Caller, CallerFacts, Kind, Want
from tests.leaping import LeapingLoop
from tests.made import a_book, a_role, a_session, an_adc
from tests.simulator.cloud import DEADLINE, FAIR, Cloud, Kinds, Weather
from tests.simulator.judge import Breach, Judge
from tests.simulator.node import REAL, Answer, Node, Parts
from tests.simulator.outage import goal
from tests.simulator.sdks import SDKS, Client
from tests.simulator.world import World

LIVES = {"base": 43_200.0, "train": 3600.0, "short": 900.0, "data": 3600.0}
BOOK = a_book(
    a_session("base"),
    a_role("train", base="base", session_name="job-{user}"),
    a_role("short", duration=900),
    an_adc("data"),
)
CALM, CLOSE = 61.0, 7.0  # seconds between two workers, in good weather and in bad
NOTICED = 16.0  # a step of a clock is noticed within 15 s: two within that time are one
HEALED = DEADLINE + 2 * 60.0 + 20.0  # a call that hangs, a base's retry, a retry of what chains from it
MOST_PATIENCE = 300.0


def _caller(user: str, uid: int) -> Caller:
    return Caller(matches=(CallerFacts(caller="trainer", uid=str(uid), user=user),), how="uid", uid=uid)


ALICE, BOB = _caller("alice", 1000), _caller("bob", 1001)
WORKERS = (
    (ALICE, Want(Kind.AWS, "train")),
    (BOB, Want(Kind.AWS, "train")),
    (ALICE, Want(Kind.AWS, "short")),
    (BOB, Want(Kind.GOOGLE, "data")),
)
RENDERED = {(caller, want): BOOK.rendered(want.name or "", caller.matches[0]) for caller, want in WORKERS}


class Life:
    """`with Life(seed) as life`: one node, from its first start to its end. Everything in it may raise Breach."""

    def __init__(self, seed: int, parts: Parts = REAL) -> None:
        chance = random.Random(seed)
        self.luck: Callable[[], float] = lambda: chance.uniform(-1, 1)
        self.world = World()
        self.cloud = Cloud(self.world, LIVES)
        self.node = Node(self.world, self.cloud, BOOK, self._jitter, parts)
        self.judge = Judge(self.world, self.cloud)
        self._clients = [(Client(sdk), worker) for sdk, worker in zip(SDKS, WORKERS * 3, strict=False)]
        self._loop = LeapingLoop(self.world)
        self._users = itertools.count(2000)
        self._patience = 0.0
        self._must: frozenset[str] = frozenset()
        self._do(self.node.start())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        self._loop.run_until_complete(self.node.kill())
        for task in asyncio.all_tasks(self._loop):  # workers who wait for an answer that is of no use any more
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
        if self._loop.mishaps and kind is None:
            raise Breach(f"errors that nobody took: {self._loop.mishaps}")

    def live(self, seconds: float) -> None:
        """Time goes by, and workers ask."""
        self._do(self._live(seconds))

    def weather(self, weather: Weather, family: str | None = None) -> None:
        """From now on, at one cloud or at both."""
        for one in (family,) if family else ("aws", "gcp"):
            self.cloud.weather[one] = weather
        self._patience = max(self._patience, min(weather.patience or 0.0, MOST_PATIENCE))

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.world.step(seconds)
        self._upset(by=seconds)

    def stand_still(self, seconds: float) -> None:
        """A hypervisor's pause."""
        self.world.stand_still(seconds)
        self._upset(by=seconds)

    def suspend(self, seconds: float) -> None:
        """A laptop's lid."""
        self.world.suspend(seconds)
        self._upset(by=seconds)

    def restart(self, moment: float = 1.0) -> None:
        """Kill -9, and start; until a moment after it, before anybody asks."""
        self._do(self.node.kill())
        self.judge.reborn()
        self._do(self.node.start())
        self._do(asyncio.sleep(moment))

    def crowd(self, count: int) -> None:
        """So many users more, each with a lease of his own that nobody has asked for yet, of a cloud that is quick."""
        self.weather(Weather("fair", latency=0.02))
        names = itertools.islice(self._users, count)  # one who comes back may find that his lease was let go
        self._do(self._crowd([_caller(f"user{number}", number) for number in names]))

    def herd(self, count: int) -> None:
        """After a restart, many ask at once for what is cold: upstream hears of one."""
        self._do(self.node.kill())
        self.judge.reborn()
        self._do(self.node.start())
        before, key = len(self.cloud.asked), RENDERED[WORKERS[0]].key
        self._do(self._herd(count))
        asked = sum(one.key == key for one in self.cloud.asked[before:])
        if asked > 1:
            raise Breach(f"{count} workers asked for one lease, and upstream was asked {asked} times")

    def heal(self) -> None:
        """Good weather again: within a retry everybody is served."""
        self.weather(FAIR)
        patience, self._patience = self._patience, 0.0
        self.live(HEALED + 2 * patience)
        self.all_served("after an outage was over")

    def outage(self, kind: Kinds, credential: str, after: float) -> None:
        """One of half of a credential's lifetime less 30 s, from good weather on: none of its workers notices."""
        self.heal()
        self.live(after)
        self._must = frozenset(name for name, life in LIVES.items() if life >= LIVES[credential])
        self.weather(Weather(kind))
        self.live(goal(LIVES[credential]))
        self.weather(FAIR)
        self.live(goal(LIVES[credential]) + 60)
        self._must = frozenset()

    def all_served(self, when: str) -> None:
        """Every worker who asks now is."""
        must, self._must = self._must, frozenset(LIVES)
        try:
            self._do(self._all_ask())
        except Breach as breach:
            raise Breach(f"{when}: {breach}") from None
        finally:
            self._must = must

    def _upset(self, by: float) -> None:
        self._do(self._all_ask(upset_by=by))
        self.live(NOTICED)

    def _do(self, act: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(act)
        self.node.check()
        self.judge.judge_calls()

    def _jitter(self) -> float:
        return self.luck()

    async def _live(self, seconds: float) -> None:
        ends = self.world.monotonic() + seconds
        while True:
            await self._all_ask()
            left = ends - self.world.monotonic()
            if left <= 0:
                return
            stormy = any(one.kind != "fair" for one in self.cloud.weather.values())
            await asyncio.sleep(min(left, CLOSE if stormy else CALM))

    async def _all_ask(self, upset_by: float = 0.0) -> None:
        if upset_by > 0:
            self.judge.upset = self.world.truth()
        asking = [(None, *worker) for worker in WORKERS]
        truth = self.world.truth()
        asking += [(client, *worker) for client, worker in self._clients if client.needs(truth)]  # type: ignore[misc]  # a list that begins with None
        await asyncio.gather(*(self._ask(*one) for one in asking))

    async def _ask(self, client: Client | None, caller: Caller, want: Want) -> None:
        rendered = RENDERED[caller, want]
        must = self.judge.must_be_served(rendered)
        found = self.node.ask(caller, want)
        answer = found if isinstance(found, Answer) else await self.node.wait(caller, want, found)
        self.judge.judge(rendered, answer, must=must)
        if answer.lease is None and rendered.label in self._must:
            raise Breach(f"a worker noticed an outage: {rendered.label} was refused ({answer.status})")
        if client is not None:
            client.got(self.world.truth(), answer.lease.expires_at if answer.lease else None)

    async def _crowd(self, callers: list[Caller]) -> None:
        want = Want(Kind.AWS, "train")
        for caller in callers:
            RENDERED.setdefault((caller, want), BOOK.rendered("train", caller.matches[0]))
        await asyncio.gather(*(self._ask(None, caller, want) for caller in callers))

    async def _herd(self, count: int) -> None:
        caller, want = WORKERS[0]
        await asyncio.gather(*(self._ask(None, caller, want) for _ in range(count)))
        await asyncio.sleep(DEADLINE)
