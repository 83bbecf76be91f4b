"""A running daemon whose callers are pods, beside a strict API server and a strict STS; its boot clock can be moved."""

import contextlib
import http.client
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.clients.stage import Cloud, Daemon, free_address
from tests.fakes.cluster import Running
from tests.fakes.kubernetes import FakeKubernetes
from tests.jwts import AUDIENCE

_CONFIG = """\
[daemon]
listen = [{listen}]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"
audit_file = "{folder}/audit.jsonl"
log_level = "debug"

{cluster}
[credentials.train]
source = "aws-assume-role"
role_arn = "{role}"
region = "eu-west-1"
endpoint_url = "{sts}"
{more}
[callers.trainer]
kubernetes = {{ namespace = "ml", service_account = "trainer", audience = "credbroker" }}
grants = [{grants}]
"""
_GOOGLE = """
[credentials.data]
source = "gcp-adc"
file = "{key_file}"
scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
"""


class Reply(msgspec.Struct, frozen=True):
    """What the worker plane answered, and after how many seconds."""

    status: int
    body: bytes
    took: float

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class PodStage:
    """The daemon, its cluster, the clouds, and one pod that is its caller."""

    def __init__(self, api: FakeKubernetes, folder: Path, address: str, aws: Cloud) -> None:
        self.api = api
        self.folder = folder
        self.address = address
        self.aws = aws
        self.pod: Running = api.cluster.run("ml", "trainer")
        self._ahead = 0.0

    def token(self, **claims: Any) -> str:
        """A projected token of the pod."""
        return self.api.cluster.token(self.pod, AUDIENCE, **claims)

    def pass_time(self, seconds: float) -> None:
        """For the daemon alone; its ticks come once a second, so it has looked around when this returns."""
        self._ahead += seconds
        _replace(self.folder / "ahead", str(self._ahead))
        time.sleep(2.1)

    def ask(self, token: str | None, path: str = "/aws", method: str = "GET") -> Reply:
        """One request, on a connection of its own."""
        fields = {"Authorization": token} if token is not None else {"Metadata-Flavor": "Google"}
        connection = http.client.HTTPConnection(self.address, timeout=5)
        began = time.monotonic()
        with contextlib.closing(connection):
            connection.request(method, path, headers=fields)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), time.monotonic() - began)

    def ask_on(self, token: str | None, path: str = "/aws", method: str = "GET", patience: float = 15.0) -> Reply:
        """As SDKs ask: again while it says 503."""
        ends = time.monotonic() + patience
        while (reply := self.ask(token, path, method)).status == 503 and time.monotonic() < ends:
            time.sleep(0.2)
        return reply

    def audit(self) -> list[dict[str, Any]]:
        """The audit's lines so far."""
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]

    def everything_written(self) -> str:
        """Log and audit."""
        return (self.folder / "daemon.log").read_text() + (self.folder / "audit.jsonl").read_text()


@contextlib.contextmanager
def staged(folder: Path, google: Cloud | None = None, listen: tuple[str, ...] = ()) -> Iterator[PodStage]:
    """A daemon that is ready, on a free port of loopback unless told; with a fake Google, that is granted too."""
    folder.chmod(0o700)
    with Cloud("tests.fakes.aws_cloud") as aws, FakeKubernetes(folder) as api:
        key_id, secret = aws.facts["user"]
        addresses, admin, config = listen or (free_address(),), free_address(), folder / "config.toml"
        config.write_text(
            _CONFIG.format(
                listen=", ".join(f'"{address}"' for address in addresses),
                admin=admin,
                folder=folder,
                cluster=api.settings(),
                role=aws.facts["roles"][0],
                sts=aws.facts["sts"],
                more=_GOOGLE.format(**google.facts) if google else "",
                grants='"train", "data"' if google else '"train"',
            )
        )
        config.chmod(0o600)
        _replace(folder / "ahead", "0")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        program = (sys.executable, "-P", str(Path(__file__).with_name("moved_clock.py")), str(folder / "ahead"))
        with Daemon(config, admin, environment, program):
            stage = PodStage(api, folder, addresses[0], aws)
            _wait_for_keys(stage)
            yield stage


def _wait_for_keys(stage: PodStage) -> None:
    """The daemon has them a second after its start: an outage before that is another test's."""
    ends = time.monotonic() + 10
    while not stage.api.calls["jwks"]:
        assert time.monotonic() < ends, "the daemon never asked for the cluster's keys"
        time.sleep(0.05)
    time.sleep(0.2)


def _replace(file: Path, text: str) -> None:
    """At once: the daemon reads it all the time."""
    aside = file.with_suffix(".new")
    aside.write_text(text)
    aside.rename(file)
