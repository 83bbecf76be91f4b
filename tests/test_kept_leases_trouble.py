"""A disk that is slow, full or refused, and no disk at all: what is served does not notice."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from broker.errors import BrokerError
from broker.events import (
    LeaseMinted,
    OlderLease,
    StateOff,
    WriteFailed,
    WriteHealed,
)
from broker.kept_leases import OFF
from broker.state.vault import Vault
from tests.made import a_minted, a_role
from tests.starts import Start, until


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What real seconds would only make long."""
    for name, seconds in (("GATHER", 0.0), ("RETRY", 0.0), ("PATIENCE", 30.0)):
        monkeypatch.setattr(f"broker.kept_leases.{name}", seconds)


class TestTrouble:
    def test_a_full_disk_is_told_once_tried_again_and_healed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The lease is held all the while."""
        start, full = Start(tmp_path), [True]
        write = Vault.write

        def written(*given: Any) -> None:
            if full[0]:
                raise BrokerError("make room on that disk", code="FileFailed")
            write(*given)

        monkeypatch.setattr(Vault, "write", written)
        start.minted(start.keeper())

        async def act() -> str:
            await until(lambda: len(start.told(WriteFailed)) > 2)
            state = start.kept.state
            full[0] = False
            await until(lambda: bool(start.told(WriteHealed)))
            return state

        assert start.live(act).endswith("but it cannot be written: make room on that disk")
        firsts = [event.first for event in start.told(WriteFailed)]  # type: ignore[union-attr]  # told of one kind
        assert firsts == [True, *[False] * (len(firsts) - 1)]
        assert start.served()
        assert start.kept.state.startswith("on, 1 sealed in")

    @pytest.mark.parametrize(
        ("error", "advice"),
        [
            (
                OSError(5, "Input/output error"),
                "the disk failed: Input/output error; look at it and at the kernel's log",
            ),
            (KeyError("a secret"), "it failed inside credbroker (KeyError)"),
        ],
        ids=["the disk", "a bug"],
    )
    def test_whatever_else_goes_wrong_is_told_and_tried_again_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, advice: str
    ):
        """The text of a bug stays where it is."""
        start, errors = Start(tmp_path), [error]
        write = Vault.write

        def written(*given: Any) -> None:
            if errors:
                raise errors.pop()
            write(*given)

        monkeypatch.setattr(Vault, "write", written)
        start.minted(start.keeper())

        async def act() -> None:
            await until(lambda: bool(start.told(WriteHealed)))

        start.live(act)

        assert [event.why for event in start.told(WriteFailed)] == [advice]  # type: ignore[union-attr]  # told of one kind

    def test_one_file_that_cannot_be_written_does_not_hold_up_the_others(self, tmp_path: Path):
        """And a disk that refuses some is not asked for all the rest."""
        roles = [a_role(f"train-{number}") for number in range(6)]
        start = Start(tmp_path, *roles)
        for role in roles:
            start.minted(start.keeper(role.name))
        from broker.state.vault import name_of

        async def act() -> None:
            await until(lambda: bool(start.told(WriteFailed)))
            await until(lambda: start.files == 6)

        (tmp_path / "state").mkdir(0o700)
        (tmp_path / "state" / name_of(start.keeper("train-3").rendered.key)).mkdir()
        start.live(act)

        assert sum(path.is_file() for path in (tmp_path / "state").iterdir()) == 5

    def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """The thread is left behind."""
        start, gate, hangs = Start(tmp_path), threading.Event(), threading.Event()

        def hang(*_: object) -> None:
            hangs.set()
            gate.wait(10)

        monkeypatch.setattr("broker.kept_leases.PATIENCE", 0.05)
        monkeypatch.setattr(Vault, "write", hang)
        start.minted(start.keeper())

        async def act() -> None:
            await until(hangs.is_set)
            await until(lambda: bool(start.served()))

        start.live(act)
        gate.set()

    @pytest.mark.parametrize(("mode", "why"), [(0o777, "others may enter it"), (0o750, "others may enter it")])
    def test_a_folder_that_is_refused_is_told_once_and_looked_at_again(
        self, tmp_path: Path, mode: int, why: str, monkeypatch: pytest.MonkeyPatch
    ):
        """Serving goes on without; who mends it need not restart."""
        monkeypatch.setattr("broker.kept_leases.AGAIN", 0.01)
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(mode)
        start = Start(tmp_path)
        start.minted(start.keeper())

        async def act() -> str:
            state = start.kept.state
            await asyncio.sleep(0.05)
            (tmp_path / "state").chmod(0o700)
            await until(lambda: start.files == 1)
            return state

        assert why in start.live(act)
        assert len(start.told(StateOff)) == 1
        assert start.served()

    def test_no_key_is_told_too(self, tmp_path: Path):
        """And nothing is written in the clear instead."""
        start = Start(tmp_path, state_key=str(tmp_path / "none"))
        start.minted(start.keeper())
        start.live_shortly()

        (told,) = start.told(StateOff)
        assert isinstance(told, StateOff)
        assert "No such file" in told.why
        assert start.files == 0


class TestOff:
    def test_without_a_folder_nothing_is_kept_and_no_thread_is_started(self, tmp_path: Path):
        """As for the broker of one `exec`."""
        start = Start(tmp_path, state_dir=None, state_key=None)
        start.minted(start.keeper())
        before = threading.active_count()
        start.live_shortly()

        assert (start.kept.state, start.events) == (OFF, [])
        assert threading.active_count() == before
        assert not (tmp_path / "state").exists()

    def test_an_event_of_another_kind_wakes_nobody(self, tmp_path: Path):
        """Thousands are noted each second."""
        start = Start(tmp_path)
        start.kept.listen(OlderLease("train", 0.1))
        assert not start.kept._changed.is_set()
        start.kept.listen(LeaseMinted("train", 1, 0.0, 0.1, a_minted().facts))
        assert start.kept._changed.is_set()
