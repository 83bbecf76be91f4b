"""Digests kept over a restart: when they are written, and what happens when they cannot be."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.callers.worker_token import CLAIM, Kept, TokenEntry, WorkerTokens
from broker.errors import BrokerError
from broker.events import Event, TokensDropped, WriteFailed, WriteHealed
from broker.server.kept_tokens import KeptTokens
from broker.state.kept_file import KeptFile, Stamp
from tests.callers.tokens import an_order
from tests.leaping import FakeClock

STAMP = Stamp(owner="/run/a.sock", boot="one", booted=0.0)


class Disk(KeptFile[Kept]):
    """A file that can be full, and slow."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Kept, STAMP)
        self.full = False
        self.gate = threading.Event()
        self.gate.set()
        self.saves: list[int] = []

    def save(self, values: "object") -> None:
        """As KeptFile, but for what a test makes of it."""
        assert isinstance(values, tuple)
        self.gate.wait(10)
        if self.full:
            raise BrokerError("no space left", code="FileFailed")
        super().save(values)
        self.saves.append(len(values))


class Place:
    """A table of tokens and the disk under it."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.disk, self.tokens = FakeClock(), Disk(folder / "tokens"), WorkerTokens()
        self.events: list[Event] = []
        self.kept = KeptTokens(self.tokens, self.disk, self.events.append, self.clock)

    def again(self) -> "Place":
        """The next daemon in the same place."""
        place = Place(self.disk.path.parent)
        place.kept.load()
        return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def issue(place: Place, *, held: bool = False) -> tuple[str, TokenEntry]:
    """A token of the present moment."""
    order = an_order(ttl=float("inf") if held else 60.0, held=held)
    secret, entry = place.tokens.issue(order, place.clock.now(), place.clock.wall())
    return secret.open(), entry


class TestFlush:
    def test_what_is_flushed_the_next_daemon_knows(self, place: Place):
        """By the same text."""
        text, entry = issue(place)
        asyncio.run(place.kept.flush())

        assert place.again().tokens.find(text, "header", place.clock.now()) == entry

    def test_nothing_new_is_not_written(self, place: Place):
        """An idle daemon leaves the disk alone."""
        issue(place)

        async def twice() -> None:
            await place.kept.flush()
            await place.kept.flush()

        asyncio.run(twice())
        assert place.disk.saves == [1]

    def test_many_who_wait_share_a_write(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """At most one a second, whoever asks."""
        paused: list[float] = []
        monkeypatch.setattr("broker.server.kept_tokens.asyncio.sleep", slept(paused, place.clock))

        async def many() -> None:
            for _ in range(3):
                issue(place)
                await asyncio.gather(*(place.kept.flush() for _ in range(10)))

        asyncio.run(many())
        assert place.disk.saves == [1, 2, 3]
        assert [round(pause, 3) for pause in paused] == [0.0, 1.0, 1.0]

    def test_a_full_disk_is_told_once_and_tried_again(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """The tokens are good meanwhile; each failure is counted."""
        monkeypatch.setattr("broker.server.kept_tokens.asyncio.sleep", slept([], place.clock))
        issue(place)
        place.disk.full = True

        async def later() -> None:
            await place.kept.flush()
            await place.kept.flush()
            place.disk.full = False
            await place.kept.flush()
            await place.kept.flush()

        asyncio.run(later())
        assert place.events == [
            WriteFailed("tokens", "no space left", first=True),
            WriteFailed("tokens", "no space left", first=False),
            WriteHealed("tokens", 2),
        ]
        assert place.disk.saves == [1]

    def test_without_a_file_nothing_is_kept(self, place: Place):
        """The broker of one `exec`."""
        kept = KeptTokens(place.tokens, None, place.events.append, place.clock)
        issue(place)
        kept.load()
        asyncio.run(kept.flush())
        kept.close()

        assert not place.disk.path.exists()


class TestClose:
    def test_it_saves_what_is_new(self, place: Place):
        """At stop."""
        issue(place)
        place.kept.close()
        place.kept.close()

        assert place.disk.saves == [1]

    def test_a_write_that_was_given_up_does_not_undo_it(self, place: Place):
        """It may sit in its thread until after the last save."""
        issue(place)

        async def given_up() -> None:
            place.disk.gate.clear()
            flushing = asyncio.get_running_loop().create_task(place.kept.flush())
            await asyncio.sleep(0.05)
            flushing.cancel()
            issue(place)
            asyncio.get_running_loop().call_later(0.05, place.disk.gate.set)
            await asyncio.to_thread(place.kept.close)

        asyncio.run(given_up())
        assert len(place.again().tokens) == 2


class TestLoad:
    def test_a_daemon_takes_what_is_in_its_folder(self, place: Place):
        """As long as it was the same daemon's."""
        place.kept = KeptTokens.of(place.tokens, place.disk.path.parent, "/run/a", place.events.append, place.clock)
        text, entry = issue(place)
        place.kept.close()
        for owner, found in (("/run/a", entry), ("/run/b", None)):
            again = WorkerTokens()
            KeptTokens.of(again, place.disk.path.parent, owner, place.events.append, place.clock)
            assert again.find(text, "header", place.clock.now()) == found

    def test_held_tokens_wait_to_be_claimed(self, place: Place):
        """For CLAIM seconds of the next daemon's life."""
        text, entry = issue(place, held=True)
        place.kept.close()
        after = place.again()
        found = after.tokens.find(text, "header", after.clock.now())

        assert found is not None
        assert (found.id, found.unclaimed, found.ends) == (entry.id, True, after.clock.now() + CLAIM)

    def test_a_file_that_is_not_believed_is_told_and_replaced(self, place: Place):
        """So the next start has nothing to complain of."""
        place.disk.path.write_bytes(b"?")
        place.disk.path.chmod(0o600)
        after = place.again()
        asyncio.run(after.kept.flush())

        assert after.events == [TokensDropped("another version wrote it, or another program")]
        assert place.again().events == []


def slept(pauses: list[float], clock: FakeClock) -> Callable[[float], "object"]:
    """`asyncio.sleep` on the test's clock."""

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.pass_time(seconds)

    return sleep
