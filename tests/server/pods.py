"""A reception whose cluster is a function: tokens by name, each of a pod."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from broker.callers.worker_token import WorkerTokens
from broker.config.shape import CallerEntry, Config, Credential, Limits, Pods, Rule
from broker.desk import Desk
from broker.events import Event
from broker.metrics import Metrics
from broker.model import Caller, Given, Keys, Minted, Pod, Reviewed
from broker.plan import Rendered, make_book
from broker.rounds import Rounds
from broker.secret import Secret
from broker.server.directory import Directory
from broker.server.limiter import Limiter
from broker.server.link import Link
from broker.server.reception import Asked, Late, Reception
from broker.server.reviews import Reviews
from broker.waiting import Landing
from broker.wire import Reply
from tests import made
from tests.fakes.cluster import FakeCluster, Running
from tests.jwts import AUDIENCE
from tests.leaping import FakeClock

POD_PLANE = ("169.254.170.23", 9911)
LOOPBACK = ("127.0.0.1", 9911)


def of_pods(name: str, *grants: str, service_account: str = "trainer", audience: str = AUDIENCE) -> CallerEntry:
    """A caller that pods of a service account are."""
    return CallerEntry(name=name, rules=(Rule(kubernetes=Pods("ml", service_account, audience)),), grants=grants)


class Office:
    """A reception of two callers: `trainer`, which is a pod, and `alice`, which is uid 1000."""

    def __init__(self, clock: FakeClock, *callers: CallerEntry) -> None:
        credentials: tuple[Credential, ...] = (made.a_role(), made.an_adc())
        entries = callers or (of_pods("trainer", "train", "data"), made.an_entry("alice", "train", bare=True))
        self.clock = clock
        self.config: Config = made.a_config(*credentials, *entries)
        self.noted: list[Event] = []
        self.cluster = FakeCluster(clock.wall)
        self.pod = self.cluster.run("ml", "trainer")
        self.tokens = WorkerTokens()
        self.rounds = Rounds(self._mint, self.noted.append, clock)
        self.desk = Desk(make_book(self.config), self.rounds, self.noted.append, clock)
        self.reviews = Reviews(lambda: self.config, self._ask, self.noted.append, clock)
        self.directory = Directory(lambda: self.config.callers, clock.now)
        self.reception = Reception(
            desk=self.desk,
            tokens=self.tokens,
            directory=self.directory,
            metrics=Metrics(),
            note=self.noted.append,
            clock=clock,
            attesting=True,
            reviews=self.reviews,
        )

    def token(self, pod: Running | None = None, *audiences: str) -> str:
        """A projected token."""
        return self.cluster.token(pod or self.pod, *(audiences or (AUDIENCE,)))

    async def caller(self) -> Caller:
        """Who the pod is, once its token was reviewed."""
        token = self.token()
        await self.answered("/", authorization=token)
        found = self.reviews.caller(token, None)
        assert isinstance(found, Caller)
        return found

    async def answered(self, path: str, link: Link | None = None, method: str = "GET", **fields: Any) -> Reply:
        """The reply, however long it takes."""
        link = link or Link(POD_PLANE, None, peer="10.1.0.7")
        asked = self.asked(path, link.accepted_on, method, **fields)
        return await landed(lambda landing: self.reception.answer(asked, link, landing))

    def asked(self, path: str, at: tuple[str, int] = POD_PLANE, method: str = "GET", **fields: Any) -> Asked:
        """A request as it is read, which was sent to that address."""
        named = {"host": f"{at[0]}:{at[1]}", **{name.replace("_", "-"): value for name, value in fields.items()}}
        lines = (f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", "")
        return self.reception.read("\r\n".join(lines).encode())

    def limits(self, limits: Limits) -> None:
        """Other buckets."""
        self.reception._limiter = Limiter(limits, self.noted.append, self.clock)

    async def _mint(self, rendered: Rendered, _: Given) -> Minted:
        value = made.keys() if rendered.label == "train" else made.a_token()
        return made.a_minted(value, wall=self.clock.wall())

    async def _ask(self, token: Secret | None, _: Keys | None) -> Reviewed:
        if token is None:
            return Reviewed(keys=Keys("https://issuer", b"{}"))
        status = self.cluster.review(token.open(), self.config.audiences)
        if not status.get("authenticated"):
            return Reviewed(reason="review-refused")
        uid = status["user"]["extra"]["authentication.kubernetes.io/pod-uid"][0]
        running = next(pod for pod in self.cluster.pods.values() if pod.uid == uid)
        return Reviewed(pod=Pod(**msgspec.structs.asdict(running), audiences=tuple(status["audiences"])))


async def landed(ask: Callable[[Landing | None], Reply | Late | Landing]) -> Reply:
    """The reply, once what must land before has landed, and without the time for which it is held back."""
    landing = None
    while isinstance(found := ask(landing), Landing):
        landing = found
        event = asyncio.Event()
        found.add(lambda _, event=event: event.set())  # type: ignore[misc]  # as Directory does
        await event.wait()
    return found.reply if isinstance(found, Late) else found
