"""MosaicML Streaming's own downloaders and uploaders, unchanged: what its variables do, and a hazard that it has.

That they work at S3 and Cloud Storage, under leases that rotate, at other stores and in a hard home is shown beside the
other clients, as `streaming_s3` and `streaming_gcs`.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest

from tests.cli.newcomer import until
from tests.clients.configured import GCS_HMAC, configured, kept
from tests.clients.stage import CREDBROKER, PROGRAMS, Cloud, Daemon, Stage, bare, clients_python, seen
from tests.fakes import certificates
from tests.fakes.gcs_hmac import ACCOUNT, FakeGcsHmac
from tests.fakes.gcs_interop import HOST, FakeInterop
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import introduction
from tests.fakes.objects import Buckets

pytestmark = pytest.mark.clients

REGION = "eu-west-1"
SHORT = 3  # seconds that a session lives without the broker
_CREDENTIALS = """
[credentials.train]
source = "aws-assume-role"
role_arn = "{role}"
duration = "15m"
region = "eu-west-1"
endpoint_url = "{sts}"

[credentials.train.env]
S3_ENDPOINT_URL = "{s3}"
S3_CANNED_ACL = "bucket-owner-full-control"
MOSAICML_STREAMING_AWS_REQUESTER_PAYS = "another, paid"
"""
_HMAC_KEYS = {
    "private-env": """
[credentials.hmac]
source = "private-env"
secrets = {{ GCS_KEY = {{ file = "hmac_id.secret" }}, GCS_SECRET = {{ file = "hmac_key.secret" }} }}
env = {{ AWS_REQUEST_CHECKSUM_CALCULATION = "when_required", AWS_RESPONSE_CHECKSUM_VALIDATION = "when_required" }}
""",
    "gcs-hmac": GCS_HMAC,
}


class Google(NamedTuple):
    """Cloud Storage, who makes its keys, and the environment of who asks the broker for one."""

    store: FakeInterop
    project: FakeGcsHmac
    done: list[str]  # what the broker does there for one job: nothing, if it was given a key
    where: dict[str, str]


def copying(store: str, *arguments: str) -> list[str]:
    """The program of that store."""
    return [str(clients_python()), str(PROGRAMS / f"streaming_{store}.py"), *arguments]


def session(fake: Cloud) -> dict[str, str]:
    """Keys of a role, as variables."""
    key_id, secret = fake.facts["user"]
    sts = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=fake.facts["sts"],
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
    )
    keys = sts.assume_role(RoleArn=fake.facts["roles"][0], RoleSessionName="dying")["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A store with buckets of others, and a daemon whose credential carries what Streaming reads."""
    folder = tmp_path_factory.mktemp("streaming")
    with contextlib.ExitStack() as stack:
        fake = stack.enter_context(Cloud("tests.fakes.aws_cloud"))
        key_id, secret = fake.facts["user"]
        facts = {"role": fake.facts["roles"][0], "sts": fake.facts["sts"], "s3": fake.facts["s3"]}
        identity = bare(folder, AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret)
        daemon = stack.enter_context(Daemon(*configured(folder, _CREDENTIALS.format(**facts), "train"), identity))
        yield Stage(fake, fake, daemon, folder)


class TestItsVariables:
    def test_they_travel_with_the_credential(self, aws: Stage, home: Path):
        """Where the store is, who pays in one bucket, and the ACL that the owner of the other asks for."""
        before = aws.refused()
        there = aws.aws.ask("put", "paid", "theirs/in.bin", "100000")["sha256"]

        saw = seen(aws.under_exec(bare(home), copying("s3", "-", "paid,shared", "theirs")))

        assert saw.sha256 == there == aws.aws.ask("sha256", "shared", "theirs/out.bin")["sha256"]
        assert aws.refused() == before

    @pytest.mark.parametrize("missing", ["MOSAICML_STREAMING_AWS_REQUESTER_PAYS", "S3_CANNED_ACL"])
    def test_without_one_the_store_refuses(self, aws: Stage, home: Path, missing: str):
        """Else the test above would show nothing."""
        aws.aws.ask("put", "paid", "none/in.bin", "1000")
        command = ["env", "-u", missing, *copying("s3", "-", "paid,shared", "none")]

        with aws.under_exec(bare(home), command) as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode == 1
        assert "MOSAICML_STREAMING_AWS_REQUESTER_PAYS" in told or "AccessDenied" in told
        assert set(aws.refused()) == {"AccessDenied"}


class TestAnExpiredSignature:
    def test_without_the_broker_it_goes_on_anonymously(self, home: Path):
        """Keys in its environment that die there: it takes the store's 400 for a public bucket's, and drops them."""
        with Cloud("tests.fakes.aws_cloud", "--lifetime", str(SHORT)) as fake:
            fake.put("dying/in.bin")
            dying = bare(home, AWS_DEFAULT_REGION=REGION, **session(fake))
            command = copying("reader_s3", str(fake.facts["s3"]), "data", "dying", "--for", "20")
            ran = subprocess.run(command, env=dying, capture_output=True, text=True, timeout=60, check=False)
            refused = fake.ask("tally")["refused"]

        assert ran.returncode == 1
        assert "s3://data/dying/in.bin not found!" in ran.stderr  # its own, misleading words
        assert set(refused) == {"ExpiredToken", "AccessDenied"}
        assert refused["AccessDenied"] == 1  # what S3 says to who shows no signature


@pytest.fixture(params=_HMAC_KEYS)
def hmac(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Google]:
    """A key that the broker was given, or one that it makes."""
    made = certificates.write(tmp_path, also=[HOST, f"*.{HOST}"])
    with contextlib.ExitStack() as stack:
        google = stack.enter_context(FakeGoogle())
        project = FakeGcsHmac(google.registry, Buckets("data"))
        if request.param == "private-env":
            planted(project, tmp_path)
        facts = {"account": ACCOUNT, "url": stack.enter_context(project.serve()).url}
        facts["key_file"] = introduction(google, tmp_path)["key_file"]
        credential = _HMAC_KEYS[request.param].format(**facts)
        store = stack.enter_context(FakeInterop(project.buckets, made.context(), project.record))
        stack.enter_context(Daemon(*configured(tmp_path, credential, "hmac"), bare(tmp_path)))
        socket = str(tmp_path / "broker.sock")
        where = {"CREDBROKER_SOCKET": socket, "REQUESTS_CA_BUNDLE": str(made.certificate)}
        done = ["create", "deactivate", "delete"] if request.param == "gcs-hmac" else []
        yield Google(store, project, done, where)


def planted(project: FakeGcsHmac, folder: Path) -> None:
    """An active key, in two files."""
    key = project.plant(0)
    project.made.append(key)
    kept(folder, hmac_id=key.id, hmac_key=key.secret)


class TestHmacKeys:
    def test_it_speaks_s3_to_google(self, hmac: Google, home: Path):
        """And uploads as Google takes it, where the credential says how checksums are to be made."""
        body, buckets = os.urandom(100_000), hmac.project.buckets
        buckets.put("data", "hmac/in.bin", body)
        command = [*CREDBROKER, "exec", "--", *copying("hmac_gcs", hmac.store.url, "data", "hmac")]

        ran = subprocess.run(command, env=bare(home, **hmac.where), capture_output=True, timeout=60, check=False)

        assert ran.returncode == 0, ran.stderr
        assert buckets.get("data", "hmac/out.bin").body == body
        assert hmac.store.refused == {}
        until(lambda: hmac.project.done == hmac.done)
        (key,) = hmac.project.made
        assert set(hmac.store.answered) == {key.id}

    def test_without_that_google_refuses_uploads(self, hmac: Google, home: Path):
        """As a wrong signature: boto3 puts a checksum behind the body."""
        hmac.project.buckets.put("data", "hmac/in.bin", b"body")
        program = ["env", "-u", "AWS_REQUEST_CHECKSUM_CALCULATION"]
        program += copying("hmac_gcs", hmac.store.url, "data", "hmac")
        command = [*CREDBROKER, "exec", "--", *program]

        ran = subprocess.run(command, env=bare(home, **hmac.where), capture_output=True, timeout=60, check=False)

        assert ran.returncode == 1
        assert b"SignatureDoesNotMatch" in ran.stderr
