"""A pool of real minters with the toys in their table, on the loop that the daemon uses.

Minters are children, or for tests that use `both_ways` in turn processes of the minter service.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from broker.errors import MintError
from broker.events import Event
from broker.minter.client import Launch, Pool, Service
from broker.minter.frames import Brought, Call
from broker.model import AccessToken, Given
from tests.minter import toys
from tests.minter.services import Activated

T = TypeVar("T")

LAUNCH = toys.launch(
    one="",
    who='does = "introspect"',
    hang='does = "hang"',
    die='does = "die"',
    leave='does = "leave"',
    huge='does = "be_huge"',
    swell='does = "swell"',
    grow='does = "grow"',
    deny='does = "deny"',
    throttle='does = "throttle"',
    bug='does = "break"',
    chained='from = "one"\ndoes = "repeat_base"',
)


activate: Callable[[Launch], Activated] | None = None  # `both_ways` sets it: then minters are a service


class Play:
    """A pool, what it noted, and questions to it."""

    def __init__(self, launch: Launch = LAUNCH, **limits: Any) -> None:
        self.noted: list[Event] = []
        self.service = activate(launch) if activate else None
        self.launch = self.service.launch if self.service else launch
        self.pool = Pool(Service(str(self.service.socket)) if self.service else launch, self.noted.append, **limits)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of all minters. Those of the service take a moment to come and go."""
        if self.service is None:
            return self.pool.pids
        return self.service.pids(len(self.pool._all))

    async def mint(self, credential: str = "one", given: Given | None = None) -> str:
        """The token that comes back."""
        found = await self.pool.call(Call(do="mint", ask=toys.ask(self.launch, credential, given)))
        assert isinstance(found, Brought)
        assert isinstance(found.minted.value, AccessToken)
        return found.minted.value.token.open()

    async def error(self, credential: str) -> MintError:
        """What is raised instead."""
        with pytest.raises(MintError) as caught:
            await self.mint(credential)
        return caught.value


def played(main: Callable[[Play], Awaitable[T]], launch: Launch = LAUNCH, **limits: Any) -> T:
    """Run it on the loop that the daemon uses; afterwards no minter is left."""

    async def run() -> T:
        play = Play(launch, **limits)
        try:
            return await main(play)
        finally:
            pids = play.pids
            await play.pool.close()
            assert play.pids == ()
            assert not any(alive(pid) for pid in pids)
            if play.service is not None:
                play.service.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def ends(pid: int) -> bool:
    """Whether it ends within a second."""
    for _ in range(100):
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


async def until(true: Callable[[], bool]) -> None:
    """Wait until another process has done something, for 10 s at most."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never did")
