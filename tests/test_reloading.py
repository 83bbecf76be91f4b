"""Reading the configuration again while others are served."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from broker import vetting
from broker.config.shape import Config, DaemonSettings, Snapshot
from broker.errors import ConfigError
from broker.events import Event, Reloaded
from broker.plan import Book
from broker.reloading import Reloading
from broker.server.clerk import Facts
from broker.supervisor import Supervisor
from tests.daemons import PLAN, a_start, on_uvloop, written
from tests.server.plane import turns

T = TypeVar("T")


class Rereading:
    """The configuration in force, and what becomes of reading it again."""

    def __init__(self, folder: Path, path: Path | None = None) -> None:
        self.present = a_start(folder).config
        self.told: list[Event] = []
        self.facts = Facts()
        self.reloading = Reloading(path, self.told.append, Supervisor(), self.facts.reloaded)

    async def again(self) -> Config:
        """What it is then."""
        return (await self.reloading.read(lambda: self.present, 7))[0]


def reading(folder: Path, main: Callable[[Rereading], Awaitable[T]], *, file: bool = True) -> T:
    """Run `main` over a configuration of the usual plan."""

    async def run() -> T:
        rereading = Rereading(folder, folder / "config.toml" if file else None)
        try:
            return await main(rereading)
        finally:
            rereading.reloading.close()

    return on_uvloop(run)


class TestRead:
    def test_a_good_one_is_given_whole_and_changes_nothing(self, tmp_path: Path):
        """Whether it is adopted is for the daemon to do, and to tell."""

        async def main(rereading: Rereading) -> list[Event]:
            written(tmp_path, {**PLAN, "callers.new": 'uid = 7\ngrants = ["train"]'})
            config = await rereading.again()
            assert (len(config.callers), len(rereading.present.callers)) == (2, 1)
            return rereading.told

        assert reading(tmp_path, main) == []

    @pytest.mark.parametrize(
        ("plan", "mistake"),
        [({"daemon": 'listen = ["127.0.0.1:1"]'}, "a change here needs a restart"), ({"callers.x": "uid = -1"}, "uid")],
    )
    def test_a_bad_one_is_told(self, tmp_path: Path, plan: dict[str, str], mistake: str):
        """With its place, and by whom."""

        async def main(rereading: Rereading) -> list[Event]:
            written(tmp_path, {**PLAN, **plan})
            with pytest.raises(ConfigError, match=mistake):
                await rereading.again()
            return rereading.told

        (event,) = reading(tmp_path, main)
        assert isinstance(event, Reloaded)
        assert (event.by_uid, mistake in (event.error or "")) == (7, True)

    def test_status_says_so_until_a_good_one(self, tmp_path: Path):
        """By whichever way it was asked for."""

        async def main(rereading: Rereading) -> list[str | None]:
            said = []
            for plan in ({**PLAN, "callers.x": "uid = -1"}, PLAN):
                written(tmp_path, plan)
                with contextlib.suppress(ConfigError):
                    await rereading.again()
                refused = rereading.facts.reload_refused
                said.append(refused.mistake if refused else None)
            return said

        first, after = reading(tmp_path, main)
        assert first is not None
        assert ("[callers.x] uid" in first, after) == (True, None)

    def test_zero_configuration_has_no_file(self, tmp_path: Path):
        """And says so."""

        async def main(rereading: Rereading) -> None:
            with pytest.raises(ConfigError, match="there is no file to read again"):
                await rereading.again()

        reading(tmp_path, main, file=False)

    def test_the_loop_turns_meanwhile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A name service may take its time."""
        gate, begun, load = threading.Event(), threading.Event(), vetting.again

        def slow(path: Path | None, running: DaemonSettings) -> tuple[Config, Snapshot, Book]:
            begun.set()
            gate.wait(10)
            return load(path, running)

        async def main(rereading: Rereading) -> bool:
            async with asyncio.TaskGroup() as group:
                again = group.create_task(rereading.again())
                await turns()
                slept = not again.done()
                gate.set()
            return slept

        monkeypatch.setattr("broker.reloading.vetting.again", slow)
        assert reading(tmp_path, main)
        assert begun.is_set()
