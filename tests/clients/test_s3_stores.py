"""Unchanged clients under `exec`, before strict fakes of the S3-compatible stores that make keys themselves."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.newcomer import CREDBROKER, Newcomer, Ran, newcomer
from tests.clients.stage import PROGRAMS, clients_python
from tests.fakes.coreweave import API_TOKEN as COREWEAVE_TOKEN
from tests.fakes.coreweave import FakeCoreWeave
from tests.fakes.objects import Buckets
from tests.fakes.r2 import ACCOUNT, API_TOKEN, FakeR2, Parent

pytestmark = pytest.mark.clients

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

    [callers.me]
    ME
    grants = ["r2"]
"""

COREWEAVE = """
    [credentials.coreweave]
    source = "coreweave"
    api_token = {{ file = "token" }}
    region = "us-east-1"
    api_url = "{url}"
    endpoint_url = "{url}"

    [callers.me]
    ME
    grants = ["coreweave"]
"""


@pytest.fixture
def user() -> Iterator[Newcomer]:
    """Somebody without any identity of his own."""
    with newcomer() as found:
        found.environment["PATH"] = f"{clients_python().parent}:{found.environment['PATH']}"
        yield found


def buckets() -> Buckets:
    """Two folders of one bucket."""
    found = Buckets("data")
    for folder in ("mine", "theirs"):
        found.put("data", f"{folder}/in.bin", BODY)
    return found


def secret(user: Newcomer, name: str, text: str) -> Path:
    """A file beside the configuration."""
    path = user.home / ".config/credbroker" / name
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(0o600)
    path.write_text(text + "\n")
    return path


def client(user: Newcomer, program: str) -> Ran:
    """One of them under `exec`."""
    interpreter = [] if program.endswith(".sh") else [str(clients_python())]
    return user.shell([*CREDBROKER, "exec", "--", *interpreter, str(PROGRAMS / program), "data", "mine", "theirs"])


def copied(ran: Ran, store: Buckets) -> str:
    """How the store refused what it must; the rest went well."""
    assert ran.status == 0, ran.err
    said = json.loads(ran.out)
    assert said["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert store.get("data", "mine/out.bin").body == BODY
    store.delete("data", "mine/out.bin")  # the next one shall not find it there
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
            user.configure(R2.format(account=ACCOUNT, way=WAYS[way], url=store.url))
            with user.serving():
                refused = [
                    copied(client(user, program), r2.buckets) for program in ("boto3_store.py", "rclone_store.sh")
                ]
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
            user.configure(COREWEAVE.format(url=store.url))
            with user.serving():
                refused = [
                    copied(client(user, program), coreweave.buckets)
                    for program in ("boto3_store.py", "rclone_store.sh")
                ]
                checked = user.run("check")

        assert refused == ["", ""]
        assert checked.status == 0, checked.err
        assert "coreweave/token-1" in checked.out
