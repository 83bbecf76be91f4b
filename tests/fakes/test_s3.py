"""The fake S3 refuses what S3 refuses; what it grants is seen in tests/clients, by real clients."""

import base64
import time
import zlib
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.objects import Buckets
from tests.fakes.s3 import FakeS3, Terms
from tests.fakes.serving import Answer, Call
from tests.fakes.sigv4 import KeyRecord

NOW = time.time()
LIVING = KeyRecord(access_key_id="ASIALIVING", secret="one", session_token="token", expires_at=NOW + 60)
EXPIRED = KeyRecord(access_key_id="ASIAEXPIRED", secret="two", session_token="token", expires_at=NOW - 1)
STRANGER = KeyRecord(access_key_id="ASIASTRANGER", secret="three", session_token="token")


@pytest.fixture
def s3() -> FakeS3:
    """A store with one object, which knows two keys."""
    buckets = Buckets("data")
    buckets.put("data", "folder/name", b"0123456789")
    return FakeS3({key.access_key_id: key for key in (LIVING, EXPIRED)}.get, buckets, clock=lambda: NOW)


def call(
    key: KeyRecord, target: str = "/data/folder/name", method: str = "GET", body: bytes = b"", **fields: str
) -> Call:
    """A request as botocore signs it; `region` may be among the fields."""
    region = fields.pop("region", "eu-west-1")
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    url = f"http://127.0.0.1:9000{target}"
    request = AWSRequest(method=method, url=url, data=body, headers={"Host": "127.0.0.1:9000", **named})
    S3SigV4Auth(Credentials(key.access_key_id, key.secret, key.session_token), "s3", region).add_auth(request)
    parts = urlsplit(url)
    signed = {name.lower(): value for name, value in request.headers.items()}
    return Call(method, parts.path, parts.query, signed, body)


def code(answer: Answer) -> str:
    """What the error's body says."""
    return answer.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


class TestWhoAsks:
    def test_a_living_key_is_answered_and_counted(self, s3: FakeS3):
        """By key and folder."""
        assert s3.answer(call(LIVING)).body == b"0123456789"
        assert s3.answered == {("ASIALIVING", "folder"): 1}

    @pytest.mark.parametrize(
        ("shown", "status", "expected"),
        [
            (call(EXPIRED), 400, "ExpiredToken"),
            (call(STRANGER), 403, "InvalidAccessKeyId"),
            (Call("GET", "/data/folder/name", "", {"host": "127.0.0.1:9000"}, b""), 403, "AccessDenied"),
            (call(LIVING, region="us-east-1"), 400, "AuthorizationHeaderMalformed"),
        ],
    )
    def test_anybody_else_is_refused_and_counted(self, s3: FakeS3, shown: Call, status: int, expected: str):
        """With the code and status of S3."""
        answer = s3.answer(shown)

        assert (answer.status, code(answer)) == (status, expected)
        assert s3.refused == {expected: 1}
        assert not s3.answered

    def test_a_signature_for_another_object_is_refused(self, s3: FakeS3):
        """It covers the path."""
        signed = call(LIVING, "/data/folder/other")

        moved = Call(signed.method, "/data/folder/name", signed.raw_query, signed.fields, signed.body)

        assert code(s3.answer(moved)) == "SignatureDoesNotMatch"


class TestUploads:
    def test_a_body_that_was_not_signed_is_refused(self, s3: FakeS3):
        """Its hash is in the signature."""
        signed = call(LIVING, method="PUT", body=b"signed")

        changed = Call(signed.method, signed.path, signed.raw_query, signed.fields, b"changed")

        assert code(s3.answer(changed)) == "XAmzContentSHA256Mismatch"

    @pytest.mark.parametrize("name", ["x_amz_checksum_crc32", "x_amz_checksum_sha256", "content_md5"])
    def test_a_wrong_checksum_is_refused(self, s3: FakeS3, name: str):
        """Every kind that is stated is computed."""
        assert code(s3.answer(call(LIVING, method="PUT", body=b"body", **{name: "AAAAAA=="}))) == "BadDigest"

    def test_chunks_with_a_trailer_become_the_object(self, s3: FakeS3):
        """As newer AWS clients send streams."""
        checksum = base64.b64encode(zlib.crc32(b"hello, world").to_bytes(4)).decode()
        body = f"7\r\nhello, \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:{checksum}\r\n\r\n".encode()

        assert s3.answer(chunked(body)).status == 200
        assert s3.answer(call(LIVING)).body == b"hello, world"

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            (b"c\r\nhello, world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
            (b"c\r\nhello, world\r\n0\r\n\r\n", "MalformedTrailerError"),
            (b"c\r\nhello", "IncompleteBody"),
            (b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n", "IncompleteBody"),
        ],
    )
    def test_chunks_that_are_not_what_they_say_are_refused(self, s3: FakeS3, body: bytes, expected: str):
        """A wrong checksum, none, a cut body, another length."""
        assert code(s3.answer(chunked(body))) == expected

    def test_parts_become_one_object(self, s3: FakeS3):
        """In order of their numbers, and only with the tags that they were given."""
        begun = s3.answer(call(LIVING, "/data/folder/name?uploads", "POST")).body.decode()
        upload = begun.partition("<UploadId>")[2].partition("<")[0]
        tags = []
        for number, body in ((1, b"first"), (2, b"second")):
            target = f"/data/folder/name?partNumber={number}&uploadId={upload}"
            tags.append(s3.answer(call(LIVING, target, "PUT", body)).fields["ETag"])
        target = f"/data/folder/name?uploadId={upload}"

        assert code(s3.answer(call(LIVING, target, "POST", listed(*reversed(tags))))) == "InvalidPart"
        assert s3.answer(call(LIVING, target, "POST", listed(*tags))).status == 200
        assert s3.answer(call(LIVING)).body == b"firstsecond"


def chunked(body: bytes) -> Call:
    """An upload of twelve bytes in aws-chunked coding. Its payload hash says so, which botocore signs as it stands."""
    fields = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": "12",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    signer = S3SigV4Auth(Credentials(LIVING.access_key_id, LIVING.secret, LIVING.session_token), "s3", "eu-west-1")
    url = "http://127.0.0.1:9000/data/folder/name"
    request = AWSRequest(method="PUT", url=url, headers={"Host": "127.0.0.1:9000", **fields})
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    request.context["payload_signing_enabled"] = False
    signer.add_auth(request)
    signed = {name.lower(): value for name, value in request.headers.items()}
    return Call("PUT", "/data/folder/name", "", signed, body)


def listed(*tags: str) -> bytes:
    """The body that completes an upload."""
    parts = [
        f"<Part><ETag>{tag}</ETag><PartNumber>{number}</PartNumber></Part>" for number, tag in enumerate(tags, start=1)
    ]
    return f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()


class TestReading:
    @pytest.mark.parametrize(
        ("asked", "status", "body"),
        [
            ("bytes=2-4", 206, b"234"),
            ("bytes=8-99", 206, b"89"),
            ("bytes=-3", 206, b"789"),
            ("bytes=4-", 206, b"456789"),
        ],
    )
    def test_a_range_is_a_range(self, s3: FakeS3, asked: str, status: int, body: bytes):
        """Both ends count, as in RFC 9110."""
        answer = s3.answer(call(LIVING, range=asked))

        assert (answer.status, answer.body) == (status, body)

    def test_one_behind_the_end_is_refused(self, s3: FakeS3):
        """416, which readers of Parquet rely on."""
        assert s3.answer(call(LIVING, range="bytes=10-")).status == 416

    def test_pages_go_on_where_the_last_ended(self, s3: FakeS3):
        """Folders count as entries."""
        for name in ("folder/a", "folder/b/1", "folder/b/2", "folder/c"):
            s3.answer(call(LIVING, f"/data/{name}", "PUT"))
        target, seen = "/data?list-type=2&prefix=folder%2F&delimiter=%2F&max-keys=2", []
        page: str | None = target
        while page:
            text = s3.answer(call(LIVING, page)).body.decode()
            seen += [part.partition("<")[0] for part in text.split("<Key>")[1:]]
            seen += [f"{part.partition('<')[0]}*" for part in text.split("<CommonPrefixes><Prefix>")[1:]]
            after = text.partition("<NextContinuationToken>")[2].partition("<")[0]
            page = f"{target}&continuation-token={quote(after, safe='')}" if after else None

        assert seen == ["folder/a", "folder/b/*", "folder/c", "folder/name"]

    @pytest.mark.parametrize("target", ["/data?versioning", "/data?list-type=1", "/data/folder/name?acl"])
    def test_what_it_does_not_know_it_says(self, s3: FakeS3, target: str):
        """Never an answer to another question."""
        assert s3.answer(call(LIVING, target)).status == 501


class TestTerms:
    @pytest.fixture
    def theirs(self) -> FakeS3:
        """Two buckets of somebody with terms, an object in each."""
        buckets = Buckets("paid", "shared")
        buckets.put("paid", "folder/name", b"0123456789")
        terms = {"paid": Terms(requester_pays=True), "shared": Terms(acl="bucket-owner-read")}
        return FakeS3({LIVING.access_key_id: LIVING}.get, buckets, clock=lambda: NOW, terms=terms)

    def test_who_does_not_pay_reads_nothing(self, theirs: FakeS3):
        """Not even that it is there; looking for the bucket is free."""
        assert theirs.answer(call(LIVING, "/paid/folder/name")).status == 403
        assert theirs.answer(call(LIVING, "/paid/folder/name", "HEAD")).status == 403
        assert theirs.answer(call(LIVING, "/paid/folder/name", x_amz_request_payer="requester")).status == 200
        assert theirs.answer(call(LIVING, "/paid", "HEAD")).status == 200

    @pytest.mark.parametrize(
        ("fields", "status"),
        [({}, 403), ({"x_amz_acl": "private"}, 403), ({"x_amz_acl": "bucket-owner-read"}, 200)],
    )
    def test_an_upload_shows_the_acl_that_the_owner_asks_for(self, theirs: FakeS3, fields: dict[str, str], status: int):
        """No other, and none is another."""
        assert theirs.answer(call(LIVING, "/shared/folder/name", "PUT", b"body", **fields)).status == status

    def test_an_acl_that_does_not_exist_is_refused(self, s3: FakeS3):
        """Terms or not."""
        assert code(s3.answer(call(LIVING, "/data/folder/name", "PUT", b"body", x_amz_acl="mine"))) == "InvalidArgument"
