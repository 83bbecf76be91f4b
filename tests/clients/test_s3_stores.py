"""Unchanged clients under `exec`, before strict fakes of the S3-compatible stores that make keys themselves."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.newcomer import CREDBROKER, Newcomer, Ran, newcomer, until
from tests.clients.configured import GCS_HMAC
from tests.clients.stage import PROGRAMS, clients_python
from tests.fakes.b2 import REGION, FakeB2
from tests.fakes.coreweave import API_TOKEN as COREWEAVE_TOKEN
from tests.fakes.coreweave import FakeCoreWeave
from tests.fakes.gcs_hmac import ACCOUNT as HMAC_ACCOUNT
from tests.fakes.gcs_hmac import FakeGcsHmac
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import introduction
from tests.fakes.objects import Buckets
from tests.fakes.r2 import ACCOUNT, API_TOKEN, FakeR2, Parent

pytestmark = pytest.mark.clients

COPIERS = ("boto3_store.py", "rclone_store.sh")
BODY = b"0123456789" * 10_000
PARENT = Parent(key_id="00112233445566778899aabbccddeeff", secret="5ec4e7" * 10 + "5ec4")
WAYS = {"signed": 'parent_secret_access_key = { file = "secret" }', "asked": 'api_token = { file = "token" }'}
R2 = """
    [credentials.r2]
    source = "cloudflare-r2"
    account_id = "{account}"
    bucket = "data"
    permission = "object-read-write"
    parent_access_key_id = {{ file = "id" }}
    {way}
    prefixes = ["mine/"]
    endpoint_url = "{url}"
    api_url = "{url}/client/v4"
"""

COREWEAVE = """
    [credentials.coreweave]
    source = "coreweave"
    api_token = {{ file = "token" }}
    region = "us-east-1"
    api_url = "{url}"
    endpoint_url = "{url}"
"""

B2 = """
    [credentials.b2]
    source = "backblaze-b2"
    key_id = {{ file = "id" }}
    application_key = {{ file = "secret" }}
    bucket = "data-bucket"
    prefix = "mine/"
    capabilities = ["listBuckets", "listFiles", "readFiles", "writeFiles"]
    region = "{region}"
    api_url = "{url}"
    endpoint_url = "{url}"
"""

HMAC = f"""{GCS_HMAC}
    ttl = "12h"
    env = {{{{ AWS_REQUEST_CHECKSUM_CALCULATION = "when_required" }}}}
"""

ME = """
    [callers.me]
    ME
    grants = ["{name}"]
"""


@pytest.fixture
def user() -> Iterator[Newcomer]:
    """Somebody without any identity of his own."""
    with newcomer() as found:
        found.environment["PATH"] = f"{clients_python().parent}:{found.environment['PATH']}"
        yield found


def buckets(name: str = "data") -> Buckets:
    """Two folders of one bucket."""
    found = Buckets(name)
    for folder in ("mine", "theirs"):
        found.put(name, f"{folder}/in.bin", BODY)
    return found


def configure(user: Newcomer, name: str, credentials: str, **facts: str) -> None:
    """His configuration, by which he is granted the credential of that name."""
    user.configure(credentials.format(**facts) + ME.format(name=name))


def secret(user: Newcomer, name: str, text: str) -> Path:
    """A file beside the configuration."""
    path = user.home / ".config/credbroker" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(0o600)
    path.write_text(text + "\n")
    return path


def client(user: Newcomer, program: str, *words: str) -> Ran:
    """One of them under `exec`."""
    interpreter = [] if program.endswith(".sh") else [str(clients_python())]
    return user.shell([*CREDBROKER, "exec", "--", *interpreter, str(PROGRAMS / program), *words])


def copied(user: Newcomer, program: str, store: Buckets) -> str:
    """How the store refused what it must; the rest went well."""
    (bucket,) = store.names()
    ran = client(user, program, bucket, "mine", "theirs")
    assert ran.status == 0, ran.err
    said = json.loads(ran.out)
    assert said["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert store.get(bucket, "mine/out.bin").body == BODY
    store.delete(bucket, "mine/out.bin")  # the next one shall not find it there
    return str(said["refused"])


class TestR2:
    @pytest.mark.parametrize("way", WAYS)
    def test_clients_read_and_write_below_the_prefix_alone(self, user: Newcomer, way: str):
        """With keys signed here, and with keys that the API made."""
        secret(user, "id", PARENT.key_id)
        secret(user, "secret", PARENT.secret)
        secret(user, "token", API_TOKEN)
        r2 = FakeR2(PARENT, buckets=buckets())
        with r2.serve() as store:
            configure(user, "r2", R2, account=ACCOUNT, way=WAYS[way], url=store.url)
            with user.serving():
                refused = [copied(user, program, r2.buckets) for program in COPIERS]
                checked = user.run("check")

        assert refused == ["AccessDenied", "AccessDenied"]
        assert set(r2.refused) <= {"AccessDenied", "NoSuchKey"}  # rclone looks whether the copy is there already
        assert checked.status == 0, checked.err
        assert bool(r2.asked) == (way == "asked")


class TestCoreWeave:
    def test_clients_work_with_keys_that_have_no_session_token(self, user: Newcomer):
        """Nothing is refused: they cannot be narrowed."""
        secret(user, "token", COREWEAVE_TOKEN)
        coreweave = FakeCoreWeave(buckets())
        with coreweave.serve() as store:
            configure(user, "coreweave", COREWEAVE, url=store.url)
            with user.serving():
                refused = [
                    copied(user, program, coreweave.buckets) for program in ("boto3_store.py", "rclone_store.sh")
                ]
                checked = user.run("check")

        assert refused == ["", ""]
        assert checked.status == 0, checked.err
        assert "coreweave/token-1" in checked.out


class TestB2:
    def test_clients_read_and_write_below_the_prefix_alone(self, user: Newcomer):
        """With an application key of one bucket, which b2sdk takes too and which makes no other."""
        b2 = FakeB2(buckets("data-bucket"))
        secret(user, "id", b2.master.id)
        secret(user, "secret", b2.master.secret)
        with b2.serve() as store:
            configure(user, "b2", B2, region=REGION, url=store.url)
            with user.serving():
                refused = [copied(user, program, b2.buckets) for program in COPIERS]
                native = client(user, "b2_keys.py", store.url, "data-bucket")
                checked = user.run("check")

        assert refused == ["AccessDenied", "AccessDenied"]
        assert checked.status == 0, checked.err
        assert native.status == 0, native.err
        assert json.loads(native.out) == {
            "capabilities": ["listBuckets", "listFiles", "readFiles", "writeFiles"],
            "bucket": "data-bucket",
            "refused": "Unauthorized",
        }

    def test_the_fakes_keys_are_what_backblazes_own_sdk_expects(self, user: Newcomer):
        """It makes one, lists it and deletes it: what our source was written from."""
        b2 = FakeB2(buckets("data-bucket"))
        with b2.serve() as store:
            words = (store.url, b2.master.id, b2.master.secret, "id-data-bucket")
            ran = user.shell([str(clients_python()), str(PROGRAMS / "b2_master.py"), *words])

        assert ran.status == 0, ran.err
        said = json.loads(ran.out)
        assert (said["listed"], said["left"], b2.deleted) == ("one", [b2.master.id], ["one"])
        assert said["ends"] > 0


class TestGcsHmac:
    def test_a_client_that_reads_its_keys_from_the_environment(self, user: Newcomer):
        """As MosaicML Streaming does; its key is gone when it has ended, and one that was too old with it."""
        with FakeGoogle() as google:
            gcs = FakeGcsHmac(google.registry, buckets())
            old = gcs.plant(25 * 3600)
            key_file = introduction(google, user.home)["key_file"]
            with gcs.serve() as store:
                configure(user, "hmac", HMAC, key_file=key_file, account=HMAC_ACCOUNT, url=store.url)
                with user.serving():
                    ran = client(user, "boto3_gcs_hmac.py", store.url, "data")
                    until(lambda: not gcs.keys)
                    checked = user.run("check")

        assert ran.status == 0, ran.err
        said = json.loads(ran.out)
        assert said["sha256"] == hashlib.sha256(BODY).hexdigest()
        assert gcs.buckets.get("data", "mine/out.bin").body == BODY
        assert gcs.made[0].id == said["key"]
        assert old.id not in gcs.keys
        assert checked.status == 0, checked.err
        assert HMAC_ACCOUNT in checked.out
