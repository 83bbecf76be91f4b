"""Oracle's SDK, ocifs and MosaicML Streaming, unchanged, at a strict fake that verifies each signature."""

import hashlib
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.clients.configured import configured, kept
from tests.clients.stage import CREDBROKER, PROGRAMS, Daemon, bare, clients_python, seen, succeeded
from tests.fakes import certificates
from tests.fakes.objects import Buckets
from tests.fakes.oci import BROKER, BUCKET, CLIENT_ID, CLIENT_SECRET, JOBS, REGION, FakeOci
from tests.fakes.s3 import FakeS3
from tests.fakes.serving import Served
from tests.fakes.sigv4 import KeyRecord
from tests.sources.oci_world import keyring, pem

pytestmark = pytest.mark.clients

LIFETIME = 33.0  # seconds: `exec` looks for a new lease at a quarter of it
PATIENCE = 20.0
_CREDENTIALS = """
[credentials.oracle]
source = "oci-session"
domain_url = "{url}"
client_id = "{client_id}"
client_secret = {{ file = "app.secret" }}
subject_token = {{ file = "subject.secret" }}
region = "{region}"

[credentials.jobs]
source = "oci-api-key"
{keyring}

[credentials.s3]
source = "oci-customer-secret-key"
namespace = "acme"
{keyring}
"""


class Oracle:
    """The fake, with TLS at `regional` too, and a daemon that mints there."""

    def __init__(self, fake: FakeOci, url: str, regional: str, folder: Path) -> None:
        self.fake = fake
        self.url = url
        self.regional = regional
        self.folder = folder

    def put(self, folder: str) -> str:
        """A new in.bin; its SHA-256."""
        body = secrets.token_bytes(100_000)
        self.fake.objects[f"{folder}/in.bin"] = body
        return hashlib.sha256(body).hexdigest()

    def sha256(self, folder: str) -> str:
        """Of the out.bin that is there now."""
        return hashlib.sha256(self.fake.objects[f"{folder}/out.bin"]).hexdigest()

    def start(
        self, home: Path, program: str, *more: str, use: str = "oracle", endpoint: str | None = None
    ) -> "subprocess.Popen[str]":
        """A program under `exec`, in a folder of its name."""
        command = [str(clients_python()), f"{PROGRAMS / program}.py", endpoint or self.url, BUCKET, program, *more]
        return self.broker(home, "exec", "--use", use, "--", *command)

    def broker(self, home: Path, *arguments: str) -> "subprocess.Popen[str]":
        """A command of ours."""
        found = {"CREDBROKER_SOCKET": str(self.folder / "broker.sock")}
        variables = bare(home, REQUESTS_CA_BUNDLE=str(self.folder / "localhost.pem"), **found)
        return subprocess.Popen(
            [*CREDBROKER, *arguments], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """Everything running."""
    folder = tmp_path_factory.mktemp("oracle")
    fake = FakeOci(LIFETIME)
    made = certificates.write(folder, also=[f"objectstorage.{REGION}.oraclecloud.com"])
    with fake.serve() as served, Served(fake.answer, tls=made.context()) as regional:
        kept(folder, app=CLIENT_SECRET, subject=fake.subject(), broker=pem(BROKER))
        facts = {"url": served.url, "client_id": CLIENT_ID, "region": REGION, "keyring": keyring(served.url)}
        configuration = configured(folder, _CREDENTIALS.format(**facts), "oracle", "jobs", "s3")
        with Daemon(*configuration, bare(folder)):
            yield Oracle(fake, served.url, regional.url, folder)


class TestSession:
    def test_the_store_verifies_signatures(self, oracle: Oracle, home: Path):
        """Else nothing below would show anything: a session that has ended is refused."""
        oracle.put("oci_sdk")
        oracle.fake.trusting = False  # by its clock alone it would take a session that is minted meanwhile
        try:
            with oracle.start(home, "oci_sdk") as process:
                _, err = process.communicate(timeout=PATIENCE)
        finally:
            oracle.fake.trusting = True

        assert "NotAuthenticated" in err
        assert process.returncode == 1

    @pytest.mark.parametrize("program", ["oci_sdk", "ocifs_oci"])
    def test_a_client_works_by_its_environment_alone(self, oracle: Oracle, home: Path, program: str):
        """By the pair of files that stands there."""
        there = oracle.put(program)

        assert seen(oracle.start(home, program)).sha256 == there == oracle.sha256(program)
        assert {one[:3] for one in oracle.fake.signers} == {"ST$"}

    @pytest.mark.parametrize("program", ["oci_sdk", "ocifs_oci"])
    def test_a_running_client_takes_the_next_pair_when_its_session_is_over(
        self, oracle: Oracle, home: Path, program: str
    ):
        """It reads the files again after a 401, and meets one lease's two."""
        oracle.put(program)
        fake = oracle.fake
        fake.signers.clear()
        with oracle.start(home, program, "--for", "11", "--every", "0.5") as process:
            until(lambda: bool(fake.signers))
            (first,) = set(fake.signers)
            succeeded(oracle.broker(home, "refresh", "oracle"))
            until(lambda: len(list(home.glob("credbroker-exec-*/oci/[0-9]*"))) == 2)
            fake.refused.clear()
            fake.ended.add(first)
            there = oracle.put(program)
            ran = seen(process)

        assert ran.sha256 == there == oracle.sha256(program)
        assert fake.refused == ["unknown keyId"]  # once, and never for a key of the other session
        assert len(set(fake.signers)) == 2
        assert fake.signers == sorted(fake.signers, key=lambda one: one != first)  # nor does it go back


class TestApiKey:
    @pytest.mark.parametrize("program", ["oci_config", "ocifs_oci"])
    def test_a_client_works_by_a_config_file(self, oracle: Oracle, home: Path, program: str):
        """Which is found where no ~/.oci is."""
        there = oracle.put(program)
        oracle.fake.signers.clear()

        assert seen(oracle.start(home, program, use="jobs")).sha256 == there == oracle.sha256(program)
        assert set(oracle.fake.signers) == {oracle.fake.keys[JOBS, "apiKeys"][0]["keyId"]}

    def test_streaming_downloads_and_uploads_at_the_region_s_host(self, oracle: Oracle, home: Path):
        """By its own classes, which find the config file and can be told no other host."""
        there = oracle.put("streaming_oci")
        oracle.fake.signers.clear()
        oracle.fake.refused.clear()
        ran = seen(oracle.start(home, "streaming_oci", use="jobs", endpoint=oracle.regional))

        (key,) = oracle.fake.keys[JOBS, "apiKeys"]
        assert ran.sha256 == there == oracle.sha256("streaming_oci")
        assert (set(oracle.fake.signers), oracle.fake.refused) == ({key["keyId"]}, [])
        assert ran.identities == [key["fingerprint"]]

    def test_streaming_is_refused_once_its_key_is_deleted(self, oracle: Oracle, home: Path):
        """Else the test above would show nothing."""
        oracle.put("streaming_oci")
        (key,) = keys = oracle.fake.keys[JOBS, "apiKeys"]
        keys.clear()
        try:
            with oracle.start(home, "streaming_oci", use="jobs", endpoint=oracle.regional) as process:
                _, err = process.communicate(timeout=PATIENCE)
        finally:
            keys.append(key)

        assert "NotAuthenticated" in err
        assert process.returncode == 1

    def test_a_config_of_his_own_is_told_and_hidden_by_a_private_home(self, oracle: Oracle, home: Path):
        """The SDK looks there first, whatever the variable says."""
        (home / ".oci").mkdir()
        (home / ".oci" / "config").write_text("[DEFAULT]\n")
        with oracle.broker(home, "exec", "--use", "jobs", "--", "true") as process:
            _, told = process.communicate(timeout=PATIENCE)

        assert "no variable hides it; --private-home does" in told


class TestSecretKey:
    @pytest.mark.parametrize("program", ["boto3_s3", "s3fs_s3"])
    def test_clients_of_s3_sign_with_it(self, oracle: Oracle, home: Path, program: str):
        """From the container endpoint, at a store that knows this key alone; where Oracle's is, a variable says."""
        (key,) = oracle.fake.keys[JOBS, "customerSecretKeys"]
        record = KeyRecord(access_key_id=key["id"], secret=key["key"])
        store = Buckets(BUCKET)
        store.put(BUCKET, f"{program}/in.bin", b"there")
        compatible = FakeS3(lambda name: record if name == key["id"] else None, store, REGION)
        with compatible.serve() as served:
            ran = seen(oracle.start(home, program, use="s3", endpoint=served.url))

        assert ran.sha256 == hashlib.sha256(store.get(BUCKET, f"{program}/out.bin").body).hexdigest()
        assert {name for name, _ in compatible.answered} == {key["id"]}

    def test_they_are_led_to_oracles_endpoint(self, oracle: Oracle, home: Path):
        """Which is the tenancy's own."""
        found = succeeded(oracle.broker(home, "exec", "--use", "s3", "--", "sh", "-c", "echo $AWS_ENDPOINT_URL_S3"))

        assert found == f"https://acme.compat.objectstorage.{REGION}.oraclecloud.com\n"


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)
