"""A daemon without a configuration serves what there is an identity for."""

import os
from pathlib import Path

import pytest

from broker.config import zero
from broker.config.shape import Snapshot
from broker.daemon import Daemon, Start
from broker.errors import BrokerError
from tests.daemons import Pool, narrowly, on_uvloop, the_pool


@pytest.fixture(autouse=True)
def made_up_minters(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started in this file."""
    monkeypatch.setattr("broker.upstream.Pool", Pool)


class TestZero:
    def test_it_serves_what_there_is_an_identity_for(self, tmp_path: Path):
        """The other cloud is left to whatever the workers have besides."""

        async def main() -> tuple[bool, list[str], list[str]]:
            async with Daemon(_zero(tmp_path)) as daemon:
                the_pool(daemon).found = {"aws": "a profile"}
                found = await daemon.narrow()
                return found, narrowly(daemon.config), narrowly(daemon.desk.book.config)

        assert on_uvloop(main) == (True, ["aws"], ["aws"])

    def test_without_any_identity_it_says_so(self, tmp_path: Path):
        """Its caller tells people how to log in."""

        async def main() -> bool:
            async with Daemon(_zero(tmp_path)) as daemon:
                return await daemon.narrow()

        assert not on_uvloop(main)

    def test_there_is_no_file_to_read_again(self, tmp_path: Path):
        """SIGHUP does it no harm."""

        async def main() -> None:
            async with Daemon(_zero(tmp_path)) as daemon:
                with pytest.raises(BrokerError, match="there is no file to read again"):
                    await daemon.reload()

        on_uvloop(main)


def _zero(folder: Path) -> Start:
    folder.chmod(0o700)
    config = zero.configuration(str(folder), os.geteuid())
    return Start(
        config=config, snapshot=Snapshot(zero=(str(folder), os.geteuid())), identity={}, runtime_dir=str(folder)
    )
