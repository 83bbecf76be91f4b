"""Stores other than AWS's own, for unchanged clients: long-lived keys, and sessions of a store's own STS.

`rclone serve s3` is a store that other people wrote and that verifies signatures; the fake one refuses what S3 refuses
and tells whose keys it saw.
"""

import contextlib
import hashlib
import os
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.clients.configured import configured, kept
from tests.clients.stage import PROGRAMS, SIZE, Cloud, Daemon, Stage, bare, clients_python, free_address, seen

pytestmark = pytest.mark.clients

KEY_ID, SECRET = "STATICKEY1", "static/secret+key"
PATIENCE = 20.0
AT_ANY = ["boto3_s3", "aws_cli.sh", "s3fs_s3", "obstore_s3", "rclone_s3.sh", "streaming_s3"]
# These stream uploads, or read ranges, in ways that rclone's server does not know.
AT_THE_FAKE = [*AT_ANY, "pyarrow_s3", "polars_s3", "polars_native_s3"]
_CREDENTIALS = """
[credentials.fake]
source = "s3-static"
access_key_id = {{ file = "fake_id.secret" }}
secret_access_key = {{ env = "FAKE_SECRET" }}
region = "eu-west-1"
endpoint_url = "{s3}"
share_identity = true

[credentials.rclone]
source = "s3-static"
access_key_id = {{ file = "rclone_id.secret" }}
secret_access_key = {{ file = "rclone_key.secret" }}
region = "eu-west-1"
endpoint_url = "{rclone}"

[credentials.minio]
source = "aws-assume-role"
role_arn = "arn:minio:iam:::role/any"
from = "fake"
duration = "168h"
region = "eu-west-1"
endpoint_url = "{sts}"
env = {{ AWS_ENDPOINT_URL_S3 = "{s3}", S3_ENDPOINT_URL = "{s3}" }}
"""


class Rclone:
    """`rclone serve s3` over a folder whose one bucket is `data`."""

    def __init__(self, folder: Path) -> None:
        self.bucket = folder / "data"
        self.bucket.mkdir(parents=True)
        address = free_address()
        self.url = f"http://{address}"
        program = str(clients_python().parent / "rclone")
        serve = [
            "serve",
            "s3",
            "--addr",
            address,
            "--auth-key",
            f"{KEY_ID},{SECRET}",
            "--dir-cache-time",
            "0s",
            str(folder),
        ]
        environment = bare(folder)
        self._log = (folder.parent / "rclone.log").open("wb")
        self._process = subprocess.Popen(
            [program, "--config", os.devnull, *serve], env=environment, stderr=self._log, stdin=subprocess.DEVNULL
        )

    def put(self, folder: str) -> str:
        """A new in.bin; its SHA-256."""
        body = secrets.token_bytes(SIZE)
        (self.bucket / folder).mkdir()
        (self.bucket / folder / "in.bin").write_bytes(body)
        return hashlib.sha256(body).hexdigest()

    def sha256(self, folder: str) -> str:
        """Of the out.bin that is there now."""
        return hashlib.sha256((self.bucket / folder / "out.bin").read_bytes()).hexdigest()

    def status(self) -> int | None:
        """What it says to somebody without keys, or None while nobody is there."""
        try:
            with urllib.request.urlopen(f"{self.url}/data/", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return None

    def __enter__(self) -> Self:
        ends = time.monotonic() + PATIENCE
        while self.status() is None:
            assert time.monotonic() < ends, "rclone does not serve"
            assert self._process.poll() is None, "rclone has ended"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process, self._log:
            self._process.terminate()


class Stores:
    """The two stores, and a daemon with keys of both."""

    def __init__(self, stage: Stage, rclone: Rclone, fake: Cloud) -> None:
        self.stage = stage
        self.rclone = rclone
        self.fake = fake

    def run(self, home: Path, use: str, program: str, endpoint: str, folder: str) -> str:
        """A program under `exec` with one of the credentials; the SHA-256 that it saw."""
        path = PROGRAMS / program
        command = [str(path)] if path.suffix == ".sh" else [str(clients_python()), f"{path}.py"]
        return seen(self.stage.under_exec(bare(home), [*command, endpoint, "data", folder], "--use", use)).sha256


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Everything running."""
    folder = tmp_path_factory.mktemp("stores")
    with contextlib.ExitStack() as stack:
        rclone = stack.enter_context(Rclone(folder / "store"))
        fake = stack.enter_context(Cloud("tests.fakes.aws_cloud", "--minio"))
        key_id, secret = fake.facts["user"]
        kept(folder, fake_id=key_id, rclone_id=KEY_ID, rclone_key=SECRET)
        credentials = _CREDENTIALS.format(s3=fake.facts["s3"], sts=fake.facts["sts"], rclone=rclone.url)
        configuration = configured(folder, credentials, "fake", "rclone", "minio")
        daemon = stack.enter_context(Daemon(*configuration, bare(folder, FAKE_SECRET=secret)))
        yield Stores(Stage(fake, fake, daemon, folder), rclone, fake)


class TestStaticKeys:
    def test_the_store_verifies_signatures(self, stores: Stores, home: Path):
        """Else nothing below would show anything."""
        stores.rclone.put("wrong")
        wrong = bare(home, AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY="wrong", AWS_DEFAULT_REGION="eu-west-1")
        command = [str(clients_python()), str(PROGRAMS / "boto3_s3.py"), stores.rclone.url, "data", "wrong"]
        ran = subprocess.run(command, env=wrong, capture_output=True, text=True, timeout=30, check=False)

        assert "(SignatureDoesNotMatch)" in ran.stderr

    @pytest.mark.parametrize("program", AT_ANY)
    def test_a_client_works_at_a_store_that_others_wrote(self, stores: Stores, home: Path, program: str):
        """Keys without a session token, by the container endpoint."""
        there = stores.rclone.put(program)

        assert stores.run(home, "rclone", program, stores.rclone.url, program) == there
        assert stores.rclone.sha256(program) == there

    @pytest.mark.parametrize("program", ["boto3_s3", "s3fs_s3", "obstore_s3", "streaming_s3"])
    def test_the_store_is_found_by_the_environment_alone(self, stores: Stores, home: Path, program: str):
        """`endpoint_url` of the credential is AWS_ENDPOINT_URL_S3 of the worker."""
        folder = f"found-{program}"
        there = stores.rclone.put(folder)

        assert stores.run(home, "rclone", program, "-", folder) == there == stores.rclone.sha256(folder)

    @pytest.mark.parametrize("program", AT_THE_FAKE)
    def test_a_strict_store_sees_these_keys_alone(self, stores: Stores, home: Path, program: str):
        """And refuses none of the requests, but to look for what is not there yet."""
        folder = f"static-{program}"
        stores.fake.put(f"{folder}/in.bin")

        stores.run(home, "fake", program, stores.fake.facts["s3"], folder)

        assert list(stores.fake.answered(folder)) == [stores.fake.facts["user"][0]]
        assert stores.fake.ask("tally")["refused"].keys() <= {"NoSuchKey"}


class TestSessionsOfAStore:
    @pytest.mark.parametrize("program", ["boto3_s3", "s3fs_s3", "obstore_s3", "streaming_s3"])
    def test_static_keys_stay_with_the_broker(self, stores: Stores, home: Path, program: str):
        """AssumeRole as MinIO has it, signed by keys that are references; workers get a session."""
        folder = f"minio-{program}"
        there = stores.fake.put(f"{folder}/in.bin")

        assert stores.run(home, "minio", program, "-", folder) == there == stores.fake.sha256(f"{folder}/out.bin")
        assert {key_id[:4] for key_id in stores.fake.answered(folder)} == {"ASIA"}
