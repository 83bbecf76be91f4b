"""The minters of one daemon."""

import asyncio
from pathlib import Path

import pytest

from broker.minter.client import Launch, Service
from broker.upstream import Upstream
from tests.daemons import Pool, a_start, on_uvloop


@pytest.fixture(autouse=True)
def made_up_minters(monkeypatch: pytest.MonkeyPatch) -> None:
    """That mint; those that review are started by nobody here."""
    monkeypatch.setattr("broker.upstream.Pool", Pool)


class TestUpstream:
    def test_minters_are_started_with_what_is_in_force(self, tmp_path: Path):
        """The configuration as the daemon read it, again after each reload, and the identity."""
        start = a_start(tmp_path, identity={"AWS_PROFILE": "mine"})
        upstream = Upstream(start.identity, (), lambda: start.config, start.snapshot, lambda _: None)
        pool = upstream.pool
        assert isinstance(pool, Pool)

        upstream.relaunch(start.snapshot)

        first, second = pool.launches
        assert isinstance(first, Launch)
        assert first == second
        assert first.environment["AWS_PROFILE"] == "mine"

    def test_with_a_minter_service_nothing_is_started(self, tmp_path: Path):
        """It has its own configuration and identity."""
        plan = {"daemon": f'minter_socket = "{tmp_path}/minter.sock"'}
        start = a_start(tmp_path, plan)
        upstream = Upstream(start.identity, (), lambda: start.config, start.snapshot, lambda _: None)
        pool = upstream.pool
        assert isinstance(pool, Pool)

        assert pool.launches == [Service(f"{tmp_path}/minter.sock")]

    def test_all_end_together(self, tmp_path: Path):
        """Minters and reviewers."""
        start = a_start(tmp_path)

        async def main() -> tuple[tuple[int, ...], bool]:
            upstream = Upstream(start.identity, (), lambda: start.config, start.snapshot, lambda _: None)
            await upstream.close()
            await asyncio.sleep(0)
            assert isinstance(upstream.pool, Pool)
            return upstream.pids, upstream.pool.closed

        assert on_uvloop(main) == ((4711,), True)
