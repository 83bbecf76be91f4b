"""A daemon whose minters are a service of their own: what it sends there, and how it lives without an answer."""

from pathlib import Path

import pytest

from broker.errors import MintError
from broker.events import MinterLost
from broker.minter.client import Pool as RealPool
from broker.minter.client import Service
from broker.minter.frames import Call
from broker.model import Ask, CallerFacts
from tests.daemons import PLAN, Pool, a_start, on_uvloop, ready, running, the_pool

ELSEWHERE = {**PLAN, "daemon": PLAN["daemon"] + 'minter_socket = "{folder}/minter.sock"\n'}


class TestMinterSocket:
    def test_nothing_of_the_configuration_or_the_identity_goes_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """Its processes have their own: a daemon that was taken over can give them no other."""
        monkeypatch.setattr("broker.upstream.Pool", Pool)

        async def run() -> tuple[list[object], str | None]:
            start = a_start(tmp_path, ELSEWHERE, identity={"AWS_PROFILE": "prod"})
            async with running(start) as daemon:
                await ready(daemon)
                await daemon.reload()
                return list(the_pool(daemon).launches), daemon.config.daemon.minter_socket

        launches, path = on_uvloop(run)

        assert path == str(tmp_path / "minter.sock")
        assert launches == [Service(path)] * 2
        assert launches[0] is not launches[1]  # so connections that rest end with a reload

    def test_where_nobody_answers_it_says_where_to_look(self, tmp_path: Path):
        """No minter process of its own is a stopgap: it could read nothing."""

        async def run() -> tuple[MintError, list[MinterLost]]:
            noted: list[MinterLost] = []
            pool = RealPool(Service(str(tmp_path / "minter.sock")), noted.append)  # type: ignore[arg-type]  # no other event
            ask = Ask(credential="train", facts=CallerFacts(caller="trainer"), generation="0" * 64)
            with pytest.raises(MintError) as caught:
                await pool.call(Call(do="mint", ask=ask))
            assert pool.pids == ()
            return caught.value, noted

        error, noted = on_uvloop(run)

        assert (error.code, noted) == ("MinterLost", [])
        assert error.advice.endswith("No such file or directory; see `systemctl status credbroker-minter.socket`")
