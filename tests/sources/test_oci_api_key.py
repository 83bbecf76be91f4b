"""API keys of a user given to the broker alone."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.errors import Malformed, Throttled
from broker.model import Files, Given, Kind, Minted
from broker.sources.oci_api_key import ApiKey, mint, retire, who
from tests.fakes.google.registry import key_of
from tests.fakes.oci import BROKER, JOBS, REGION, TENANCY
from tests.sources.oci_world import OciWorld, oci_world
from tests.sources.test_oci_keys import spec


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OciWorld]:
    with oci_world(tmp_path) as found:
        yield found


def contents(minted: Minted) -> dict[str, str]:
    """What a lease is made of."""
    assert isinstance(minted.value, Files)
    return {name: secret.open() for name, secret in minted.value.contents}


class TestSpec:
    def test_the_identitys_own_user_is_a_mistake(self, world: OciWorld):
        """Its key would be deleted once it is older than the lifetime."""
        ((field, _),) = spec(world, user=BROKER).mistakes()

        assert (field, ApiKey.kind, ApiKey.short_lived) == ("user", Kind.OCI, True)


class TestMint:
    def test_the_public_half_is_uploaded_and_all_that_a_config_file_needs_is_served(self, world: OciWorld):
        """The key signs: it is the one that upstream has."""
        minted = mint(spec(world), Given())
        held = contents(minted)
        (there,) = world.fake.keys[JOBS, "apiKeys"]

        assert held["OCI_CLI_FINGERPRINT"] == there["fingerprint"]
        assert held["OCI_CLI_KEY_CONTENT"].startswith("-----BEGIN PRIVATE KEY-----")
        assert (held["OCI_CLI_USER"], held["OCI_CLI_TENANCY"], held["OCI_CLI_REGION"]) == (JOBS, TENANCY, REGION)
        assert minted.lifetime == pytest.approx(7200, abs=2)
        assert minted.facts.identity == f"{JOBS}/{there['fingerprint']}"

    def test_a_rotation_leaves_the_last_key_to_its_end_and_no_longer(self, world: OciWorld):
        """Each mint reaps what is over."""
        marks = []
        for _ in range(4):
            marks.append(contents(mint(spec(world), Given()))["OCI_CLI_FINGERPRINT"])
            world.fake.age(3601)
        there = {one["fingerprint"] for one in world.fake.keys[JOBS, "apiKeys"]}

        assert there == set(marks[-2:])

    def test_three_good_keys_are_as_many_as_there_may_be(self, world: OciWorld):
        """Whoever made them."""
        for _ in range(3):
            mint(spec(world), Given())
        with pytest.raises(Throttled) as caught:
            mint(spec(world), Given())

        assert caught.value.retry_after == pytest.approx(7200, abs=5)

    def test_the_identitys_own_key_is_never_touched(self, world: OciWorld):
        """Else nothing could be minted any more."""
        world.fake.upload(BROKER, key_of("old").public_key(), age=1e6)
        mint(spec(world), Given())

        assert len(world.fake.keys[BROKER, "apiKeys"]) == 2


class TestWho:
    def test_it_is_there(self, world: OciWorld):
        """By one question."""
        minted = mint(spec(world), Given())

        assert who(spec(world), minted.value).principal == minted.facts.principal

    def test_one_that_was_deleted_is_told(self, world: OciWorld):
        """By somebody else."""
        minted = mint(spec(world), Given())
        world.fake.keys[JOBS, "apiKeys"].clear()
        with pytest.raises(Malformed, match="without the key"):
            who(spec(world), minted.value)


class TestRetire:
    def test_that_key_alone_is_deleted(self, world: OciWorld):
        """What `check` made takes none of the three places."""
        first, second = mint(spec(world), Given()), mint(spec(world), Given())
        assert first.facts.principal

        retire(spec(world), Given(spent=(first.facts.principal,)))

        assert [f"{JOBS}/{key['fingerprint']}" for key in world.fake.keys[JOBS, "apiKeys"]] == [second.facts.principal]


class TestSpecs:
    def test_a_lifetime_is_a_quarter_of_an_hour_to_a_day(self):
        """Three keys at a time are all there may be."""
        lifetime = next(field for field in msgspec.structs.fields(ApiKey) if field.name == "lifetime")

        assert msgspec.convert(900, lifetime.type) == 900
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(86_401, lifetime.type)
