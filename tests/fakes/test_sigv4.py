"""The signature verifier of the fakes, against examples that AWS published and against botocore's signer."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.sigv4 import KeyRecord, SignatureRefused, verify

EMPTY = hashlib.sha256(b"").hexdigest()
LONG = KeyRecord(access_key_id="AKIAEXAMPLE", secret="a+secret/key", arn="arn:aws:iam::1:user/u", account="1")
SESSION = KeyRecord(access_key_id="ASIAEXAMPLE", secret="other", session_token="tok/en==", expires_at=2e9)


def known(key_id: str) -> KeyRecord | None:
    """The two keys of these tests."""
    return {record.access_key_id: record for record in (LONG, SESSION)}.get(key_id)


def signed(record: KeyRecord, url: str, body: bytes = b"", service: str = "sts", method: str = "GET") -> dict[str, str]:
    """The headers that botocore would send, lower-case."""
    parts = urlsplit(url)
    request = AWSRequest(method=method, url=url, data=body, headers={"Host": parts.netloc})
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    keys = Credentials(record.access_key_id, record.secret, record.session_token or None)
    signer(keys, service, "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def checked(headers: dict[str, str], url: str, body: bytes = b"", service: str = "sts", **more: object) -> KeyRecord:
    parts = urlsplit(url)
    when = more.pop("now", datetime.now(UTC).timestamp())
    method = str(more.pop("method", "GET"))
    assert isinstance(when, float)
    return verify(method, parts.path, parts.query, headers, body, known, service, when, region="eu-west-1")


class TestPublishedExamples:
    def test_the_iam_list_users_example(self) -> None:
        """The worked example of AWS's description of the signing process."""
        secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        record = KeyRecord(access_key_id="AKIDEXAMPLE", secret=secret)
        headers = {
            "host": "iam.amazonaws.com",
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-amz-date": "20150830T123600Z",
            "authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        }
        when = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()

        query = "Action=ListUsers&Version=2010-05-08"
        assert verify("GET", "/", query, headers, b"", lambda _: record, "iam", when) == record

    def test_the_s3_get_object_example(self) -> None:
        """The worked example of S3's description of header authentication."""
        record = KeyRecord(access_key_id="AKIAIOSFODNN7EXAMPLE", secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        headers = {
            "host": "examplebucket.s3.amazonaws.com",
            "range": "bytes=0-9",
            "x-amz-content-sha256": EMPTY,
            "x-amz-date": "20130524T000000Z",
            "authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        }
        when = datetime(2013, 5, 24, tzinfo=UTC).timestamp()

        assert verify("GET", "/test.txt", "", headers, EMPTY, lambda _: record, "s3", when) == record


class TestAgainstBotocore:
    @pytest.mark.parametrize("record", [LONG, SESSION])
    @pytest.mark.parametrize(
        ("service", "url", "body"),
        [
            ("sts", "http://127.0.0.1:9/", b"Action=GetCallerIdentity&Version=2011-06-15"),
            ("s3", "http://127.0.0.1:9/bucket/a%20b/c%2Bd~e%3Df", b""),
            ("s3", "http://127.0.0.1:9/bucket?list-type=2&prefix=a%2Fb%20c&delimiter=%2F&empty=", b""),
            ("s3", "http://127.0.0.1:9/bucket?acl", b"x" * 1000),
        ],
    )
    def test_what_botocore_signs_is_accepted(self, record: KeyRecord, service: str, url: str, body: bytes) -> None:
        """Two independent readings of the same rules agree."""
        assert checked(signed(record, url, body, service), url, body, service) == record


class TestRefusals:
    URL = "http://127.0.0.1:9/"

    def code(self, headers: dict[str, str], body: bytes = b"", service: str = "sts", **more: object) -> str:
        with pytest.raises(SignatureRefused) as refused:
            checked(headers, self.URL, body, service, **more)
        return f"{refused.value.code} {refused.value.why}"

    def test_no_authorization(self) -> None:
        """An unsigned request is not looked at further."""
        assert self.code({"host": "127.0.0.1:9"}) == "MissingAuthenticationToken missing"

    def test_another_signing_method(self) -> None:
        """Version 2, or a presigned request's remains."""
        assert self.code({"host": "h", "authorization": "AWS AKIA:xyz"}) == "IncompleteSignature malformed"

    def test_an_unknown_key(self) -> None:
        """A key that nobody issued."""
        stranger = KeyRecord(access_key_id="AKIASTRANGER", secret="x")
        assert self.code(signed(stranger, self.URL)) == "InvalidClientTokenId key"

    def test_a_wrong_secret(self) -> None:
        """The key id alone is worth nothing."""
        liar = KeyRecord(access_key_id=LONG.access_key_id, secret="guessed")
        assert self.code(signed(liar, self.URL)) == "SignatureDoesNotMatch signature"

    def test_a_body_that_was_changed(self) -> None:
        """The payload hash is part of what is signed."""
        assert self.code(signed(LONG, self.URL, b"a"), b"b") == "SignatureDoesNotMatch signature"

    def test_an_s3_body_that_was_changed(self) -> None:
        """S3 names the mismatch."""
        assert self.code(signed(LONG, self.URL, b"a", "s3"), b"b", "s3") == "XAmzContentSHA256Mismatch payload"

    def test_a_method_that_was_changed(self) -> None:
        """A signed GET is no DELETE."""
        assert self.code(signed(LONG, self.URL), method="DELETE") == "SignatureDoesNotMatch signature"

    def test_a_stale_date(self) -> None:
        """More than a quarter of an hour away, either way."""
        for away in (-901.0, 903.0):
            then = datetime.now(UTC).timestamp() + away
            assert self.code(signed(LONG, self.URL), now=then) == "SignatureDoesNotMatch stale"

    def test_an_expired_session(self) -> None:
        """The signature is right but the session is over."""
        over = {"x": KeyRecord(access_key_id="ASIAOVER", secret="s", session_token="t", expires_at=1.0)}
        headers = signed(over["x"], self.URL)
        with pytest.raises(SignatureRefused, match="ExpiredToken"):
            verify("GET", "/", "", headers, b"", lambda _: over["x"], "sts", datetime.now(UTC).timestamp())

    def test_another_session_token(self) -> None:
        """Keys of one session with the token of another are nobody's."""
        mixed = KeyRecord(access_key_id=SESSION.access_key_id, secret=SESSION.secret, session_token="foreign")
        assert self.code(signed(mixed, self.URL)) == "InvalidClientTokenId token"

    def test_a_session_token_that_is_not_signed(self) -> None:
        """Any x-amz header must be covered, or it could be swapped."""
        headers = signed(SESSION, self.URL)
        headers["authorization"] = headers["authorization"].replace(";x-amz-security-token", "")
        assert self.code(headers) == "SignatureDoesNotMatch unsigned"

    def test_another_region_or_service(self) -> None:
        """A signature for one endpoint opens no other."""
        headers = signed(LONG, self.URL)
        for old, new in (("eu-west-1", "us-east-1"), ("/sts/", "/iam/")):
            moved = {**headers, "authorization": headers["authorization"].replace(old, new)}
            assert self.code(moved) == "SignatureDoesNotMatch scope"
