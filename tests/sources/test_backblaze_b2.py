"""Application keys of B2, made and deleted at a strict fake of its API and its store."""

import json
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AwsKeys, Given, Kind, Reference
from broker.secret import Secret
from broker.sources import rotation
from broker.sources.backblaze_b2 import BackblazeB2, mint, retire, who
from tests.fakes.b2 import ACCOUNT, ALL, REGION, FakeB2, Key
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call, Served

pytestmark = pytest.mark.usefixtures("aws_home")

Specs = Callable[..., BackblazeB2]
GIVEN = Given(credential="shards")
READING = ("listBuckets", "listFiles", "readFiles")


@pytest.fixture
def b2() -> FakeB2:
    """Two buckets."""
    return FakeB2(Buckets("data-bucket", "other-bucket"))


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch, b2: FakeB2) -> Iterator[Specs]:
    """Of the running fake."""
    monkeypatch.setenv("B2_ID", b2.master.id)
    monkeypatch.setenv("B2_KEY", b2.master.secret)
    with b2.serve() as served:
        fields = {
            "key_id": Reference(env="B2_ID"),
            "application_key": Reference(env="B2_KEY"),
            "bucket": "data-bucket",
            "region": REGION,
            "api_url": served.url,
            "endpoint_url": served.url,
        }
        yield lambda **more: BackblazeB2(**(fields | more))  # type: ignore[arg-type]  # whatever a test names


def planted(b2: FakeB2, name: str, ends: float) -> str:
    """A key that somebody made before."""
    key = Key(id=f"004{len(b2.keys):05}", secret="s", name=name, ends=ends)
    b2.keys[key.id] = key
    return key.id


class TestSpec:
    def test_workers_are_told_the_regions_own_address(self):
        """A key has none of its own."""
        spec = BackblazeB2(
            key_id=Reference(env="I"), application_key=Reference(env="K"), bucket="data-bucket", region=REGION
        )
        url = f"https://s3.{REGION}.backblazeb2.com"

        assert spec.settings() == (("S3_ENDPOINT_URL", url), ("AWS_ENDPOINT_URL_S3", url))
        assert (spec.kind, spec.short_lived, spec.mistakes()) == (Kind.AWS, True, ())
        assert msgspec.structs.replace(spec, api_url="http://b2.example").mistakes()[0][0] == "api_url"


class TestMint:
    def test_a_key_of_one_bucket_and_prefix_that_ends_by_itself(self, b2: FakeB2, specs: Specs):
        """Its end is B2's own; the one in its name is never before that."""
        spec = specs(prefix="mine/", ttl=900)

        minted = mint(spec, GIVEN)

        (key,) = b2.made
        who(spec, minted.value)
        assert minted.value == AwsKeys(key.id, Secret(key.secret), Secret(""))
        assert (key.buckets, key.prefix, key.capabilities) == (("id-data-bucket",), "mine/", READING)
        assert key.ends is not None
        assert abs(minted.expires_at - key.ends) < 0.01
        assert key.name.startswith(rotation.mark("shards"))
        assert key.ends < int(key.name[-10:]) < key.ends + 90
        assert (minted.facts.identity, minted.facts.account) == (f"{key.id}/data-bucket", ACCOUNT)

    def test_a_key_that_was_replaced_lives_on(self, b2: FakeB2, specs: Specs):
        """Somebody was handed it."""
        first = mint(specs(), GIVEN).value

        second = mint(specs(), GIVEN).value

        assert first != second
        assert len(b2.made) == 2
        who(specs(), first)

    def test_what_is_over_is_deleted_and_nothing_else(self, b2: FakeB2, specs: Specs):
        """Not what lives, nor what another host, another credential or a person made."""
        ours, now = rotation.mark("shards"), time.time()
        over = [rotation.named(ours, now - age) for age in (5, 4000)]
        names = [
            rotation.named(ours, now + 60),
            rotation.named(rotation.mark("shards", "elsewhere"), now - 4000),
            rotation.named(rotation.mark("other"), now - 4000),
            "made by hand",
        ]
        for name in (*over, *names):
            planted(b2, name, now - 5)

        mint(specs(), GIVEN)

        assert sorted(b2.deleted) == sorted(over)
        assert {key.name for key in b2.made} > set(names)

    def test_many_keys_are_read_page_by_page(self, b2: FakeB2, specs: Specs):
        """A few hundred each."""
        for number in range(1001):
            planted(b2, f"person-{number}", time.time() + 60)
        last = planted(b2, rotation.named(rotation.mark("shards"), time.time() - 5), time.time() - 5)

        mint(specs(), GIVEN)

        assert last not in b2.keys

    def test_that_another_minter_deletes_the_same_is_no_error(self, b2: FakeB2, specs: Specs):
        """Two of them reap at once."""
        id_ = planted(b2, rotation.named(rotation.mark("shards"), time.time() - 5), time.time() - 5)

        def steps(step: str) -> None:
            if step == "before b2_delete_key":
                b2.keys.pop(id_, None)

        b2.steps = steps

        assert mint(specs(), GIVEN).lifetime > 3500


class TestRefusals:
    def test_a_wrong_or_revoked_key_may_be_renewed(self, b2: FakeB2, specs: Specs):
        """It is the daemon's identity that is wrong."""
        b2.keys.clear()

        with pytest.raises(IdentityMissing, match="`key_id` and `application_key`") as caught:
            mint(specs(), GIVEN)

        assert "CANARY" not in str(caught.value)

    def test_a_key_that_may_not_do_its_work_is_told_what_it_lacks(self, b2: FakeB2, specs: Specs):
        """Before anything is made."""
        b2.master.capabilities = ("listKeys", "writeKeys", "readFiles")

        with pytest.raises(Denied, match="lacks the capabilities deleteKeys, listBuckets"):
            mint(specs(), GIVEN)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"bucket": "nosuch-bucket"}, "no bucket nosuch-bucket"),
            ({"capabilities": ("readFiles", "writeBuckets")}, "correct `capabilities`"),
            ({"endpoint_url": None, "region": "eu-central-003"}, "correct `region`"),
        ],
    )
    def test_what_cannot_be_had_is_named(self, specs: Specs, more: dict[str, object], words: str):
        """By its field."""
        with pytest.raises(Denied, match=words):
            mint(specs(**more), GIVEN)

    def test_a_right_that_the_maker_has_not_is_refused(self, b2: FakeB2, specs: Specs):
        """B2 gives no more than there is."""
        b2.master.capabilities = tuple(name for name in ALL if name != "writeFiles")

        with pytest.raises(Denied, match="it must have itself what it gives"):
            mint(specs(capabilities=("writeFiles",)), GIVEN)

    def test_a_cap_is_waited_for(self, b2: FakeB2, specs: Specs):
        """It is of a day."""
        b2.cap_exceeded = True

        with pytest.raises(Throttled, match="cap is used up"):
            mint(specs(), GIVEN)

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"expirationTimestamp": None}, Malformed),
            ({"expirationTimestamp": 0}, Malformed),
            ({"expirationTimestamp": 9_999_999_999_000}, Malformed),
            ({"applicationKey": "a b"}, Malformed),
            ({"capabilities": list(ALL)}, Malformed),
            ({"bucketIds": None}, Malformed),
            ({"bucketIds": ["id-other-bucket"]}, Malformed),
        ],
    )
    def test_a_key_other_than_was_asked_for_is_refused(
        self, b2: FakeB2, specs: Specs, changes: dict[str, object], error: type[MintError]
    ):
        """One that never ends, above all, or opens more."""

        def changed(call: Call) -> Answer:
            answer = b2.answer(call)
            if not call.path.endswith("b2_create_key"):
                return answer
            return Answer(200, json.dumps(json.loads(answer.body) | changes).encode())

        with Served(changed) as served:
            b2.url, spec = served.url, specs(api_url=served.url)
            with pytest.raises(error):
                mint(spec, GIVEN)

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(503, b'{"code":"service_unavailable"}'), Unreachable),
            (Answer(429), Throttled),
            (Answer(400, b"<html>CANARY"), Malformed),
            (Answer(200, b"{}"), Malformed),
            (Answer(401, b'{"code":"CANARY"}'), Denied),
        ],
    )
    def test_an_api_that_is_in_trouble_is_told(self, specs: Specs, answer: Answer, error: type[MintError]):
        """Nothing of it is quoted."""
        with Served(lambda _: answer) as served, pytest.raises(error) as caught:
            mint(specs(api_url=served.url), GIVEN)

        assert "CANARY" not in str(caught.value)

    def test_it_is_not_led_elsewhere(self, b2: FakeB2, specs: Specs):
        """The key would follow."""
        spec = specs()
        b2.url = "https://evil.example"

        with pytest.raises(Malformed, match="leads elsewhere"):
            mint(spec, GIVEN)


class TestWho:
    def test_a_key_that_was_deleted_is_told(self, b2: FakeB2, specs: Specs):
        """By the store itself."""
        value = mint(specs(), GIVEN).value
        b2.keys.clear()

        with pytest.raises(IdentityMissing, match="does not know the access key"):
            who(specs(), value)

    def test_one_that_may_list_nothing_is_known_none_the_less(self, specs: Specs):
        """There is nothing harmless that it may do."""
        spec = specs(capabilities=("writeFiles",))

        who(spec, mint(spec, GIVEN).value)


class TestRetire:
    def test_that_key_alone_is_deleted(self, b2: FakeB2, specs: Specs):
        """What `check` made does not live on for its `ttl`."""
        first, second = mint(specs(), GIVEN), mint(specs(), GIVEN)
        assert first.facts.principal

        retire(specs(), Given(spent=(first.facts.principal,)))

        assert isinstance(second.value, AwsKeys)
        assert set(b2.keys) == {b2.master.id, second.value.access_key_id}
