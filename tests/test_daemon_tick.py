"""Once a second: deadlines, tokens that end, how late the loop is, and what systemd is told."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import control_api as api
from broker.errors import Unreachable
from broker.events import Event, TokenRevoked, UpstreamAsked
from broker.server.clerk import Clerk
from broker.server.connection import HEAD_DEADLINE
from tests.daemons import PLAN, Pool, a_start, control, in_thread, on_uvloop, ready, running, the_pool

AUDITED = {**PLAN, "daemon": PLAN["daemon"] + 'audit_file = "{folder}/audit"\n'}


@pytest.fixture(autouse=True)
def quick_and_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started in this file, and a second is short."""
    monkeypatch.setattr("broker.upstream.Pool", Pool)
    monkeypatch.setattr("broker.daemon.TICK", 0.01)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Everything that is noted."""
    found: list[Event] = []
    monkeypatch.setattr("broker.daemon.logs.listen", found.append)
    return found


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where the daemon believes systemd to be."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(path := str(tmp_path / "notify"))
        end.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield end


async def told(systemd: socket.socket, word: str) -> list[str]:
    """All that is told until that word comes."""
    said = [""]
    while word not in said[-1]:
        said.append((await in_thread(lambda: systemd.recv(4096))).decode())
    return said[1:]


class TestDeadlines:
    def test_a_silent_connection_is_closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The sweep is run."""
        monkeypatch.setattr("broker.server.connection.HEAD_DEADLINE", HEAD_DEADLINE / 500)

        async def main() -> bytes:
            async with running(a_start(tmp_path)) as daemon:

                def connect() -> bytes:
                    with socket.create_connection(("127.0.0.1", daemon.facts.port), timeout=5) as end:
                        return end.recv(1)

                return await in_thread(connect)

        assert on_uvloop(main) == b""

    def test_a_token_ends_at_its_time(self, tmp_path: Path, noted: list[Event]):
        """Which is noted."""

        async def main() -> int:
            async with running(a_start(tmp_path)) as daemon:
                order = api.TokenOrder(caller="trainer", ttl=0.02)
                await control(daemon, lambda client: client.post("/tokens", order, api.Token))
                while not any(isinstance(event, TokenRevoked) for event in noted):  # noqa: ASYNC110 - the tick brings it
                    await asyncio.sleep(0.005)
                return len(await control(daemon, lambda client: client.get("/tokens", list[api.Token])))

        assert on_uvloop(main) == 0
        assert [event.why for event in noted if isinstance(event, TokenRevoked)] == ["expired"]


class TestLimits:
    def test_who_refreshes_too_often_is_told_of(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The clerk hears that time goes by."""
        ticks: list[Clerk] = []
        monkeypatch.setattr(Clerk, "tick", lambda clerk: ticks.append(clerk))  # noqa: PLW0108 - `append` binds no self

        async def main() -> bool:
            async with running(a_start(tmp_path)) as daemon:
                while not ticks:  # noqa: ASYNC110 - a hundredth of a second
                    await asyncio.sleep(0.005)
                return ticks[0] is daemon._clerk

        assert on_uvloop(main)


class TestLag:
    def test_a_loop_that_is_held_up_shows_it(self, tmp_path: Path):
        """How late the last tick was, in seconds."""

        async def main() -> float:
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                await asyncio.sleep(0.02)
                time.sleep(0.06)  # noqa: ASYNC251 - this is what it is about
                lags = []
                for _ in range(5):
                    await asyncio.sleep(0.001)
                    lags.append(daemon.metrics.lags[-1])
                return max(lags)

        assert on_uvloop(main) > 0.03

    def test_what_a_listener_failed_on_is_counted_where_it_is_seen(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """No listener hurts another, so nothing else would tell of it."""

        def broken(_: Event) -> None:
            raise RuntimeError("a bug of ours")

        async def main() -> bool:
            monkeypatch.setattr("broker.daemon.logs.listen", broken)
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                while not daemon.metrics.events_lost:  # noqa: ASYNC110 - a tick brings it about
                    await asyncio.sleep(0.005)
                return b"credbroker_events_lost_total" in daemon.metrics.scrape(())

        assert on_uvloop(main)


class TestSystemd:
    def test_it_is_ready_once_all_that_is_required_is_held(self, tmp_path: Path, systemd: socket.socket):
        """Until then it asks for time, as long as it takes; from then on it gives signs of life."""

        async def main() -> tuple[list[str], list[str], list[str]]:
            async with running(a_start(tmp_path)) as daemon:
                the_pool(daemon).gate.clear()
                before = await told(systemd, "EXTEND_TIMEOUT_USEC")
                the_pool(daemon).gate.set()
                meanwhile = await told(systemd, "READY=1")
                after = await told(systemd, "WATCHDOG=1")
            return before, meanwhile, after + await told(systemd, "STOPPING=1")

        before, meanwhile, after = on_uvloop(main)

        waiting = "1 required credential without a lease: see `credbroker status`"
        assert before[-1] == f"EXTEND_TIMEOUT_USEC=30000000\nSTATUS={waiting}"
        assert set(meanwhile[:-1]) <= {before[-1], "WATCHDOG=1"}
        assert meanwhile[-1] == "READY=1\nSTATUS=serving"
        assert (set(after[:-1]), after[-1]) == ({"WATCHDOG=1"}, "STOPPING=1\nSTATUS=answering what is in flight")

    def test_it_is_told_at_once(self, tmp_path: Path, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch):
        """Units that wait for this one lose no second to a tick."""
        monkeypatch.setattr("broker.daemon.TICK", 3600.0)

        async def main() -> list[str]:
            async with running(a_start(tmp_path)) as daemon:
                said = await told(systemd, "READY=1")
                assert not daemon._clerk.missing()
                return said

        assert on_uvloop(main)[-1] == "READY=1\nSTATUS=serving"

    def test_a_lease_that_cannot_be_refreshed_stands_in_the_status(self, tmp_path: Path, systemd: socket.socket):
        """`systemctl status` shows it, until it has healed."""

        async def main() -> list[str]:
            async with running(a_start(tmp_path)) as daemon:
                said = await told(systemd, "READY=1")
                the_pool(daemon).trouble = Unreachable("upstream is down")
                daemon.rounds.start(daemon.rounds.keepers[0])
                said = await told(systemd, "refreshed")
                the_pool(daemon).trouble = None
                daemon.rounds.start(daemon.rounds.keepers[0])
                return said + await told(systemd, "STATUS=serving")

        said = [one for one in on_uvloop(main) if one != "WATCHDOG=1"]

        trouble = "STATUS=serving; 1 credential cannot be refreshed at present: see `credbroker status`"
        assert said == [trouble, "STATUS=serving"]

    @pytest.mark.parametrize("broken", [False, True])
    def test_a_reload_begins_and_ends(self, tmp_path: Path, systemd: socket.socket, broken: bool):
        """Also where it is refused: the daemon is as ready as before."""
        start = a_start(tmp_path)

        async def main() -> list[str]:
            async with running(start) as daemon:
                await told(systemd, "READY=1")
                if broken:
                    await in_thread(lambda: (tmp_path / "config.toml").write_text("nonsense"))
                try:
                    await control(daemon, lambda client: client.post("/reload", {}, dict[str, str]))
                except Exception:  # noqa: BLE001 - looked at elsewhere
                    assert broken
                return await told(systemd, "READY=1")

        began = time.monotonic_ns()
        begun, *ended = [one for one in on_uvloop(main) if one != "WATCHDOG=1"]

        assert ended == ["READY=1"]
        assert begun.startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert began <= int(begun.partition("USEC=")[2]) * 1000 <= time.monotonic_ns()

    def test_one_that_is_not_ready_does_not_become_so_by_a_reload(self, tmp_path: Path, systemd: socket.socket):
        """READY=1 is for leases that are there."""

        async def main() -> list[str]:
            async with running(a_start(tmp_path)) as daemon:
                the_pool(daemon).gate.clear()
                await told(systemd, "EXTEND")
                await daemon.reload()
                said = await told(systemd, "EXTEND")
                the_pool(daemon).gate.set()
                return said

        assert not [one for one in on_uvloop(main) if "READY" in one or "RELOADING" in one]


class TestUpstream:
    def test_every_mint_is_counted_by_its_source_and_how_it_ended(self, tmp_path: Path, noted: list[Event]):
        """With our code; upstream's words go nowhere."""

        async def main() -> bytes:
            async with running(a_start(tmp_path)) as daemon:
                the_pool(daemon).trouble = Unreachable("upstream is down")
                while not noted:  # noqa: ASYNC110 - a task does it
                    await asyncio.sleep(0.001)
                the_pool(daemon).trouble = None
                await control(daemon, lambda client: client.refresh("train", api.RefreshOrder()))
                return daemon._clerk.scrape()

        text = on_uvloop(main).decode()

        asked = [event for event in noted if isinstance(event, UpstreamAsked)]
        assert asked == [UpstreamAsked("aws-assume-role", "Unreachable"), UpstreamAsked("aws-assume-role", "ok")]
        assert 'credbroker_upstream_calls_total{code="ok",source="aws-assume-role"} 1.0' in text


class TestAudit:
    def test_it_goes_to_its_file_which_only_the_owner_reads(self, tmp_path: Path):
        """Who received what, without what."""
        start = a_start(tmp_path, AUDITED)

        async def main() -> None:
            async with running(start) as daemon:
                await ready(daemon)
                await control(daemon, lambda client: client.lease("train"))

        on_uvloop(main)
        file = tmp_path / "audit"

        assert file.stat().st_mode & 0o777 == 0o600
        assert b'"event":"LeaseHanded"' in file.read_bytes()
        assert b"secret train" not in file.read_bytes()

    def test_the_broker_of_one_exec_writes_none(self, tmp_path: Path):
        """Its user is the only one there is."""
        start = a_start(tmp_path, AUDITED, audited=False)

        async def main() -> None:
            async with running(start) as daemon:
                await ready(daemon)

        on_uvloop(main)

        assert not (tmp_path / "audit").exists()
