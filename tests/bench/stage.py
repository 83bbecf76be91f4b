"""What the bench measures: a daemon between a slow strict STS and the strict fake Google, each its own process."""

import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from tests.clients.stage import CREDBROKER, READY_PATIENCE, Cloud, Daemon, free_address

CALLER = "bench"
_CONFIG = """\
[daemon]
listen = ["{listen}"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"
{settings}
[daemon.limits]
requests_per_second = 1000000
requests_burst = 10000000
{credentials}
[callers.bench]
uid = {uid}
allow_root = true
grants = [{grants}]
"""
AWS = """
[credentials.train]
source = "aws-assume-role"
role_arn = "{role}"
region = "eu-west-1"
endpoint_url = "{sts}"
"""
COLD = """
[credentials.cold]
source = "aws-assume-role"
role_arn = "{role}"
session_name = "cold"
region = "eu-west-1"
endpoint_url = "{sts}"
warm = "first-use"
"""
GOOGLE = """
[credentials.data]
source = "gcp-adc"
file = "{key_file}"
scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
"""


class Clouds:
    """Both clouds, and what the daemon must know of them."""

    def __init__(self, aws: Cloud, google: Cloud) -> None:
        self.aws = aws
        self.facts = {**google.facts, **aws.facts}
        key_id, secret = aws.facts["user"]
        self.identity = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}

    def latency(self, seconds: float) -> None:
        """How long STS thinks from now on."""
        self.aws.ask("latency", str(seconds))

    def calls(self) -> int:
        """How many calls STS has had."""
        return int(self.aws.ask("calls")["calls"])


def slow_sts() -> Cloud:
    """The strict STS, which is quick until it is told otherwise."""
    return Cloud("tests.bench.slow_sts")


class Broker(Daemon):
    """A daemon with some of the credentials above, ready when this is entered; `took` says after how long.

    `before` is called with the configuration before the daemon is started.
    """

    def __init__(
        self,
        folder: Path,
        clouds: Clouds,
        credentials: Mapping[str, str],
        settings: str = "",
        before: Callable[[Path], None] = lambda _: None,
    ) -> None:
        self.folder = folder
        self.address, self.admin = free_address(), free_address()
        config = folder / "config.toml"
        config.write_text(
            _CONFIG.format(
                listen=self.address,
                admin=self.admin,
                folder=folder,
                settings=settings,
                credentials="".join(text.format(**clouds.facts) for text in credentials.values()),
                uid=os.getuid(),
                grants=", ".join(f'"{name}"' for name in credentials),
            )
        )
        config.chmod(0o600)
        before(config)
        self.took = 0.0
        self._began = time.monotonic()
        super().__init__(config, self.admin, {**_bare(folder), **clouds.identity})

    @property
    def pid(self) -> int:
        """Of the daemon itself."""
        return self._process.pid

    def __enter__(self) -> Self:
        while not self.ready() and self._process.poll() is None and time.monotonic() < self._began + READY_PATIENCE:
            time.sleep(0.01)
        self.took = time.monotonic() - self._began
        super().__enter__()  # says what is wrong, if anything is
        return self

    def token(self, purpose: str) -> str:
        """A new worker token, by the command line."""
        command = [*CREDBROKER, "token", "issue", "--caller", CALLER, "--for", purpose]
        environment = {**_bare(self.folder), "CREDBROKER_SOCKET": str(self.folder / "broker.sock")}
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def get(self, path: str, fields: Mapping[str, str]) -> bytes:
        """The body of one reply, which must be a 200."""
        asked = urllib.request.Request(f"http://{self.address}{path}", headers=dict(fields))
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return bytes(answer.read())

    def mint_seconds(self) -> float:
        """How long all mints together have taken, minters' own start included."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=5) as answer:
            rows = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
        return float(rows["credbroker_mint_duration_seconds_sum"])


def _bare(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
