"""A control plane at work: the parts behind it over a scripted upstream, and its applications on real sockets."""

import asyncio
import contextlib
import http.client
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
import pytest
import uvloop

from broker import control_api as api
from broker.callers.accounts import Account
from broker.config.shape import Address, CallerEntry, Config, Credential, DaemonSettings, Rule
from broker.control_client import Client
from broker.errors import BrokerError
from broker.events import Event, TokenRevoked
from broker.explaining import Files
from broker.server import control, gate, sockets
from broker.server.clerk import Clerk, Facts
from broker.server.control import Control
from broker.server.denials import Denials
from broker.server.inquiry import Inquiry
from broker.server.issuer import Issuer
from broker.server.rights import Rights
from tests.made import SERVICE, a_config, a_role, an_adc
from tests.server.plane import ALICE, BOB, PATIENCE, STRANGER, Work

T = TypeVar("T")

CAROL, DAVE, ERIN = 61_003, 61_004, 61_005
DAEMON = os.geteuid()
DESCRIPTORS = 4096
ACCOUNTS = {
    ALICE: Account(ALICE, "alice", ((ALICE, "alice"),)),
    BOB: Account(BOB, "bob", ((61_300, "vision"),)),
    CAROL: Account(CAROL, "carol"),
    DAVE: Account(DAVE, "dave", ((61_301, "admins"),)),
    ERIN: Account(ERIN, "erin", ((61_302, "ops"),)),
    STRANGER: Account(STRANGER, "stranger"),
    DAEMON: Account(DAEMON, "broker"),
}


def an_office_plan(*more: CallerEntry | Credential, generation: str = "1" * 64) -> Config:
    """Alice is a caller, bob one by his group, carol and erin issue, dave and the daemon's own user are operators."""
    config = a_config(
        a_role(region="eu-west-1"),
        an_adc(audiences=(SERVICE,), project="my-project"),
        a_role("mine", session_name="{user}"),
        CallerEntry(name="trainer", rules=(Rule(uid=ALICE),), grants=("train", "data", "mine"), issuers=("carol",)),
        CallerEntry(name="guest", rules=(Rule(group="vision"),), grants=("data",)),
        CallerEntry(name="pods", worker_token=True, grants=("train",), issuers=("group:ops", "carol")),
        *more,
        generation=generation,
    )
    return msgspec.structs.replace(config, daemon=DaemonSettings(operators=("root", "group:admins")))


class Reload:
    """What the daemon does when it reads its configuration again: succeeds, unless there is `trouble`."""

    def __init__(self) -> None:
        self.trouble: BrokerError | None = None
        self.read = 0
        self.by: list[int | None] = []

    async def __call__(self, by_uid: int | None) -> str:
        self.read += 1
        self.by.append(by_uid)
        if self.trouble is not None:
            raise self.trouble
        return "2" * 64


class Office:
    """The clerk, the issuer and what they work with."""

    def __init__(self, config: Config | None = None) -> None:
        self.work = Work(config or an_office_plan())
        self.work.names.known = dict(ACCOUNTS)
        self.clock, self.desk, self.rounds = self.work.clock, self.work.desk, self.work.rounds
        self.rights = Rights(self.desk)
        self.reload = Reload()
        self.facts = Facts(host="127.0.0.1", port=9911, listen=("127.0.0.1:9911",), admin="127.0.0.1:9912")
        self.clerk = Clerk(
            desk=self.desk,
            rounds=self.rounds,
            directory=self.work.directory,
            rights=self.rights,
            metrics=self.work.metrics,
            note=self.work.events.append,
            clock=self.clock,
            facts=self.facts,
            reload=self.reload,
        )
        self.issuer = Issuer(
            rights=self.rights,
            worker_tokens=self.work.tokens,
            granted=self.clerk.granted,
            where=lambda: (self.facts.host, self.facts.port),
            note=self.work.events.append,
            clock=self.clock,
        )
        self.denials = Denials(self.clock.wall)
        self.files: Files = ()
        self.inquiry = Inquiry(self.clerk, self.work.tokens, self.denials, lambda: self.files, note=self.noted)

    def noted(self, event: Event) -> None:
        """As the ledger does it."""
        self.work.events.append(event)
        self.denials.listen(event)

    async def mint(self, *names: str) -> None:
        """Have these held, as the first caller that is granted them gets them."""
        warm = {rendered.label: rendered for rendered in self.desk.book.warm()}
        for name in names:
            landed = asyncio.Event()
            self.rounds.start(self.rounds.keeper(warm[name])).add(lambda _, landed=landed: landed.set())  # type: ignore[misc]
            await landed.wait()


class OpenOffice(Office):
    """The same behind its sockets. `asking` is who is at the other end of the Unix one, if not who the kernel says."""

    def __init__(self, folder: Path, config: Config | None = None) -> None:
        super().__init__(config)
        self.path = str(folder / "broker.sock")
        self.asking: int | None = None
        self.admin = ""

    async def __aenter__(self) -> Self:
        plane = Control(self.clerk, self.issuer, self.inquiry)
        admin = sockets.listen_tcp(Address("127.0.0.1", 0), 16)
        self.admin = f"127.0.0.1:{admin.getsockname()[1]}"
        self._stack = contextlib.AsyncExitStack()
        await gate.serve(
            plane.socket_app(),
            [sockets.listen_unix(self.path, 0o666)],
            gate.of_socket(DESCRIPTORS, self.noted),
            self._stack,
        )
        await gate.serve(plane.admin_app(), [admin], gate.of_admin(lambda _local, _peer: None, self.noted), self._stack)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        self.clerk.stopping.set()
        await self._stack.aclose()
        self.work.upstream.gate.set()
        await self.rounds.close()
        self.work.directory.close()

    async def ask(self, question: Callable[[Client], T]) -> T:
        """What the command line's client is answered, in a thread as it blocks."""
        return await asyncio.get_running_loop().run_in_executor(None, question, Client(self.path, PATIENCE))


def engaged(office: Office, uid: int, **order: object) -> api.Worker:
    """A worker of that user."""
    return office.issuer.engage(ACCOUNTS[uid], api.WorkerOrder(**order))  # type: ignore[arg-type]  # whatever a test names


def issued(office: Office, uid: int, caller: str = "trainer", bound: int | None = None, **order: object) -> api.Token:
    """A token that this user asks for."""
    asked = api.TokenOrder(caller=caller, uid=bound, **order)  # type: ignore[arg-type]  # whatever a test names
    return office.issuer.issue(ACCOUNTS[uid], asked, None if bound is None else ACCOUNTS[bound])


def ended(office: Office) -> list[str]:
    """Why tokens have ended so far."""
    return [event.why for event in office.work.noted(TokenRevoked)]


def in_office(main: Callable[[Office], Awaitable[T]], config: Config | None = None) -> T:
    """Run `main` with the parts alone."""

    async def run() -> T:
        office = Office(config)
        try:
            async with asyncio.timeout(PATIENCE):
                return await main(office)
        finally:
            await office.rounds.close()
            office.work.directory.close()

    return asyncio.run(run())


def at_counter(main: Callable[[OpenOffice], Awaitable[T]], folder: Path, config: Config | None = None) -> T:
    """Run `main` with everything on uvloop and real sockets in a folder that is ours."""
    folder.chmod(0o755)

    async def run() -> T:
        mishaps: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
        office = OpenOffice(folder, config)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(control, "peer_uid", lambda end: office.asking or sockets.peer_uid(end))
            async with asyncio.timeout(PATIENCE), office:
                result = await main(office)
        assert not mishaps, f"errors that nobody took: {mishaps}"
        return result

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def raw(path: str, method: str, target: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    """One exchange without the client's reading of it."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(5)
        end.connect(path)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = end
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()


async def exchanged(office: OpenOffice, method: str, target: str, body: bytes | None = None) -> Any:
    """The same in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, raw, office.path, method, target, body)


async def refused(office: OpenOffice, question: Any) -> BrokerError:
    """The error that the client makes of a refusal."""
    with pytest.raises(BrokerError) as error:
        await office.ask(question)
    return error.value
