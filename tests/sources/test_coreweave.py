"""Temporary keys of CoreWeave, at a strict fake of its API and its store."""

import json
from collections.abc import Callable, Iterator

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AwsKeys, Given, Kind, Reference
from broker.secret import Secret
from broker.sources.coreweave import STORE, CoreWeave, mint, who
from tests.fakes.coreweave import API_TOKEN, OIDC_TOKEN, ORGANIZATION, FakeCoreWeave
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Served

pytestmark = pytest.mark.usefixtures("aws_home")

Specs = Callable[..., CoreWeave]
GOOD = {"accessKeyId": "CW1", "secretKey": "cwo1", "principalName": "me"}


@pytest.fixture
def coreweave() -> FakeCoreWeave:
    """With room for two keys."""
    return FakeCoreWeave(Buckets("data"), quota=2)


@pytest.fixture
def served(coreweave: FakeCoreWeave) -> Iterator[Served]:
    """Running."""
    with coreweave.serve() as found:
        yield found


@pytest.fixture
def by_token(monkeypatch: pytest.MonkeyPatch, served: Served) -> Specs:
    """Specs with an API token."""
    monkeypatch.setenv("CW_TOKEN", API_TOKEN)
    fields = {"api_token": Reference(env="CW_TOKEN"), "api_url": served.url, "endpoint_url": served.url}
    return lambda **more: CoreWeave(**(fields | more))  # type: ignore[arg-type]  # whatever a test names


@pytest.fixture
def by_oidc(monkeypatch: pytest.MonkeyPatch, by_token: Specs) -> Specs:
    """Specs with a token to exchange."""
    monkeypatch.setenv("CW_OIDC", OIDC_TOKEN)
    fields = {"api_token": None, "oidc_token": Reference(env="CW_OIDC"), "org_id": ORGANIZATION}
    return lambda **more: by_token(**(fields | more))


class TestSpec:
    def test_workers_are_told_where_the_store_is(self):
        """Its public address, unless told otherwise."""
        spec = CoreWeave(api_token=Reference(env="T"))

        assert spec.settings() == (("S3_ENDPOINT_URL", STORE), ("AWS_ENDPOINT_URL_S3", STORE))
        assert (spec.kind, spec.short_lived, spec.mistakes()) == (Kind.AWS, True, ())

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"oidc_token": Reference(env="O"), "org_id": "abc"}, "api_token"),
            ({"org_id": "abc"}, "org_id"),
            ({"api_url": "http://api.example"}, "api_url"),
        ],
    )
    def test_what_does_not_fit_is_a_mistake(self, more: dict[str, object], field: str):
        """Each by its field."""
        spec = CoreWeave(api_token=Reference(env="T"), **more)  # type: ignore[arg-type]  # whatever a row names

        assert [name for name, _ in spec.mistakes()] == [field]

    def test_no_way_at_all_is_a_mistake(self):
        """It would have nothing to show."""
        assert [name for name, _ in CoreWeave().mistakes()] == ["api_token"]


class TestMint:
    @pytest.mark.parametrize("way", ["by_token", "by_oidc"])
    def test_the_store_takes_the_keys(self, way: str, request: pytest.FixtureRequest, coreweave: FakeCoreWeave):
        """They have no session token, and end when CoreWeave said."""
        spec = request.getfixturevalue(way)(ttl=900)

        minted = mint(spec, Given())

        who(spec, minted.value)
        assert isinstance(minted.value, AwsKeys)
        assert minted.value.session_token == Secret("")
        assert coreweave.keys[minted.value.access_key_id].expires_at == minted.expires_at
        assert 895 < minted.lifetime <= 901
        assert coreweave.names == ["credbroker"]

    @pytest.mark.parametrize("way", ["by_token", "by_oidc"])
    def test_a_token_that_it_does_not_accept_may_be_renewed(
        self, way: str, request: pytest.FixtureRequest, coreweave: FakeCoreWeave
    ):
        """The field is named."""
        coreweave.api_tokens.clear()
        coreweave.oidc_tokens.clear()

        with pytest.raises(
            IdentityMissing, match=f"does not accept `{way.replace('by_token', 'api').removeprefix('by_')}"
        ):
            mint(request.getfixturevalue(way)(), Given())

    def test_one_without_the_right_is_denied(self, by_token: Specs, coreweave: FakeCoreWeave):
        """It says which role is missing."""
        coreweave.may_make_keys = False

        with pytest.raises(Denied, match="Object Storage Admin") as caught:
            mint(by_token(), Given())

        assert "CANARY" not in str(caught.value)

    def test_another_organization_is_denied(self, by_oidc: Specs):
        """By the field to correct."""
        with pytest.raises(Denied, match="correct `org_id`"):
            mint(by_oidc(org_id="nosuch"), Given())

    def test_a_quota_is_waited_for(self, by_token: Specs):
        """Keys end by themselves."""
        mint(by_token(), Given())
        mint(by_token(), Given())

        with pytest.raises(Throttled):
            mint(by_token(), Given())

    @pytest.mark.parametrize(
        ("status", "members", "error"),
        [
            (200, GOOD | {"expiry": "1970-01-01T00:00:00Z"}, Malformed),
            (200, GOOD | {"expiry": "9999-01-01T00:00:00Z"}, Malformed),
            (200, GOOD | {"expiry": "2999-01-01T00:00:00"}, Malformed),
            (200, GOOD | {"expiry": "soon"}, Malformed),
            (200, GOOD, Malformed),
            (200, GOOD | {"expiry": "2026-01-01T00:00:00Z", "secretKey": "a b"}, Malformed),
            (503, {"code": 14}, Unreachable),
            (400, {"code": 14}, Unreachable),
            (400, {"code": 99}, Denied),
            (400, {"why": "CANARY"}, Malformed),
        ],
    )
    def test_what_is_no_set_of_keys_is_none(
        self, by_token: Specs, status: int, members: dict[str, object], error: type[MintError]
    ):
        """Above all a key that never ends."""
        answer = Answer(status, json.dumps(members).encode())
        with Served(lambda _: answer) as found, pytest.raises(error) as caught:
            mint(by_token(api_url=found.url), Given())

        assert "CANARY" not in str(caught.value)


class TestWho:
    def test_keys_that_have_ended_are_told(self, by_token: Specs, coreweave: FakeCoreWeave):
        """By the store itself."""
        spec = by_token()
        value = mint(spec, Given()).value
        coreweave.keys.clear()

        with pytest.raises(IdentityMissing, match="does not know the access key"):
            who(spec, value)
