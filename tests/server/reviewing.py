"""A Reviews at work over an API server that is a function, on a clock that leaps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from broker.config.shape import CallerEntry, Cluster, Config, DaemonSettings, Pods, Rule
from broker.errors import BrokerError, NotReady, Refused
from broker.events import Event
from broker.minter.asking import REVIEWERS
from broker.model import Caller, Keys, Pod, Reviewed
from broker.secret import Secret
from broker.server.reviews import Examination, Reviews
from tests.fakes.cluster import FakeCluster, Running
from tests.jwts import AUDIENCE
from tests.leaping import FakeClock, leap

T = TypeVar("T")
KEYS = Keys("https://issuer", b"{}")
TRAINER = CallerEntry(name="trainer", rules=(Rule(kubernetes=Pods("ml", "trainer", AUDIENCE)),))


def a_config(*callers: CallerEntry, kubernetes: Cluster = Cluster()) -> Config:  # noqa: B008 - frozen
    return Config(daemon=DaemonSettings(kubernetes=kubernetes), credentials=(), callers=callers, generation="g")


class Work:
    """A Reviews over an API server that is a function, with its reviewers at work."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.cluster = FakeCluster(clock.wall)
        self.pod = self.cluster.run("ml", "trainer")
        self.config = a_config(TRAINER)
        self.asked: list[tuple[str | None, bool]] = []
        self.error: BrokerError | Exception | None = None  # of the API server; keys go on judging
        self.renewal_error: BrokerError | None = None
        self.review_error: BrokerError | None = None
        self.takes = 0.0
        self.noted: list[Event] = []
        self.reviews = Reviews(lambda: self.config, self.ask, self.noted.append, clock, "node-a")

    def token(self, pod: Running | None = None, **claims: Any) -> str:
        return self.cluster.token(pod or self.pod, AUDIENCE, **claims)

    async def ask(self, token: Secret | None, keys: Keys | None) -> Reviewed:
        text = token.open() if token else None
        self.asked.append((text, keys is not None))
        await asyncio.sleep(self.takes)
        error = self.error or (self.renewal_error if text is None else self.review_error)
        if error is not None and keys is None:
            raise error
        if text is None:
            return Reviewed(keys=KEYS)
        status = self.cluster.review(text, (AUDIENCE,))
        if not status.get("authenticated"):
            return Reviewed(reason="review-refused", by_keys=keys is not None)
        bound = next(pod for pod in self.cluster.pods.values() if pod.uid in str(status))
        return Reviewed(
            pod=Pod(
                namespace=bound.namespace,
                service_account=bound.service_account,
                name=bound.name,
                uid=bound.uid,
                node=bound.node,
                audiences=(AUDIENCE,),
            ),
            by_keys=keys is not None,
        )

    async def known(self, token: str, peer: str = "10.0.0.1") -> Caller:
        """The caller, once the review has landed."""
        while isinstance(found := self.reviews.caller(token, peer), Examination):
            landed = asyncio.Event()
            found.add(lambda _, landed=landed: landed.set())  # type: ignore[misc]  # as Directory does
            await landed.wait()
        return found

    async def refused(self, token: str) -> str:
        """The reason of the refusal, or the code of what may be asked again."""
        try:
            await self.known(token)
        except Refused as error:
            return error.reason if error.status == 401 else "another status"
        except NotReady as error:
            return error.code if error.retry_after else "no patience"
        return "known"

    async def minute(self, seconds: float = 60.0) -> None:
        """Time goes by, with a tick a second."""
        for _ in range(int(seconds)):
            self.reviews.tick()
            await asyncio.sleep(1.0)


def at_work(main: Callable[[Work], Awaitable[T]]) -> T:
    async def run(clock: FakeClock) -> T:
        work = Work(clock)
        async with asyncio.TaskGroup() as loops:
            reviewers = [loops.create_task(work.reviews.run()) for _ in range(REVIEWERS)]
            result = await main(work)
            for reviewer in reviewers:
                reviewer.cancel()
        return result

    return leap(run)
