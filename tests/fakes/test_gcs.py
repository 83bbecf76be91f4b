"""The fake GCS refuses what Google refuses; what it grants is seen in tests/clients, by real clients."""

from urllib.parse import urlsplit

import msgspec
import pytest

from tests.fakes.gcs import FakeGcs
from tests.fakes.google import Registry
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call

SCOPE = "https://www.googleapis.com/auth/devstorage."
READ = "/storage/v1/b/data/o/folder%2Fname?alt=media"
UPLOAD = "/upload/storage/v1/b/data/o?name=folder/new&uploadType="


class Clock:
    """The fake Google's time, set by hand."""

    now = 1000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    """Tokens that live for a minute."""
    return Registry(lambda: clock.now, 60)


@pytest.fixture
def gcs(registry: Registry) -> FakeGcs:
    """A store with one object."""
    buckets = Buckets("data")
    buckets.put("data", "folder/name", b"0123456789")
    return FakeGcs(registry, buckets)


@pytest.fixture
def token(registry: Registry) -> str:
    """A token that may write."""
    return registry.issue("worker@p.iam.gserviceaccount.com", [f"{SCOPE}read_write"]).token


def call(token: str, target: str = READ, method: str = "GET", body: bytes = b"", **fields: str) -> Call:
    """A request with a bearer token, if there is one."""
    parts = urlsplit(target)
    shown = {"authorization": f"Bearer {token}"} if token else {}
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return Call(method, parts.path, parts.query, {"host": "127.0.0.1:9000", **shown, **named}, body)


def sent_again(gcs: FakeGcs, token: str, begun: Answer, span: str, body: bytes = b"") -> Answer:
    """One chunk of a resumable upload."""
    return gcs.answer(call(token, begun.fields["Location"], "PUT", body, content_range=span))


class TestWhoAsks:
    def test_a_living_token_is_answered_and_counted_by_its_tail(self, gcs: FakeGcs, token: str):
        """The token itself is not kept."""
        assert gcs.answer(call(token)).body == b"0123456789"
        assert [(folder, token in tail) for tail, folder in gcs.answered] == [("folder", False)]

    @pytest.mark.parametrize("target", [READ, "/data/folder/name"])
    def test_nobody_is_refused(self, gcs: FakeGcs, target: str):
        """By the JSON API and by the XML API."""
        assert gcs.answer(call("", target)).status == 401

    def test_an_expired_token_is_refused(self, gcs: FakeGcs, token: str, clock: Clock):
        """At its very second."""
        clock.now += 60

        assert gcs.answer(call(token)).status == 401
        assert gcs.refused.total() == 1

    def test_a_token_without_a_storage_scope_is_refused(self, gcs: FakeGcs, registry: Registry):
        """403: it is known, and may not."""
        other = registry.issue("worker", ["https://www.googleapis.com/auth/pubsub"]).token

        assert gcs.answer(call(other)).status == 403

    def test_a_reading_scope_does_not_write(self, gcs: FakeGcs, registry: Registry):
        """It reads."""
        reader = registry.issue("worker", [f"{SCOPE}read_only"]).token

        assert gcs.answer(call(reader)).status == 200
        assert gcs.answer(call(reader, f"{UPLOAD}media", "POST", b"new")).status == 403


class TestUploads:
    def test_a_resumable_upload_says_how_far_it_is(self, gcs: FakeGcs, token: str):
        """Chunks of 256 KiB, then the rest with the total."""
        begun = gcs.answer(call(token, f"{UPLOAD}resumable", "POST", b"{}"))
        quantum = 256 * 1024

        first = sent_again(gcs, token, begun, f"bytes 0-{quantum - 1}/*", b"a" * quantum)
        last = sent_again(gcs, token, begun, f"bytes {quantum}-{quantum}/{quantum + 1}", b"b")

        assert (first.status, first.fields) == (308, {"Range": f"bytes=0-{quantum - 1}"})
        assert msgspec.json.decode(last.body)["size"] == str(quantum + 1)

    @pytest.mark.parametrize("span", ["bytes 5-9/10", "bytes 0-9/10", "bytes 0-4/*", "nonsense"])
    def test_a_chunk_that_does_not_fit_is_refused(self, gcs: FakeGcs, token: str, span: str):
        """Five bytes: elsewhere, of another length, no quantum, unreadable."""
        begun = gcs.answer(call(token, f"{UPLOAD}resumable", "POST", b"{}"))

        assert sent_again(gcs, token, begun, span, b"12345").status == 400

    @pytest.mark.parametrize("line", ["\r\n", "\n"])
    def test_a_body_of_two_parts_is_an_object_and_what_is_said_of_it(self, gcs: FakeGcs, token: str, line: str):
        """With the line ends of the RFC, and with gcsfs's."""
        body = two_parts(line, b'{"name": "folder/new", "crc32c": "mnG7TA=="}', b"hello")

        answer = gcs.answer(call(token, f"{UPLOAD}multipart", "POST", body, content_type=KIND))

        assert msgspec.json.decode(answer.body)["name"] == "folder/new"
        assert gcs.answer(call(token, "/data/folder/new")).body == b"hello"

    def test_a_wrong_checksum_is_refused(self, gcs: FakeGcs, token: str):
        """Nothing is stored."""
        body = two_parts("\r\n", b'{"name": "folder/new", "crc32c": "AAAAAA=="}', b"hello")

        assert gcs.answer(call(token, f"{UPLOAD}multipart", "POST", body, content_type=KIND)).status == 400
        assert gcs.answer(call(token, "/data/folder/new")).status == 404

    def test_a_generation_that_is_gone_is_not_overwritten(self, gcs: FakeGcs, token: str):
        """ifGenerationMatch=0 means: only if there is nothing."""
        target = "/upload/storage/v1/b/data/o?name=folder/name&uploadType=media&ifGenerationMatch=0"

        assert gcs.answer(call(token, target, "POST", b"new")).status == 412


KIND = 'multipart/related; boundary="==0=="'


def two_parts(line: str, metadata: bytes, data: bytes) -> bytes:
    """A multipart/related body."""
    head = f"--==0=={line}Content-Type: application/json{line}{line}".encode()
    middle = f"{line}--==0=={line}Content-Type: text/plain{line}{line}".encode()
    return head + metadata + middle + data + f"{line}--==0==--".encode()
