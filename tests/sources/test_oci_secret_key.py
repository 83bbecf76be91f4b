"""Customer secret keys: named with their end, two a user, for clients of S3."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.errors import Malformed, Throttled
from broker.model import AwsKeys, Given, Kind
from broker.sources.oci_secret_key import SecretKey, mint, retire, who
from tests.fakes.oci import BROKER, JOBS, NAMESPACE, REGION
from tests.fakes.serving import Answer, Call, Served
from tests.sources.oci_world import OciWorld, oci_world

KIND = "customerSecretKeys"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OciWorld]:
    with oci_world(tmp_path) as found:
        yield found


def spec(world: OciWorld, **more: Any) -> SecretKey:
    """Keys of JOBS, made by BROKER."""
    return SecretKey(**(world.by_key() | {"namespace": NAMESPACE} | more))


def minted_id(world: OciWorld) -> str:
    """The access key id of a new one."""
    value = mint(spec(world), Given()).value
    assert isinstance(value, AwsKeys)
    return value.access_key_id


def there(world: OciWorld) -> list[str]:
    """The ids that there are, oldest first."""
    return [str(one["id"]) for one in world.fake.keys[JOBS, KIND]]


class TestSpec:
    def test_workers_are_told_where_the_store_is(self, world: OciWorld):
        """Oracle's endpoint for clients of S3, under both names that are read."""
        url = f"https://{NAMESPACE}.compat.objectstorage.{REGION}.oraclecloud.com"

        assert dict(spec(world).settings()) == {"S3_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_S3": url}
        assert (SecretKey.kind, SecretKey.short_lived, spec(world).mistakes()) == (Kind.AWS, True, ())

    def test_a_user_may_make_his_own(self, world: OciWorld):
        """His API key is of another kind, and is not deleted."""
        assert spec(world, user=BROKER).mistakes() == ()


class TestMint:
    def test_a_key_without_a_session_token_whose_name_says_when_it_ends(self, world: OciWorld):
        """By upstream's clock, whatever ours is."""
        world.fake.skew = -200.0
        minted = mint(spec(world), Given())
        (made,) = world.fake.keys[JOBS, KIND]
        value = minted.value
        assert isinstance(value, AwsKeys)

        assert (value.access_key_id, value.secret_access_key.open(), value.session_token.open()) == (
            *(made["id"], made["key"]),
            "",
        )
        assert made["displayName"].endswith(f"-{minted.expires_at:.0f}")
        assert minted.expires_at == pytest.approx(time.time() + 7000, abs=3)
        assert minted.lifetime == pytest.approx(7200, abs=3)
        assert minted.facts.identity == made["id"]

    def test_a_rotation_leaves_the_last_key_to_its_end_and_no_longer(self, world: OciWorld):
        """Each mint reaps what is over; there are never more than two."""
        made = []
        for _ in range(4):
            made.append(minted_id(world))
            world.fake.age(3601)

        assert there(world) == made[-2:]

    def test_two_good_keys_are_as_many_as_there_may_be(self, world: OciWorld):
        """Until the older one ends."""
        made = [minted_id(world)]
        world.fake.age(3000)
        made.append(minted_id(world))
        with pytest.raises(Throttled) as caught:
            minted_id(world)

        assert caught.value.retry_after == pytest.approx(4200, abs=5)
        assert there(world) == made

    @pytest.mark.parametrize(
        "name", ["backup", "credbroker", "credbroker-00000000-123", "x-credbroker-00000000-1000000000"]
    )
    def test_what_others_made_is_left_alone(self, world: OciWorld, name: str):
        """However old it is."""
        made = {"id": "theirs", "displayName": name, "lifecycleState": "ACTIVE"}
        world.fake.keys[JOBS, KIND] = [made]
        minted_id(world)

        assert there(world)[0] == "theirs"

    def test_another_brokers_is_reaped_too(self, world: OciWorld):
        """A host that is gone reaps nothing any more."""
        made = {"id": "theirs", "displayName": "credbroker-00000000-1000000000", "lifecycleState": "ACTIVE"}
        world.fake.keys[JOBS, KIND] = [made]

        assert there(world) != [minted_id(world)] == there(world)

    @pytest.mark.parametrize("made", [b"{}", b'{"id": "k"}', b'{"id": "k", "key": "a\\nb"}', b"[]"])
    def test_a_part_of_a_key_is_none(self, world: OciWorld, made: bytes):
        """Clients would sign with half of it."""

        def answering(call: Call) -> Answer:
            return Answer(200, b"[]" if call.method == "GET" else made)

        with Served(answering) as served, pytest.raises(Malformed):
            mint(spec(world, endpoint_url=served.url), Given())

    def test_a_key_without_an_id_is_malformed(self, world: OciWorld):
        """It could not be deleted."""
        world.fake.keys[JOBS, KIND] = [{"id": 5, "displayName": "x"}]
        with pytest.raises(Malformed, match="without an id"):
            minted_id(world)


class TestWho:
    def test_it_is_there(self, world: OciWorld):
        """By one question."""
        minted = mint(spec(world), Given())

        assert who(spec(world), minted.value).principal == minted.facts.principal

    def test_one_that_was_deleted_is_told(self, world: OciWorld):
        """By somebody else."""
        minted = mint(spec(world), Given())
        world.fake.keys[JOBS, KIND].clear()
        with pytest.raises(Malformed, match="without the key"):
            who(spec(world), minted.value)


class TestRetire:
    def test_that_key_alone_is_deleted(self, world: OciWorld):
        """What `check` made takes neither of the two places."""
        first, second = minted_id(world), minted_id(world)

        retire(spec(world), Given(spent=(first,)))

        assert there(world) == [second]
