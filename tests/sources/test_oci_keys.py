"""Keys without an end of their own, of one user: reaped, made, and counted, whichever kind they are."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import Reference
from broker.sources.oci_api_key import ApiKey
from broker.sources.oci_keys import Key, Keyring, epoch, members
from tests.fakes.google.registry import key_of
from tests.fakes.oci import BROKER, JOBS, REGION, STRANGER
from tests.fakes.oci_signature import fingerprint
from tests.fakes.serving import Answer, Call, Served
from tests.sources.oci_world import OciWorld, oci_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OciWorld]:
    with oci_world(tmp_path) as found:
        yield found


def spec(world: OciWorld, by: str = BROKER, **more: Any) -> ApiKey:
    """Keys of JOBS, made by this user."""
    return ApiKey(**(world.by_key(by) | more))


def refused(world: OciWorld, kind: type[MintError], by: str = BROKER, **more: Any) -> MintError:
    """The error of asking what there is, which quotes nobody."""
    with pytest.raises(kind) as caught:
        Keyring(spec(world, by, **more)).listed()
    assert "UPSTREAM-TEXT" not in caught.value.advice
    return caught.value


class TestSpec:
    def test_the_home_region_is_where_keys_are_made(self, world: OciWorld):
        """Identity is written there alone."""
        one = spec(world, endpoint_url=None, home_region="us-ashburn-1")

        assert one.keys_url == f"https://identity.us-ashburn-1.oci.oraclecloud.com/20160918/users/{JOBS}/apiKeys"
        assert f"identity.{REGION}." in spec(world, endpoint_url=None).keys_url

    def test_an_endpoint_in_the_clear_is_a_mistake(self, world: OciWorld):
        """New keys would travel there."""
        ((field, _),) = spec(world, endpoint_url="http://identity.example").mistakes()

        assert (field, spec(world).mistakes()) == ("endpoint_url", ())


class TestRefusals:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"tenancy": "ocid1.tenancy.oc1..other"},
            {"identity": "ocid1.user.oc1..nobody"},
            {"fingerprint": ":".join(["00"] * 16)},
        ],
    )
    def test_what_does_not_belong_together_is_told(self, world: OciWorld, wrong: dict[str, str]):
        """For good: only the configuration can mend it."""
        error = refused(world, Denied, **wrong)

        assert (error.code, "`fingerprint`" in error.advice) == ("NotAuthenticated", True)

    def test_a_key_that_was_revoked_is_likewise(self, world: OciWorld):
        """Upstream says no more than that."""
        world.fake.keys[BROKER, "apiKeys"].clear()

        assert refused(world, Denied).code == "NotAuthenticated"

    def test_an_identity_that_may_not_is_told_what_it_needs(self, world: OciWorld):
        """Upstream does not say whether there is such a user."""
        error = refused(world, Denied, by=STRANGER)

        assert (error.code, "a policy must allow it" in error.advice) == ("NotAuthorizedOrNotFound", True)

    def test_a_clock_that_is_wrong_is_told(self, world: OciWorld):
        """Not called a wrong key."""
        world.fake.skew = 400.0

        assert refused(world, IdentityMissing).code == "ClockSkewed"

    def test_what_is_no_key_is_told_and_not_quoted(self, world: OciWorld):
        """A public one, or a passphrase on it."""
        error = refused(world, IdentityMissing, private_key=world.file("x.pem", "CANARY"))

        assert (error.code, "CANARY" in error.advice) == ("ReferenceNotKey", False)
        assert refused(world, IdentityMissing, private_key=Reference(env="NOT_THERE_AT_ALL")).code == "ReferenceAbsent"

    def test_without_the_extra_it_says_how_to_install_it(self, world: OciWorld, monkeypatch: pytest.MonkeyPatch):
        """Nobody is asked."""
        for name in [name for name in sys.modules if name.split(".")[0] == "oci"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "oci", None)

        assert "install 'credbroker[oci]'" in refused(world, Denied).advice
        assert world.fake.asked == []

    @pytest.mark.parametrize(("status", "kind"), [(429, Throttled), (503, Unreachable), (418, Denied)])
    def test_the_rest_by_its_status(self, world: OciWorld, status: int, kind: type[MintError]):
        """Patience, later, never."""

        def answering(_: Call) -> Answer:
            return Answer(status, b"{}")

        with Served(answering) as served:
            refused(world, kind, endpoint_url=served.url)


class TestMake:
    def keyring(self, world: OciWorld, *ends: float | None) -> tuple[Keyring, tuple[Key, ...]]:
        """As many keys as there are ends, and what is known of them."""
        made = [world.fake.upload(JOBS, key_of(str(number)).public_key()) for number in range(len(ends))]
        known = (Key(name=one["fingerprint"], ends=end) for one, end in zip(made, ends, strict=True))
        return Keyring(spec(world)), tuple(known)

    def names(self, world: OciWorld) -> set[str]:
        return {one["fingerprint"] for one in world.fake.keys[JOBS, "apiKeys"]}

    def test_what_is_over_goes_and_what_is_good_or_not_ours_stays(self, world: OciWorld):
        """Nobody who was handed a key sees it go before its end."""
        now = world.fake.now
        ring, keys = self.keyring(world, now - 1, now + 60, None)
        ring.make(keys, ring.listed(), {"key": public(key_of("new"))})

        assert self.names(world) == {keys[1].name, keys[2].name, fingerprint(key_of("new").public_key())}

    def test_one_that_another_broker_deleted_first_is_no_error(self, world: OciWorld):
        """Two may reap at once."""
        ring, keys = self.keyring(world, 5.0)
        world.fake.keys[JOBS, "apiKeys"].clear()
        ring.make(keys, ring.listed(), {"key": public(key_of("new"))})

        assert world.fake.refused == ["NotAuthorizedOrNotFound"]

    def test_a_full_quota_says_when_the_oldest_ends(self, world: OciWorld):
        """And asks for nothing that upstream would refuse."""
        now = world.fake.now
        ring, keys = self.keyring(world, now + 500, now + 90, None)
        with pytest.raises(Throttled, match="as many as he may") as caught:
            ring.make(keys, ring.listed(), {"key": public(key_of("new"))})

        assert caught.value.retry_after == pytest.approx(90, abs=3)
        assert "POST" not in {method for method, _ in world.fake.asked}

    def test_a_quota_full_of_others_keys_is_for_its_owner(self, world: OciWorld):
        """Waiting cannot help."""
        ring, keys = self.keyring(world, None, None, None)
        with pytest.raises(Denied, match="none of them ours"):
            ring.make(keys, ring.listed(), {"key": public(key_of("new"))})

    def test_a_race_for_the_last_place_is_patience(self, world: OciWorld):
        """Another broker was first."""
        ring, _ = self.keyring(world, None, None, None)
        with pytest.raises(Throttled):
            ring.make((), ring.listed(), {"key": public(key_of("new"))})


class TestReading:
    @pytest.mark.parametrize("text", [None, "", "yesterday", "2026-01-01T00:00:00"])
    def test_a_key_of_no_age_is_malformed(self, world: OciWorld, text: object):
        """It would be kept for ever, or deleted at once."""
        with pytest.raises(Malformed):
            epoch(Keyring(spec(world)).listed(), text)

    def test_what_is_being_deleted_does_not_count(self, world: OciWorld):
        """Upstream lists it for a while."""
        for state in ("DELETED", "DELETING", "INACTIVE"):
            world.fake.upload(JOBS, key_of(state).public_key())["lifecycleState"] = state
        listed = Keyring(spec(world)).listed()

        assert len(members(listed, lambda one: Key(name=one["fingerprint"], ends=None))) == 1


def public(key: Any) -> str:
    """The public half as text."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
