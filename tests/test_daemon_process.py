"""The program as it is run: real minters at the strict STS, signals, a second daemon; and what it never loads."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import pytest

from broker import control_api as api
from broker.control_client import Client
from broker.errors import BrokerError
from tests.daemons import PLAN, ROLE, written
from tests.fakes.sts import FakeSts
from tests.house import TREE

PATIENCE = 30.0
SDKS = {"boto3", "botocore", "google", "grpc", "requests", "urllib3"}
ALICE = {"AWS_ACCESS_KEY_ID": "AKIAFAKEALICE0000001", "AWS_SECRET_ACCESS_KEY": "alice/secret+key"}

# What embeds a daemon, as `exec` and other people's programs may: serves, reloads, is scraped, and looks at itself.
_EMBEDDED = """
import asyncio, json, sys, uvloop
from pathlib import Path
from tests.daemons import a_start, ask, ready, running

async def main(folder, identity, plan):
    async with running(a_start(Path(folder), plan, identity=identity)) as daemon:
        await ready(daemon)
        status, lease = await ask(daemon, "/aws/train")
        await daemon.reload()
        daemon._clerk.scrape()
        return status, lease["AccountId"], sorted({name.split(".")[0] for name in sys.modules})

print(json.dumps(uvloop.run(main(*json.loads(sys.stdin.read())))))
"""


def environment(folder: Path) -> dict[str, str]:
    """Nothing of who runs the tests but how to find programs; and alice's keys."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **ALICE}


def plan(sts: FakeSts, *more: str) -> dict[str, str]:
    """Credentials by these names besides `train`, all of one role of the strict STS."""
    names = ("train", *more)
    credentials = {f"credentials.{name}": f'{ROLE.replace("job", name)}endpoint_url = "{sts.url}"\n' for name in names}
    granted = ", ".join(f'"{name}"' for name in names)
    return {**PLAN, **credentials, "callers.trainer": PLAN["callers.trainer"].replace('"train"', granted)}


class Serving:
    """`credbroker serve` in a folder. Its words go to a file there."""

    def __init__(self, folder: Path, tables: Mapping[str, str]) -> None:
        self.folder = folder
        self.client = Client(str(folder / "broker.sock"), PATIENCE)
        self.config = written(folder, tables)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "broker.cli", "serve", "--config", str(self.config)],
                cwd=TREE,
                env=environment(folder),
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "log").read_text()

    def status(self) -> api.Status:
        """By the control socket."""
        return self.client.get("/status", api.Status)

    def until(self, words: str) -> None:
        """Until its log says so."""
        self._wait(lambda: words in self.log)

    def _wait(self, true: Callable[[], bool]) -> None:
        ends = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < ends, self.log
            assert self.process.poll() is None, self.log
            time.sleep(0.01)

    def __enter__(self) -> Self:
        self._wait(self._ready)
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.kill()

    def _ready(self) -> bool:
        try:
            return self.status().ready and bool(self.status().leases)
        except BrokerError:
            return False


@pytest.fixture(scope="module")
def sts() -> Iterator[FakeSts]:
    """The strict STS."""
    with FakeSts() as fake:
        yield fake


@pytest.fixture(scope="module")
def serving(sts: FakeSts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One daemon for the tests that leave it as it was."""
    with Serving(tmp_path_factory.mktemp("serving"), plan(sts)) as daemon:
        yield daemon


class TestServe:
    def test_a_worker_gets_what_upstream_minted(self, serving: Serving, sts: FakeSts):
        """Through a minter's own process, by the kernel's word on who asks."""
        request = urllib.request.Request(
            f"http://{serving.status().listen[0]}/aws", headers={"Authorization": "attested"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            keys = json.load(answer)

        found = sts.registry.find(keys["AccessKeyId"])
        assert found is not None
        assert (found.secret, found.session_token) == (keys["SecretAccessKey"], keys["Token"])
        assert keys["AccountId"] == sts.world.account

    def test_sighup_keeps_warm_leases_and_brings_new_ones(self, serving: Serving, sts: FakeSts):
        """Upstream is asked for what is new alone."""
        before = {row.credential: row.serial for row in serving.status().leases}
        calls = sts.count("AssumeRole")
        generation = serving.status().generation
        written(serving.folder, plan(sts, "next"))
        serving.process.send_signal(signal.SIGHUP)
        while serving.status().generation == generation or not serving.status().ready:
            time.sleep(0.01)

        after = {row.credential: row.serial for row in serving.status().leases}
        assert after == before | {"next": 1}
        assert sts.count("AssumeRole") == calls + 1

    def test_sighup_with_a_broken_file_is_told_and_changes_nothing(self, serving: Serving):
        """Each mistake with its place; the daemon goes on."""
        before = serving.status()
        whole = serving.config.read_text()
        serving.config.write_text(f"{whole}\n[credentials.odd]\nsource = 1\n")
        serving.process.send_signal(signal.SIGHUP)
        serving.until("reload refused")
        serving.config.write_text(whole)

        after = serving.status()
        assert "credentials.odd" in serving.log
        assert (after.generation, [row.serial for row in after.leases]) == (
            before.generation,
            [row.serial for row in before.leases],
        )

    @pytest.mark.parametrize("place", ["the same socket", "the same port"])
    def test_a_second_daemon_exits_plainly(self, serving: Serving, sts: FakeSts, tmp_path: Path, place: str):
        """With a sentence and status 1; the first one has noticed nothing."""
        tables = plan(sts)
        if place == "the same socket":
            tables["daemon"] = tables["daemon"].replace("{folder}", str(serving.folder))
        else:
            tables["daemon"] = tables["daemon"].replace("127.0.0.1:0", serving.status().listen[0], 1)
        second = subprocess.run(
            [sys.executable, "-P", "-m", "broker.cli", "serve", "--config", str(written(tmp_path, tables))],
            cwd=TREE,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

        assert second.returncode == 1
        assert "another credbroker or program" in second.stderr
        assert "Traceback" not in second.stderr
        assert serving.status().ready


class TestSigterm:
    def test_it_drains_and_ends_well(self, sts: FakeSts, tmp_path: Path):
        """Status 0, no socket, no minter left behind."""
        with Serving(tmp_path, plan(sts)) as serving:
            minters = serving.status().minters
            serving.process.send_signal(signal.SIGTERM)

            assert serving.process.wait(5) == 0
        assert minters
        assert not [pid for pid in minters if Path(f"/proc/{pid}/cmdline").exists()]
        assert not (tmp_path / "broker.sock").exists()
        assert "Traceback" not in serving.log


class TestEmbedded:
    def test_it_serves_reloads_and_is_scraped_without_any_sdk(self, sts: FakeSts, tmp_path: Path):
        """Whatever the SDKs bring, in memory and in reach, stays in the minters."""
        run = subprocess.run(
            [sys.executable, "-c", _EMBEDDED],
            cwd=TREE,
            env=environment(tmp_path),
            input=json.dumps([str(tmp_path), ALICE, plan(sts)]),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        status, account, modules = json.loads(run.stdout.splitlines()[-1])

        assert (status, account) == (200, sts.world.account)
        assert "aiohttp" in modules
        assert SDKS.isdisjoint(modules)
