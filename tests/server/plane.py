"""A worker plane at work: real sockets on uvloop, a scripted upstream and name service, and clocks that a test sets."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import pytest
import uvloop

from broker.callers.accounts import Account
from broker.callers.worker_token import Purpose, TokenOrder, WorkerTokens
from broker.config.shape import CallerEntry, Config, Limits, Rule
from broker.desk import Desk
from broker.errors import BrokerError
from broker.events import Event
from broker.metrics import Metrics
from broker.model import Caller, CallerFacts, Given, Kind, Minted
from broker.plan import Rendered, make_book
from broker.rounds import Rounds
from broker.server.bounds import bounds
from broker.server.directory import Directory
from broker.server.reception import Reception
from broker.server.worker import Plane
from tests.leaping import FakeClock
from tests.made import HOST, SERVICE, a_config, a_minted, a_role, a_session, a_token, an_adc, an_id_token, keys

T = TypeVar("T")

ALICE, BOB, STRANGER = 61_001, 61_002, 61_711  # nobody who runs the tests
ROOMY = bounds(4096, Limits())
PATIENCE = 10.0  # no test of the plane takes as long


def a_plan() -> Config:
    """Two clouds, an ungranted credential, a caller each for alice and bob, and one that only tokens open."""
    return a_config(
        a_role(),
        an_adc(audiences=(SERVICE,)),
        a_role("hidden", session_name="hidden"),
        a_session("own", share_identity=False),
        CallerEntry(name="trainer", rules=(Rule(uid=ALICE),), grants=("train", "data", "own")),
        CallerEntry(name="guest", rules=(Rule(group="vision"),), grants=("data",), bare=True),
        CallerEntry(name="pods", worker_token=True, grants=("train",)),
    )


class Upstream:
    """Mints at once, until a test shuts the gate or makes trouble."""

    def __init__(self, clock: FakeClock) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.trouble: BrokerError | None = None
        self.asked: list[str] = []
        self.more: dict[str, Any] = {}
        self._clock = clock

    async def mint(self, rendered: Rendered, _: Given) -> Minted:
        """As the daemon gives it to the rounds."""
        self.asked.append(rendered.label)
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        text = f"{rendered.label}-{len(self.asked)}"
        if rendered.audience is not None:
            return a_minted(an_id_token(text, rendered.audience), wall=self._clock.wall())
        value = keys(text) if rendered.spec.kind is Kind.AWS else a_token(text)
        return a_minted(value, wall=self._clock.wall(), **self.more)


class Names:
    """A name service of two users; `down` makes it fail, and it answers nobody while `answering` is cleared."""

    def __init__(self) -> None:
        self.known = {
            ALICE: Account(ALICE, "alice", ((ALICE, "alice"),)),
            BOB: Account(BOB, "bob", ((BOB, "bob"), (61_300, "vision"))),
        }
        self.down = False
        self.answering = threading.Event()
        self.answering.set()
        self.asked: list[int] = []

    def look_up(self, uid: int) -> Account:
        """As NSS: blocking, in a thread."""
        self.asked.append(uid)
        self.answering.wait(PATIENCE)
        if self.down:
            raise OSError("the directory server does not answer")
        return self.known.get(uid, Account(uid))


class Work:
    """The plane and what it is made of. `uid` is what the kernel says of every connection."""

    def __init__(self, config: Config | None = None) -> None:
        self.clock = FakeClock()
        self.mishaps: list[Mapping[str, Any]] = []  # errors that nobody took
        self.uid: int | None = ALICE
        self.events: list[Event] = []
        self.metrics = Metrics()
        self.names = Names()
        self.tokens = WorkerTokens()
        self.upstream = Upstream(self.clock)
        note = self.events.append
        self.rounds = Rounds(self.upstream.mint, note, self.clock, lambda: 0.0)
        self.desk = Desk(make_book(config or a_plan(), HOST), self.rounds, note, self.clock)
        self.directory = Directory(lambda: self.desk.book.config.callers, self.clock.now, self.names.look_up)
        self.reception = Reception(
            desk=self.desk,
            tokens=self.tokens,
            directory=self.directory,
            metrics=self.metrics,
            note=note,
            clock=self.clock,
            attesting=True,
        )
        self.plane = Plane(self.reception, lambda _local, _peer: self.uid, ROOMY)
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self.plane.connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        self._server.close()
        self.upstream.gate.set()
        self.names.answering.set()
        self.plane.cut()
        await self.rounds.close()
        self.directory.close()

    def token(self, name: str = "trainer", purpose: Purpose = "header", uid: int | None = None) -> str:
        """A worker token of a caller, in the clear."""
        facts = CallerFacts(caller=name, uid=None if uid is None else str(uid))
        caller = Caller(matches=(facts,), how="token", uid=uid)
        order = TokenOrder(caller=caller, purpose=purpose, ttl=3600.0, issued_by=ALICE)
        return self.tokens.issue(order, self.clock.now(), self.clock.wall())[0].open()

    def request(self, path: str, **fields: str) -> bytes:
        """One request head as SDKs send it; `Host` is right unless it is given."""
        named = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): text for name, text in fields.items()}
        lines = "".join(f"{name}: {text}\r\n" for name, text in named.items())
        return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()

    def attested(self, path: str) -> bytes:
        """A request of whoever made the connection."""
        return self.request(path, Authorization="attested")

    async def connect(self) -> "Wire":
        """A new connection."""
        end = socket.socket()
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", self.port))
        return Wire(end)

    async def ask(self, head: bytes) -> "Answer":
        """One request on a connection of its own."""
        wire = await self.connect()
        try:
            await wire.send(head)
            return await wire.answer()
        finally:
            wire.close()

    async def warm(self, path: str = "/aws/train") -> None:
        """Have a lease held."""
        assert (await self.ask(self.attested(path))).status == 200

    async def connected(self, count: int) -> None:
        """Until the plane has just so many connections."""
        await until(lambda: len(self.plane.connections) == count)

    def noted(self, kind: type[T]) -> list[T]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


class Answer(msgspec.Struct, frozen=True):
    """One reply as it stood on the wire, names in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body decoded."""
        assert self.fields["content-type"] == "application/json"
        return json.loads(self.body)


class Wire:
    """The client's end of a connection, bytes in and bytes out."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._read = b""

    async def send(self, data: bytes) -> None:
        """Send these bytes."""
        await asyncio.get_running_loop().sock_sendall(self._end, data)

    async def answer(self) -> Answer:
        """The next reply."""
        while b"\r\n\r\n" not in self._read:
            assert await self._more(), f"the connection ended after {self._read!r}"
        head, _, self._read = self._read.partition(b"\r\n\r\n")
        status, *lines = head.decode("ascii").split("\r\n")
        fields = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
        while len(self._read) < int(fields["content-length"]):
            assert await self._more(), "the connection ended within a body"
        body, self._read = (
            self._read[: int(fields["content-length"])],
            self._read[int(fields["content-length"]) :],
        )
        assert status.startswith("HTTP/1.1 ")
        return Answer(int(status.split()[1]), fields, body)

    async def rest(self) -> bytes:
        """Everything until the other end closes; a reset counts as that."""
        try:
            while await self._more():
                pass
        except ConnectionResetError:
            pass
        return self._read

    async def quiet(self) -> bool:
        """Whether nothing is there to read, and the connection is open."""
        await turns()
        try:
            self._end.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return not self._read
        return False

    def finish(self) -> None:
        """Send no more, but go on reading."""
        self._end.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Hang up as a killed process does that had not read everything."""
        self._end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._end.close()

    def close(self) -> None:
        """Hang up."""
        self._end.close()

    async def _more(self) -> bool:
        part = await asyncio.get_running_loop().sock_recv(self._end, 1 << 16)
        self._read += part
        return bool(part)


async def turns(count: int = 20) -> None:
    """Let the loop do what it has to do."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(true: Callable[[], bool]) -> None:
    """Until something is so, which sockets or a thread bring about."""
    while not true():  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0.001)


def at_work(main: Callable[[Work], Awaitable[T]], config: Config | None = None, cold_wait: float = 5.0) -> T:
    """Run `main(work)` to its end on uvloop; errors that nobody took fail the test."""

    async def run() -> T:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("broker.server.connection.COLD_WAIT", cold_wait)
            async with asyncio.timeout(PATIENCE):
                async with Work(config) as work:
                    for module in ("connection", "worker"):
                        patch.setattr(f"broker.server.{module}.now", work.clock.now)
                    asyncio.get_running_loop().set_exception_handler(lambda _, context: work.mishaps.append(context))
                    result = await main(work)
                await work.connected(0)
        assert not work.mishaps, f"errors that nobody took: {work.mishaps}"
        return result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
