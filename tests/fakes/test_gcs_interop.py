"""The fake refuses what Cloud Storage refuses of those who come with S3's protocol."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.fakes.gcs_interop import HOST, FakeInterop
from tests.fakes.objects import Buckets
from tests.fakes.serving import Call
from tests.fakes.sigv4 import KeyRecord

KEY = KeyRecord(access_key_id="GOOG1ACTIVE", secret="one")


@pytest.fixture
def store() -> Iterator[FakeInterop]:
    """A store with one object, which knows one key."""
    buckets = Buckets("data")
    buckets.put("data", "folder/name", b"0123456789")
    with FakeInterop(buckets) as fake:
        fake.keys[KEY.access_key_id] = KEY
        yield fake


def call(
    host: str, path: str, region: str = "auto", secret: str = "one", method: str = "GET", *, trailing: bool = False
) -> Call:
    """A request as botocore signs it, with a checksum behind its body or without."""
    request = AWSRequest(method=method, url=f"https://{host}{path}", headers={"Host": host})
    if trailing:
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    S3SigV4Auth(Credentials(KEY.access_key_id, secret), "s3", region).add_auth(request)
    return Call(method, path, "", {name.lower(): value for name, value in request.headers.items()}, b"")


class TestWhere:
    @pytest.mark.parametrize(
        ("host", "path"),
        [(f"data.{HOST}", "/folder/name"), (HOST, "/data/folder/name"), (f"{HOST}:443", "/data/folder/name")],
    )
    def test_a_bucket_is_named_by_host_or_path(self, store: FakeInterop, host: str, path: str):
        """Both are the same object."""
        assert store.answer(call(host, path)).body == b"0123456789"
        assert store.answered == {"GOOG1ACTIVE": 1}


class TestWho:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [({"secret": "two"}, "SignatureDoesNotMatch"), ({"region": "us-east-1"}, "AuthorizationHeaderMalformed")],
    )
    def test_a_wrong_signature_is_refused(self, store: FakeInterop, changes: dict[str, Any], code: str):
        """By another secret, or for another region."""
        assert code.encode() in store.answer(call(HOST, "/data/folder/name", **changes)).body

    def test_a_key_that_is_not_active_is_refused(self, store: FakeInterop):
        """As soon as it is not."""
        store.keys.clear()

        assert store.answer(call(HOST, "/data/folder/name")).status == 403

    def test_a_checksum_behind_the_body_is_refused(self, store: FakeInterop):
        """As a wrong signature, which is what Google calls it."""
        put = partial(call, HOST, "/data/folder/name", method="PUT")

        assert store.answer(put()).status == 200
        assert store.answer(put(trailing=True)).status == 403
        assert store.refused == {"SignatureDoesNotMatch": 1}
