"""Leases over a restart: held again at once, written off the loop, and no disk can hurt what is served."""

import threading
from pathlib import Path

import pytest

from broker.config.shape import Credential
from broker.errors import Denied
from broker.events import (
    LeasesTakenOver,
    OlderLease,
    Reloaded,
    SealedDropped,
)
from broker.model import Reference
from broker.sources.private_env import PrivateEnv
from broker.state.vault import Vault
from tests.made import a_role, an_adc, an_entry
from tests.starts import Start, until


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What real seconds would only make long."""
    for name, seconds in (("GATHER", 0.0), ("RETRY", 0.0), ("PATIENCE", 30.0)):
        monkeypatch.setattr(f"broker.kept_leases.{name}", seconds)


class TestTakenOver:
    def test_what_was_held_is_held_again_by_the_next_start(self, tmp_path: Path):
        """With its life, its serial and its turn for a refresh."""
        first, second = Start(tmp_path), Start(tmp_path)
        first.minted(first.keeper(), lifetime=3600.0)
        first.live_shortly()
        second.clock.pass_time(600)
        second.live_shortly()
        keeper = second.keeper()

        assert second.served() == first.served() != {}
        assert keeper.lease == first.keeper().lease
        assert 1600 - 200 < keeper.due - first.clock.now() < 2000
        (told,) = second.told(LeasesTakenOver)
        assert isinstance(told, LeasesTakenOver)
        assert told.count == 1

    def test_one_of_a_chain_one_of_a_caller_and_one_of_an_audience(self, tmp_path: Path):
        """Every kind of cache key."""
        parts = (
            a_role("base", share_identity=True),
            a_role("train", base="base"),
            a_role("mine", session_name="{uid}-{group}"),
            an_adc("data", audiences=("https://service.example",)),
        )
        first, second = Start(tmp_path, *parts), Start(tmp_path, *parts)
        for keeper in (
            first.keeper("base"),
            first.keeper("train"),
            first.keeper("mine", uid="1000", group="vision"),
            first.keeper("data", "https://service.example"),
        ):
            first.minted(keeper)
        first.live_shortly()
        second.live_shortly()

        assert second.served().keys() == {"base", "train", "mine", "data"}
        assert [keeper.rendered.key for keeper in second.rounds.keepers if keeper.rendered.audience] == [
            first.keeper("data", "https://service.example").rendered.key
        ]

    def test_an_overdue_one_is_served_and_refreshed_at_once(self, tmp_path: Path):
        """Nobody was there to do it."""
        first, second = Start(tmp_path), Start(tmp_path)
        first.minted(first.keeper())
        first.live_shortly()
        second.clock.pass_time(3000)
        second.live_shortly()

        assert second.keeper().due == second.clock.now()
        assert second.served()

    def test_what_is_not_granted_any_more_is_dropped_with_one_warning(self, tmp_path: Path):
        """A credential that is gone, one that has changed, and a caller that is gone."""
        first = Start(tmp_path, a_role("gone"), a_role("changed"), an_entry("trainer", "gone", "changed"))
        second = Start(tmp_path, a_role("changed", duration=1800), an_entry("trainer", "changed"))
        first.minted(first.keeper("gone"))
        first.minted(first.keeper("changed"))
        first.live_shortly()
        second.live_shortly()

        assert second.served() == {}
        assert {(event.code, event.credentials) for event in second.told(SealedDropped)} == {  # type: ignore[union-attr]  # told of one kind
            ("not-configured", ("gone",)),
            ("not-configured", ("changed",)),
        }
        assert second.files == 0

    def test_a_minted_one_is_not_replaced(self, tmp_path: Path):
        """A disk that answers late comes after upstream did."""
        first, second = Start(tmp_path), Start(tmp_path)
        first.minted(first.keeper(), lifetime=7200.0)
        first.live_shortly()
        second.minted(second.keeper())
        newer = second.keeper().lease
        second.live_shortly()

        assert second.keeper().lease is newer
        assert second.told(LeasesTakenOver) == []

    def test_a_disk_that_answers_late_is_not_waited_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """What it has is held once it comes."""
        first, second, gate = Start(tmp_path), Start(tmp_path), threading.Event()
        first.minted(first.keeper())
        first.live_shortly()
        load = Vault.load
        monkeypatch.setattr("broker.kept_leases.PATIENCE", 0.01)
        monkeypatch.setattr(Vault, "load", lambda *given: gate.wait(10) and load(*given))

        async def act() -> tuple[object, str]:
            before, state = second.served(), second.kept.state
            gate.set()
            await until(lambda: second.served() != {})
            return before, state

        assert second.live(act) == ({}, "off: the disk has not answered yet")
        assert second.kept.state.startswith("on, 1 sealed in")


class TestWritten:
    def test_a_mint_is_written_while_the_daemon_runs(self, tmp_path: Path):
        """A SIGKILL would find it there."""
        start = Start(tmp_path)

        async def act() -> int:
            start.minted(start.keeper())
            await until(lambda: (tmp_path / "state").exists() and start.files == 1)
            return start.files

        assert start.live(act) == 1

    def test_a_lease_that_is_held_already_is_not_written_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Neither by an event that changes nothing nor by another start."""
        first, second = Start(tmp_path), Start(tmp_path)
        first.minted(first.keeper())
        first.live_shortly()
        monkeypatch.setattr(Vault, "write", lambda *_: pytest.fail("written again"))
        second.kept.listen(OlderLease("train", 0.1))
        second.kept.listen(Reloaded("x"))
        second.live_shortly()

        assert second.served()

    def test_what_is_evicted_or_let_go_is_removed(self, tmp_path: Path):
        """Whether or not anybody said a word."""
        start = Start(tmp_path, a_role("evicted"), a_role("let-go"))
        start.minted(start.keeper("evicted"))
        start.minted(start.keeper("let-go"))

        async def act() -> None:
            await until(lambda: start.files == 2)
            for _ in range(2):
                keeper = start.keeper("evicted")
                keeper.begin()
                for event in keeper.failed(Denied("no"), start.clock.now(), start.clock.now()):
                    start.kept.listen(event)
                start.clock.pass_time(31)
            start.rounds.adopt(lambda keeper: None if keeper.rendered.label == "let-go" else keeper.rendered)
            await until(lambda: start.files == 0)

        start.live(act)

    def test_what_lives_as_long_as_somebody_else_lets_it_is_not_kept(self, tmp_path: Path):
        """It is read anew without upstream, and may have changed meanwhile."""
        secrets = (("TOKEN", Reference(env="TOKEN")),)
        static = Credential(name="mine", source="private-env", spec=PrivateEnv(secrets=dict(secrets)))
        start = Start(tmp_path, static, a_role())
        start.minted(start.keeper("mine"))
        start.minted(start.keeper())
        start.live_shortly()

        assert start.files == 1

    def test_what_has_expired_is_removed(self, tmp_path: Path):
        """There is nothing left of it to keep."""
        start = Start(tmp_path)
        start.minted(start.keeper())

        async def act() -> None:
            await until(lambda: start.files == 1)
            start.clock.pass_time(3600)
            start.kept.listen(Reloaded("x"))
            await until(lambda: start.files == 0)

        start.live(act)
