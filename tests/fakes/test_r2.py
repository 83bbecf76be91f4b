"""The fake R2 refuses what R2 refuses; what it grants is seen in tests/sources and tests/clients."""

import time
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from broker.model import AwsKeys, Reference
from broker.secret import Secret
from broker.sources.cloudflare_r2 import CloudflareR2, signed
from tests.fakes.objects import Buckets
from tests.fakes.r2 import ACCOUNT, FakeR2, Parent
from tests.fakes.serving import Answer, Call

PARENT = Parent(key_id="parent", secret="secret")
READER = Parent(key_id="reader", secret="secret2", scope="object-read-only")


@pytest.fixture
def r2() -> FakeR2:
    """Two objects."""
    buckets = Buckets("data", "other")
    buckets.put("data", "mine/a", b"a")
    buckets.put("data", "theirs/a", b"a")
    return FakeR2(PARENT, READER, buckets=buckets)


def keys(parent: Parent = PARENT, at: float | None = None, **more: object) -> AwsKeys:
    """Made from a parent now, or at another time."""
    fields: dict[str, object] = {"account_id": ACCOUNT, "bucket": "data", "permission": "object-read-write"}
    fields |= {"parent_access_key_id": Reference(env="I"), "prefixes": ("mine/",), "ttl": 600} | more
    spec = CloudflareR2(**fields)  # type: ignore[arg-type]  # whatever a test names
    return signed(spec, parent.key_id, Secret(parent.secret), int(at or time.time()))


def call(shown: AwsKeys, target: str, method: str = "GET", region: str = "auto") -> Call:
    """A request as botocore signs it."""
    url = f"http://127.0.0.1:9000{target}"
    request = AWSRequest(method=method, url=url, data=b"", headers={"Host": "127.0.0.1:9000"})
    credentials = Credentials(shown.access_key_id, shown.secret_access_key.open(), shown.session_token.open())
    S3SigV4Auth(credentials, "s3", region).add_auth(request)
    parts = urlsplit(url)
    return Call(method, parts.path, parts.query, {name.lower(): text for name, text in request.headers.items()}, b"")


def code(answer: Answer) -> str:
    """What the error's body says."""
    return answer.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


class TestStore:
    def test_what_the_keys_are_for_is_given(self, r2: FakeR2):
        """Below the prefix alone."""
        assert r2.answer(call(keys(), "/data/mine/a")).body == b"a"
        assert r2.answer(call(keys(), "/data/mine/b", "PUT")).status == 200

    @pytest.mark.parametrize(
        ("shown", "target", "method", "expected"),
        [
            (keys(), "/data/theirs/a", "GET", "AccessDenied"),
            (keys(), "/data?list-type=2&prefix=", "GET", "AccessDenied"),
            (keys(), "/other/mine/a", "GET", "AccessDenied"),
            (keys(permission="object-read-only"), "/data/mine/b", "PUT", "AccessDenied"),
            (keys(READER), "/data/mine/b", "PUT", "AccessDenied"),
            (keys(prefixes=(), objects=("mine/a",)), "/data/mine/ab", "GET", "AccessDenied"),
            (keys(at=time.time() - 601), "/data/mine/a", "GET", "ExpiredRequest"),
            (keys(at=time.time() + 900), "/data/mine/a", "GET", "ExpiredRequest"),
            (keys(Parent(key_id="parent", secret="wrong")), "/data/mine/a", "GET", "Unauthorized"),
            (keys(Parent(key_id="nobody", secret="secret")), "/data/mine/a", "GET", "Unauthorized"),
            (keys(account_id="f" * 32), "/data/mine/a", "GET", "Unauthorized"),
            (AwsKeys("parent", Secret("secret"), Secret("")), "/data/mine/a", "GET", "Unauthorized"),
            (AwsKeys("parent", Secret("secret"), keys().session_token), "/data/mine/a", "GET", "SignatureDoesNotMatch"),
        ],
    )
    def test_anything_else_is_refused(self, r2: FakeR2, shown: AwsKeys, target: str, method: str, expected: str):
        """And counted."""
        assert code(r2.answer(call(shown, target, method))) == expected
        assert r2.refused == {expected: 1}

    def test_another_region_is_refused(self, r2: FakeR2):
        """R2 has one."""
        assert code(r2.answer(call(keys(), "/data/mine/a", region="eu-west-1"))) == "InvalidRegionName"
