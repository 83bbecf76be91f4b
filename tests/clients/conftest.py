"""The stages that the clients play on: one with leases of an hour, one with leases that are replaced while one looks."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.stage import Cloud, Daemon, Stage, bare, clients_python, free_address

REGION = "eu-west-1"
_CONFIG = """
[daemon]
listen = ["127.0.0.1:0"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"

[credentials.train]
source = "aws-assume-role"
role_arn = "{role}"
duration = "15m"
region = "{region}"
endpoint_url = "{sts}"

[credentials.data]
source = "gcp-adc"
file = "{key_file}"
scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]

[callers.trainer]
uid = {uid}
allow_root = true
grants = ["train", "data"]
"""


@contextlib.contextmanager
def staged(folder: Path, lifetime: int) -> Iterator[Stage]:
    """Two fake clouds whose leases live `lifetime` seconds, and a daemon between them and whoever asks."""
    clients_python()
    folder.chmod(0o700)
    aws = Cloud("tests.fakes.aws_cloud", "--lifetime", str(lifetime))
    google = Cloud("tests.fakes.google_cloud", "--lifetime", str(lifetime), "--folder", str(folder))
    with aws, google:
        key_id, secret = aws.facts["user"]
        admin, config = free_address(), folder / "config.toml"
        config.write_text(
            _CONFIG.format(
                admin=admin,
                folder=folder,
                role=aws.facts["roles"][0],
                sts=aws.facts["sts"],
                key_file=google.facts["key_file"],
                uid=os.getuid(),
                region=REGION,
            )
        )
        config.chmod(0o600)
        identity = bare(folder, AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret)
        with Daemon(config, admin, identity):
            yield Stage(aws, google, folder / "broker.sock")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Leases of an hour."""
    with staged(tmp_path_factory.mktemp("stage"), 3600) as found:
        yield found


@pytest.fixture
def moving_stage(tmp_path: Path) -> Iterator[Stage]:
    """Leases of 72 s, which are replaced after about 36; and upstream may be stopped in it."""
    with staged(tmp_path, 72) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
