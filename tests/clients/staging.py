"""Setting the stage: two fake clouds, a configuration between them, a daemon that is ready."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.clients.configured import configured
from tests.clients.stage import Cloud, Daemon, Stage, bare, clients_python

REGION = "eu-west-1"
_CREDENTIALS = """
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
"""


@contextlib.contextmanager
def staged(folder: Path, lifetime: int) -> Iterator[Stage]:
    """Two fake clouds whose leases live `lifetime` seconds, and a daemon between them and whoever asks."""
    clients_python()
    aws = Cloud("tests.fakes.aws_cloud", "--lifetime", str(lifetime))
    google = Cloud("tests.fakes.google_cloud", "--lifetime", str(lifetime), "--folder", str(folder))
    with aws, google:
        key_id, secret = aws.facts["user"]
        facts = {"role": aws.facts["roles"][0], "sts": aws.facts["sts"], "key_file": google.facts["key_file"]}
        credentials = _CREDENTIALS.format(region=REGION, **facts)
        identity = bare(folder, AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret)
        with Daemon(*configured(folder, credentials, "train", "data", daemon="imds = true"), identity) as daemon:
            yield Stage(aws, google, daemon, folder)
