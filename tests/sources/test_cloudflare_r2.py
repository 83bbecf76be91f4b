"""Keys of an R2 bucket, signed here or made by Cloudflare's API, at a strict fake of both."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AwsKeys, Given, Kind, Reference
from broker.secret import Secret
from broker.sources.cloudflare_r2 import CloudflareR2, mint, signed, who
from tests.fakes.objects import Buckets
from tests.fakes.r2 import ACCOUNT, API_TOKEN, HOST, FakeR2, Parent
from tests.fakes.serving import Answer, Served

pytestmark = pytest.mark.usefixtures("aws_home")

PARENT = Parent(key_id="00112233445566778899aabbccddeeff", secret="5ec4e7" * 10 + "5ec4")
NOW = 1_795_000_000
Specs = Callable[..., CloudflareR2]


@pytest.fixture
def r2() -> FakeR2:
    """One bucket with two folders."""
    buckets = Buckets("data", "other")
    buckets.put("data", "mine/a", b"mine")
    buckets.put("data", "theirs/b", b"theirs")
    return FakeR2(PARENT, buckets=buckets)


@pytest.fixture
def store(r2: FakeR2) -> Iterator[Served]:
    """Running."""
    with r2.serve() as served:
        yield served


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch, store: Served) -> Specs:
    """Specs that sign here."""
    monkeypatch.setenv("R2_ID", PARENT.key_id)
    monkeypatch.setenv("R2_SECRET", PARENT.secret)
    return lambda **more: a_spec(store, **({"parent_secret_access_key": Reference(env="R2_SECRET")} | more))


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch, store: Served) -> Specs:
    """Specs that ask the API."""
    monkeypatch.setenv("R2_ID", PARENT.key_id)
    monkeypatch.setenv("CF_TOKEN", API_TOKEN)
    return lambda **more: a_spec(store, api_token=Reference(env="CF_TOKEN"), **more)


def a_spec(store: Served, **more: object) -> CloudflareR2:
    """Of the fake, unless said otherwise."""
    fields: dict[str, object] = {
        "account_id": ACCOUNT,
        "bucket": "data",
        "permission": "object-read-write",
        "parent_access_key_id": Reference(env="R2_ID"),
        "endpoint_url": store.url,
        "api_url": f"{store.url}/client/v4",
    }
    return CloudflareR2(**(fields | more))  # type: ignore[arg-type]  # whatever a test names


class TestSpec:
    def test_workers_are_told_the_accounts_own_address(self):
        """With its jurisdiction, if it has one."""
        spec = CloudflareR2(
            account_id=ACCOUNT,
            bucket="data",
            permission="object-read-only",
            parent_access_key_id=Reference(env="I"),
            api_token=Reference(env="T"),
            jurisdiction="eu",
        )
        url = f"https://{ACCOUNT}.eu.r2.cloudflarestorage.com"

        assert spec.settings() == (("S3_ENDPOINT_URL", url), ("AWS_ENDPOINT_URL_S3", url))
        assert (spec.kind, spec.short_lived, spec.mistakes()) == (Kind.AWS, True, ())

    def test_one_of_two_ways_must_be_named(self, local: Specs):
        """Neither and both are mistakes; so is a token in the clear."""
        assert [field for field, _ in local(api_token=Reference(env="T")).mistakes()] == ["parent_secret_access_key"]
        assert [field for field, _ in local(parent_secret_access_key=None).mistakes()] == ["parent_secret_access_key"]
        assert [field for field, _ in local(api_url="http://cloudflare.example").mistakes()] == ["api_url"]


class TestSigned:
    def test_it_is_bit_for_bit_what_the_description_says(self, local: Specs):
        """Put together here by hand, and signed by `cryptography`."""
        spec = local(prefixes=("mine/",), ttl=900)

        keys = signed(spec, PARENT.key_id, Secret(PARENT.secret), NOW)

        said = b".".join(
            base64.urlsafe_b64encode(part).rstrip(b"=")
            for part in (
                b'{"alg":"HS256","typ":"JWT"}',
                b'{"bucket":"data","scope":"object-read-write",'
                b'"paths":{"prefixPaths":["mine/"],"objectPaths":[]},'
                b'"sub":"%s","iss":"%s","aud":"%s","iat":1795000000,"exp":1795000900}'
                % (ACCOUNT.encode(), PARENT.key_id.encode(), HOST.encode()),
            )
        )
        signature = HMAC(PARENT.secret.encode(), hashes.SHA256())
        signature.update(said)
        token = said + b"." + base64.urlsafe_b64encode(signature.finalize()).rstrip(b"=")
        digest = hashes.Hash(hashes.SHA256())
        digest.update(token)
        assert keys == AwsKeys(
            PARENT.key_id, Secret(digest.finalize().hex()), Secret(base64.b64encode(b"jwt/" + token).decode())
        )

    def test_without_paths_the_whole_bucket_is_meant(self, local: Specs):
        """The claim is left out, as in Cloudflare's example."""
        keys = signed(local(), PARENT.key_id, Secret(PARENT.secret), NOW)

        claims = base64.b64decode(keys.session_token.open()).split(b".")[1]
        assert set(json.loads(base64.urlsafe_b64decode(claims + b"=="))) == {
            "bucket", "scope", "sub", "iss", "aud", "iat", "exp",
        }  # fmt: skip


class TestMint:
    @pytest.mark.parametrize("way", ["local", "remote"])
    def test_the_store_takes_the_keys(self, way: str, request: pytest.FixtureRequest):
        """However they were made; their end is what R2 will hold them to."""
        spec = request.getfixturevalue(way)(prefixes=("mine/",), ttl=900)

        minted = mint(spec, Given())

        who(spec, minted.value)
        assert 890 < minted.lifetime <= 900
        assert (minted.facts.identity, minted.facts.region) == (f"{PARENT.key_id}/data", "auto")

    def test_signing_asks_nobody(self, local: Specs, store: Served):
        """Cloudflare may be away."""
        store.stop()

        assert mint(local(), Given()).lifetime > 3598

    def test_the_api_is_sent_what_narrows(self, r2: FakeR2, remote: Specs):
        """And nothing that is not configured."""
        mint(remote(objects=("mine/a",), permission="object-read-only"), Given())

        assert r2.asked == [
            {
                "bucket": "data",
                "parentAccessKeyId": PARENT.key_id,
                "permission": "object-read-only",
                "ttlSeconds": 3600,
                "objects": ["mine/a"],
            }
        ]

    @pytest.mark.parametrize(
        ("more", "error", "words"),
        [
            ({"bucket": "nosuch"}, Denied, "R2 has no bucket nosuch"),
            ({"permission": "admin-read-write"}, Denied, "`permission` must be one that the parent has"),
            ({"account_id": "f" * 32}, Denied, "check `account_id`"),
        ],
    )
    def test_a_refusal_says_what_to_correct(
        self, remote: Specs, more: dict[str, object], error: type[MintError], words: str
    ):
        """By Cloudflare's numbers; its sentences stay out."""
        with pytest.raises(error, match=words) as caught:
            mint(remote(**more), Given())

        assert "CANARY" not in str(caught.value)

    def test_a_revoked_api_token_may_be_renewed(self, r2: FakeR2, remote: Specs):
        """It is the daemon's identity, not the mint, that is wrong."""
        r2.api_tokens.clear()

        with pytest.raises(IdentityMissing, match="does not accept `api_token`"):
            mint(remote(), Given())

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(429, b"CANARY", {"Retry-After": "7"}), Throttled),
            (Answer(502, b"CANARY"), Unreachable),
            (Answer(302, b"", {"Location": "http://127.0.0.1:1/"}), Malformed),
            (Answer(400, b"<html>CANARY"), Malformed),
            (Answer(200, b'{"result":null}'), Malformed),
            (Answer(200, b'{"result":{"accessKeyId":"a b","secretAccessKey":"s","sessionToken":"t"}}'), Malformed),
            (Answer(200, b'{"result":{"accessKeyId":"a","secretAccessKey":"s","sessionToken":""}}'), Malformed),
        ],
    )
    def test_what_is_no_set_of_keys_is_none(self, remote: Specs, answer: Answer, error: type[MintError]):
        """Nothing of it is quoted."""
        with Served(lambda _: answer) as served, pytest.raises(error) as caught:
            mint(remote(api_url=served.url), Given())

        assert "CANARY" not in str(caught.value)

    def test_what_can_be_no_key_is_named(self, local: Specs, monkeypatch: pytest.MonkeyPatch):
        """And not quoted."""
        monkeypatch.setenv("R2_SECRET", "CAN ARY")

        with pytest.raises(IdentityMissing, match="parent_secret_access_key: the variable R2_SECRET") as caught:
            mint(local(), Given())

        assert "CAN ARY" not in str(caught.value)

    def test_a_token_too_long_for_clients_is_refused(self, local: Specs):
        """CRT clients close the connection at 10,000 bytes."""
        with pytest.raises(Denied, match="fewer prefixes"):
            mint(local(prefixes=tuple(f"{number:0100}" for number in range(70))), Given())


class TestWho:
    def test_keys_of_single_objects_are_asked_for_one(self, local: Specs):
        """They may list nothing; the object need not be there."""
        spec = local(objects=("mine/nosuch",))

        who(spec, mint(spec, Given()).value)

    @pytest.mark.parametrize(
        ("more", "code"), [({"bucket": "other"}, "AccessDenied"), ({"jurisdiction": "eu"}, "Unauthorized")]
    )
    def test_what_the_parent_may_not_is_told(self, local: Specs, more: dict[str, object], code: str):
        """Signing alone cannot know."""
        spec = local(**more)

        with pytest.raises(MintError) as caught:
            who(spec, mint(spec, Given()).value)

        assert caught.value.code == code

    def test_a_revoked_parent_is_told(self, local: Specs, r2: FakeR2):
        """And one whose secret is another."""
        spec = local()
        value = mint(spec, Given()).value
        r2.parents.clear()

        with pytest.raises(IdentityMissing, match="those they come from are revoked, or not of this account"):
            who(spec, value)

    def test_a_clock_that_is_off_is_told(self, local: Specs, r2: FakeR2):
        """R2 has its own."""
        spec = local()
        value = mint(spec, Given()).value
        r2._clock = lambda: 0.0

        with pytest.raises(IdentityMissing, match="set this machine's clock"):
            who(spec, value)
