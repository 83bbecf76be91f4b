"""Long-lived keys of a store: read, handed on, and shown to the store by `check` alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.errors import BrokerError, IdentityMissing, MintError, Throttled, Unreachable
from broker.model import AwsKeys, Facts, Given, Kind, Reference
from broker.secret import Secret
from broker.sources import references
from broker.sources.handing import INVENTED
from broker.sources.s3_static import S3Static, mint, who
from tests.fakes.objects import Buckets
from tests.fakes.s3 import FakeS3
from tests.fakes.serving import Answer, Served
from tests.fakes.sigv4 import KeyRecord
from tests.fakes.sts import FakeSts
from tests.fakes.xml_api import refusal
from tests.sources.aws_world import ALICE

pytestmark = pytest.mark.usefixtures("aws_home")

KEYS = AwsKeys("STATIC1", Secret("static/secret+1"), Secret(""))
RECORD = KeyRecord(access_key_id="STATIC1", secret="static/secret+1")


class Files:
    """The files that the references name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, content: str) -> Reference:
        """A file of this name."""
        path = self._folder / name
        path.touch(0o600)
        path.write_text(content)
        return Reference(file=str(path))

    def spec(self, **more: object) -> S3Static:
        """Both keys, and what a test names."""
        key_id = self.write("id", f"{KEYS.access_key_id}\n")
        secret = self.write("secret", f"{KEYS.secret_access_key.open()}\n")
        named = {"access_key_id": key_id, "secret_access_key": secret, **more}
        return S3Static(**named)  # type: ignore[arg-type]  # whatever a test names


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """In a folder of their own."""
    return Files(tmp_path)


@pytest.fixture
def store() -> Iterator[Served]:
    """A store that knows these keys alone."""
    with FakeS3({"STATIC1": RECORD}.get, Buckets("data")).serve() as served:
        yield served


class TestSpec:
    def test_it_tells_workers_where_the_store_is(self, files: Files):
        """One name is streaming's, the other the SDKs'."""
        url = "https://minio.example:9000"

        assert files.spec(endpoint_url=url).settings() == (("S3_ENDPOINT_URL", url), ("AWS_ENDPOINT_URL_S3", url))
        assert files.spec().settings() == ()
        assert (S3Static.kind, S3Static.short_lived) == (Kind.AWS, False)


class TestMint:
    def test_keys_without_a_session_token(self, files: Files):
        """Empty, not absent: boto3 and obstore want it there."""
        minted = mint(files.spec(region="eu-west-1"), Given())

        assert minted.value == KEYS
        assert (minted.facts.identity, minted.facts.region) == ("STATIC1", "eu-west-1")
        assert "not short-lived" in str(minted.facts.note)
        assert (minted.lifetime, minted.again) == (INVENTED, 300)

    def test_a_session_token_where_there_is_one(self, files: Files):
        """Somebody else made the session."""
        minted = mint(files.spec(session_token=files.write("token", "t0ken")), Given())

        assert minted.value == AwsKeys("STATIC1", KEYS.secret_access_key, Secret("t0ken"))

    def test_what_was_rotated_counts_at_the_next_mint(self, files: Files):
        """The references are read each time."""
        spec = files.spec()
        mint(spec, Given())
        files.write("id", "STATIC2")
        files.write("secret", "other")

        assert mint(spec, Given()).value == AwsKeys("STATIC2", Secret("other"), Secret(""))

    def test_half_of_the_old_and_half_of_the_new_is_never_given(self, files: Files, monkeypatch: pytest.MonkeyPatch):
        """Keys that are replaced while they are read are read again."""
        spec, read = files.spec(), references.read

        def replaced(reference: Reference, what: str, *, lines: bool) -> Secret:
            found = read(reference, what, lines=lines)
            if what == "access_key_id":
                files.write("id", "STATIC2")
                files.write("secret", "other")
            return found

        monkeypatch.setattr(references, "read", replaced)

        assert mint(spec, Given()).value == AwsKeys("STATIC2", Secret("other"), Secret(""))

    def test_keys_that_never_rest_are_an_error(self, files: Files, monkeypatch: pytest.MonkeyPatch):
        """Of the references, not of the store."""
        numbers = iter(range(1000))
        monkeypatch.setattr(references, "read", lambda *_, **__: Secret(f"k{next(numbers)}"))

        with pytest.raises(IdentityMissing, match="they change while they are read"):
            mint(files.spec(), Given())

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("id", "", "access_key_id: the file .*/id is empty"),
            ("id", "CANARY\nCANARY\n", "access_key_id: the file .*/id has more than one line"),
            ("secret", "CANARY CANARY", "secret_access_key: the file .*/secret holds no such key"),
            ("secret", "CANARY" * 200, "secret_access_key: the file .*/secret holds no such key"),
        ],
    )
    def test_what_can_be_no_key_is_named_and_not_quoted(self, files: Files, name: str, content: str, words: str):
        """With the field and the place."""
        spec = files.spec()
        files.write(name, content)

        with pytest.raises(IdentityMissing, match=words) as caught:
            mint(spec, Given())

        assert "CANARY" not in caught.value.advice


class TestWho:
    def test_a_store_that_knows_the_keys_is_content(self, files: Files, store: Served):
        """It can name nobody."""
        assert who(files.spec(endpoint_url=store.url, region="eu-west-1"), KEYS) == Facts()

    def test_keys_that_may_not_list_buckets_are_known_none_the_less(self, files: Files):
        """Most are of one bucket."""
        with Served(lambda call: refusal("AccessDenied", 403, call.path)) as served:
            assert who(files.spec(endpoint_url=served.url), KEYS) == Facts()

    @pytest.mark.parametrize(
        ("keys", "region", "code"),
        [
            (AwsKeys("NOBODY", Secret("x"), Secret("")), "eu-west-1", "InvalidAccessKeyId"),
            (AwsKeys("STATIC1", Secret("wrong"), Secret("")), "eu-west-1", "SignatureDoesNotMatch"),
            (KEYS, "us-east-1", "AuthorizationHeaderMalformed"),
        ],
    )
    def test_keys_that_it_does_not_know_are_told(
        self, files: Files, store: Served, keys: AwsKeys, region: str, code: str
    ):
        """Before a job finds out."""
        with pytest.raises(IdentityMissing, match="cannot use the keys at the store") as caught:
            who(files.spec(endpoint_url=store.url, region=region), keys)

        assert caught.value.code == code

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(500, b"CANARY"), Unreachable),
            (Answer(503, b"CANARY"), Throttled),
            (Answer(404, b"<html>CANARY"), MintError),
            (Answer(200, b"CANARY"), MintError),
        ],
    )
    def test_an_endpoint_that_is_no_store_is_told(self, files: Files, answer: Answer, error: type[BrokerError]):
        """Nothing that it said is quoted."""
        with Served(lambda _: answer) as served, pytest.raises(error) as caught:
            who(files.spec(endpoint_url=served.url), KEYS)

        assert "CANARY" not in str(caught.value)

    def test_nobody_at_the_endpoint_is_told(self, files: Files, store: Served):
        """A wrong port, a store that is down."""
        store.stop()

        with pytest.raises(Unreachable, match="no connection to the endpoint"):
            who(files.spec(endpoint_url=store.url), KEYS)

    def test_aws_says_whose_they_are(self, files: Files, sts: FakeSts, monkeypatch: pytest.MonkeyPatch):
        """There is one question that every key may ask."""
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)

        facts = who(files.spec(), AwsKeys(ALICE[0], Secret(ALICE[1]), Secret("")))

        assert facts.arn == "arn:aws:iam::123456789012:user/alice"
