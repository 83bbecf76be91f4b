"""Variables that a configuration refers to: out of the daemon's own environment, into its minters'."""

import os
from pathlib import Path

import pytest

from broker.minter.client import Launch
from tests.daemons import PLAN, Pool, a_start, on_uvloop, running, the_pool, written

ONE = """source = "private-env"
secrets = { A = { env = "TEAM_SECRET" } }
warm = "first-use"
"""
TWO = ONE.replace("A =", 'B = { env = "LATER_SECRET" }, A =')


class TestReferences:
    def test_they_go_to_minters_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """What a reload refers to anew goes there too, and what it no longer does stays gone."""
        monkeypatch.setattr("broker.upstream.Pool", Pool)
        monkeypatch.setenv("TEAM_SECRET", "t")
        monkeypatch.setenv("LATER_SECRET", "l")
        monkeypatch.setenv("OTHER", "o")

        async def run() -> list[set[str]]:
            async with running(a_start(tmp_path, {**PLAN, "credentials.w": ONE})) as daemon:
                seen = [set(os.environ)]
                written(tmp_path, {**PLAN, "credentials.w": TWO})
                await daemon.reload()
                launches = [launch for launch in the_pool(daemon).launches if isinstance(launch, Launch)]
                return [*seen, set(os.environ), *(set(launch.environment) for launch in launches)]

        before, after, first, second = on_uvloop(run)

        assert {"TEAM_SECRET", "LATER_SECRET", "OTHER"} & before == {"LATER_SECRET", "OTHER"}
        assert {"TEAM_SECRET", "LATER_SECRET", "OTHER"} & after == {"OTHER"}
        assert {"TEAM_SECRET", "LATER_SECRET", "OTHER"} & first == {"TEAM_SECRET"}
        assert {"TEAM_SECRET", "LATER_SECRET", "OTHER"} & second == {"TEAM_SECRET", "LATER_SECRET"}
