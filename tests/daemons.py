"""Daemons inside a test: the whole composition on uvloop, with made-up minters or with real ones at the strict STS."""

import asyncio
import contextlib
import http.client
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from broker import clock, vetting
from broker.config.shape import Config
from broker.control_client import Client
from broker.daemon import Daemon, Start
from broker.errors import MintError
from broker.events import Event
from broker.minter import frames
from broker.minter.client import Launch
from broker.model import Facts
from tests.made import TRAIN, a_minted, a_token, keys

T = TypeVar("T")

PATIENCE = 20.0
ROLE = f'source = "aws-assume-role"\nrole_arn = "{TRAIN}"\nsession_name = "job"\nregion = "eu-west-1"\n'
PLAN: Mapping[str, str] = {
    "daemon": 'listen = ["127.0.0.1:0"]\nadmin = "127.0.0.1:0"\nsocket = "{folder}/broker.sock"\n',
    "credentials.train": ROLE,
    "callers.trainer": f'uid = {os.getuid()}\nallow_root = true\ngrants = ["train"]\n',
}


class Pool:
    """Minters that are not there: each call is answered at once, or with `trouble`, once the `gate` is open."""

    def __init__(self, launch: Launch, note: Callable[[Event], None]) -> None:
        self.launches = [launch]
        self.called: list[frames.Call] = []
        self.trouble: MintError | None = None
        self.found: Mapping[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False
        self.pids = (4711,)

    def relaunch(self, launch: Launch) -> None:
        """Another configuration."""
        self.launches.append(launch)

    async def call(self, call: frames.Call) -> frames.Brought:
        """One mint."""
        self.called.append(call)
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        text = f"{call.ask.credential}-{len(self.called)}"
        value = a_token(text) if call.ask.credential == "gcp" else keys(text)
        return frames.Brought(a_minted(value, wall=clock.wall(), facts=Facts(arn=TRAIN)))

    async def calls(self, calls: Sequence[frames.Call]) -> list[frames.Found]:
        """What zero configuration asks."""
        return [frames.Found(self.found.get(call.ask.credential)) for call in calls]

    async def close(self) -> None:
        """The end."""
        self.closed = True


def written(folder: Path, plan: Mapping[str, str] = PLAN) -> Path:
    """A configuration of these tables, private and in a private folder."""
    folder.chmod(0o700)
    file = folder / "config.toml"
    tables = (f"[{name}]\n{body}" for name, body in plan.items())
    file.write_text("\n".join(tables).replace("{folder}", str(folder)))
    file.chmod(0o600)
    return file


def a_start(folder: Path, plan: Mapping[str, str] = PLAN, **more: Any) -> Start:
    """What a daemon of this plan is started with."""
    file = written(folder, plan)
    config, snapshot = vetting.load(file)
    defaults: dict[str, Any] = {"identity": {}, "runtime_dir": str(folder), "config_path": file}
    return Start(config=config, snapshot=snapshot, **(defaults | more))


def the_pool(daemon: Daemon) -> Pool:
    """The made-up minters of a daemon."""
    pool = daemon._upstream.pool
    assert isinstance(pool, Pool)
    return pool


@contextlib.asynccontextmanager
async def running(start: Start) -> AsyncIterator[Daemon]:
    """A daemon that keeps its leases fresh, as the program does it, until the block ends."""
    async with Daemon(start) as daemon, asyncio.TaskGroup() as group:
        group.create_task(daemon.run())
        try:
            yield daemon
        finally:
            daemon.stop()


async def ready(daemon: Daemon) -> None:
    """Until every required credential is held."""
    while daemon._clerk.missing() or not daemon.rounds.keepers:  # noqa: ASYNC110 - a minter's process brings it about
        await asyncio.sleep(0.005)


async def ask(daemon: Daemon, path: str, authorization: str = "attested") -> tuple[int, Any]:
    """A worker's request, by the standard library and from a thread."""

    def asked() -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.facts.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": authorization})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    return await in_thread(asked)


async def control(daemon: Daemon, question: Callable[[Client], T]) -> T:
    """A command's question on the control socket."""
    return await in_thread(lambda: question(Client(daemon.socket_path, PATIENCE)))


async def in_thread(work: Callable[[], T]) -> T:
    """Blocking work beside the loop."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def reaches(address: tuple[str, int]) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as end:
        return end.connect_ex(address) == 0


def on_uvloop(main: Callable[[], Awaitable[T]]) -> T:
    """Run it to its end; errors that nobody took fail the test."""
    mishaps: list[Any] = []

    async def run() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
        async with asyncio.timeout(PATIENCE):
            return await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run())
    assert not mishaps, f"errors that nobody took: {mishaps}"
    return result


def narrowly(config: Config) -> list[str]:
    """The credentials of a configuration."""
    return [credential.name for credential in config.credentials]
