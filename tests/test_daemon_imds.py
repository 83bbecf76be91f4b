"""`imds = true` in the daemon: on with the kernel's word, off without it, and no matter of a reload."""

import asyncio
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
import uvloop

from broker import vetting
from broker.callers.peer import Attestor
from broker.daemon import Daemon, Start
from broker.errors import ConfigError

T = TypeVar("T")

CONFIG = """
[daemon]
listen = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
imds = {imds}

[callers.nobody]
worker_token = true
grants = []
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with IMDS on."""
    tmp_path.chmod(0o700)
    return written(tmp_path / "config.toml", imds="true")


@pytest.fixture
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where the kernel's word is not to be had."""
    monkeypatch.setattr(Attestor, "start", lambda _: "a user namespace, most likely")


def written(path: Path, imds: str) -> Path:
    """The same, or another, in its place."""
    path.write_text(CONFIG.format(imds=imds))
    path.chmod(0o600)
    return path


def running(path: Path, main: Callable[[Daemon], Awaitable[T]]) -> T:
    """`main(daemon)` while it listens."""

    async def run() -> T:
        config, snapshot = vetting.load(path)
        start = Start(
            config=config,
            snapshot=snapshot,
            identity={},
            runtime_dir=str(path.parent),
            config_path=path,
            audited=False,
        )
        async with Daemon(start) as daemon:
            return await main(daemon)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


def put(daemon: Daemon) -> int:
    """The status of a client's first request."""
    url = f"http://{daemon.facts.listen[0]}/latest/api/token"
    request = urllib.request.Request(url, method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


class TestImds:
    def test_it_is_on_where_it_is_configured(self, config: Path):
        """Our own uid is no caller here: it is known to the kernel, and to no entry."""

        async def main(daemon: Daemon) -> tuple[str, int]:
            return daemon.facts.imds, await asyncio.to_thread(put, daemon)

        assert running(config, main) == ("on", 401)

    def test_it_is_off_unless_it_is_configured(self, config: Path):
        """Its clients hear 404 and look elsewhere."""

        async def main(daemon: Daemon) -> tuple[str, int]:
            return daemon.facts.imds, await asyncio.to_thread(put, daemon)

        assert running(written(config, imds="false"), main) == ("off", 404)

    @pytest.mark.usefixtures("no_kernel")
    def test_without_attestation_it_stays_off_and_says_why(self, config: Path):
        """It would know nobody, or take anybody's word."""

        async def main(daemon: Daemon) -> tuple[str, int]:
            return daemon.facts.imds, await asyncio.to_thread(put, daemon)

        why, status = running(config, main)

        assert "attestation is off" in why
        assert status == 404

    @pytest.mark.parametrize(("imds", "then"), [("true", "false"), ("false", "true")])
    def test_a_change_of_it_needs_a_restart(self, config: Path, imds: str, then: str):
        """It is refused whole, with the key's name."""

        async def main(daemon: Daemon) -> str:
            written(config, imds=then)
            with pytest.raises(ConfigError) as refused:
                await daemon.reload()
            return refused.value.advice

        assert running(written(config, imds=imds), main).endswith("[daemon] imds: a change here needs a restart")
