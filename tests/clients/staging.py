"""Setting the stage: two fake clouds, a configuration between them, a daemon that is ready."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.clients.stage import Cloud, Daemon, Stage, bare, clients_python, free_address

REGION = "eu-west-1"
_CONFIG = """
[daemon]
listen = ["127.0.0.1:0"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"
imds = true

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
        with Daemon(config, admin, identity) as daemon:
            yield Stage(aws, google, daemon, folder)
