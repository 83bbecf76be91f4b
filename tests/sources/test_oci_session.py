"""An OIDC token for a session of Oracle's cloud."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import Facts, Files, Given, Kind, Reference
from broker.sources.oci_session import KEY, TOKEN, Session, mint, who
from tests.fakes.google import jwt
from tests.fakes.oci import BROKER, CLIENT_ID, CLIENT_SECRET, REGION, TENANCY
from tests.fakes.serving import Answer, Call, Served
from tests.sources.oci_world import OciWorld, oci_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[OciWorld]:
    with oci_world(tmp_path) as found:
        yield found


def spec(world: OciWorld, **more: Any) -> Session:
    """A session of the fake's domain."""
    ordinary: dict[str, Any] = {
        "domain_url": world.url,
        "client_id": CLIENT_ID,
        "client_secret": world.file("secret", CLIENT_SECRET),
        "subject_token": world.file("subject", world.fake.subject()),
        "region": REGION,
    }
    return Session(**(ordinary | more))


def refused(world: OciWorld, kind: type[MintError], **more: Any) -> MintError:
    """The error of a mint, which quotes nobody."""
    with pytest.raises(kind) as caught:
        mint(spec(world, **more), Given())
    assert "UPSTREAM-TEXT" not in caught.value.advice
    assert CLIENT_SECRET not in caught.value.advice
    return caught.value


class TestSpec:
    def test_a_domain_in_the_clear_is_a_mistake(self, world: OciWorld):
        """The application's secret would travel there."""
        ((field, _),) = spec(world, domain_url="http://idcs.example").mistakes()

        assert (field, spec(world).mistakes(), Session.kind, Session.short_lived) == ("domain_url", (), Kind.OCI, True)

    def test_its_settings_are_what_the_sdk_wants_beside_the_pair(self, world: OciWorld):
        """Version and region."""
        assert dict(spec(world).settings()) == {
            "OCI_RESOURCE_PRINCIPAL_VERSION": "2.2",
            "OCI_RESOURCE_PRINCIPAL_REGION": REGION,
        }


class TestMint:
    def test_a_token_and_the_key_that_it_is_for(self, world: OciWorld):
        """The pair fits: the token names the key's public half."""
        value = mint(spec(world), Given()).value
        assert isinstance(value, Files)
        parts = {name: secret.open() for name, secret in value.contents}
        key = serialization.load_pem_private_key(parts[KEY].encode(), None)
        claims = jwt.read(parts[TOKEN])[1]

        assert msgspec.json.decode(claims["jwk"])["n"] == jwt.public_jwk(key.public_key())["n"]  # type: ignore[arg-type]  # RSA

    def test_it_ends_when_the_token_says_so(self, world: OciWorld):
        """By upstream's clock, whatever ours is."""
        world.fake.skew = -200.0
        minted = mint(spec(world), Given())

        assert minted.lifetime == pytest.approx(3600, abs=2)
        assert minted.expires_at == pytest.approx(time.time() + 3400, abs=3)
        assert minted.skew == pytest.approx(200, abs=2)
        assert minted.facts == Facts(principal=BROKER, account=TENANCY, region=REGION)

    def test_a_new_key_each_time(self, world: OciWorld):
        """Nobody who held the last one holds the next."""
        one, two = (mint(spec(world), Given()).value for _ in range(2))

        assert one != two

    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            ({"exp": 1}, "SubjectTokenRefused"),
            ({"aud": "elsewhere"}, "SubjectTokenRefused"),
            ({"issuer": "x"}, "SubjectTokenRefused"),
        ],
    )
    def test_a_subject_token_that_is_refused_is_its_owners_matter(
        self, world: OciWorld, claims: dict[str, Any], code: str
    ):
        """Who may renew it at any time."""
        token = world.fake.subject(**claims)

        assert refused(world, IdentityMissing, subject_token=world.file("bad", token)).code == code

    def test_a_wrong_secret_is_final(self, world: OciWorld):
        """And says what to check."""
        error = refused(world, Denied, client_secret=world.file("wrong", "wrong"))

        assert error.code == "InvalidClient"
        assert "`client_secret`" in error.advice

    def test_a_wrong_domain_is_told(self, world: OciWorld):
        """Somebody answers there, but no domain."""
        assert "`domain_url`" in refused(world, Denied, domain_url=f"{world.url}/other").advice

    def test_a_clock_that_is_wrong_is_told(self, world: OciWorld):
        """Where a token is refused and the clocks are far apart."""
        subject = world.file("old", world.fake.subject())
        world.fake.skew = 4000.0

        assert refused(world, IdentityMissing, subject_token=subject).code == "ClockSkewed"

    def test_a_file_that_is_missing_names_its_field(self, world: OciWorld):
        """Nobody is asked."""
        error = refused(world, IdentityMissing, subject_token=Reference(file=str(world.folder / "none")))

        assert error.advice.startswith("subject_token")
        assert world.fake.asked == []

    def test_nobody_there(self, world: OciWorld):
        """Try again later."""
        assert refused(world, Unreachable, domain_url="http://127.0.0.1:9").code == "ConnectionFailed"

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (Answer(200, b"{}"), Malformed),
            (Answer(200, b"<html>"), Malformed),
            (Answer(200, b'{"token": "a.b.c"}'), Malformed),
            (Answer(200, b'{"token": "a\\nb.b.c"}'), Malformed),
            (Answer(200, b'{"token": "x.' + jwt.encoded(b'{"exp": 5}').encode() + b'.x"}'), Malformed),
            (Answer(200, b'{"token": "x.' + jwt.encoded(b'{"exp": 99999999999}').encode() + b'.x"}'), Malformed),
            (Answer(200, b" " * (1 << 18)), Malformed),
            (Answer(302, b"", {"Location": "http://elsewhere.example"}), Malformed),
            (Answer(429, b"", {"Retry-After": "7"}), Throttled),
            (Answer(503, b""), Unreachable),
        ],
    )
    def test_nonsense_is_no_session(self, world: OciWorld, answer: Answer, kind: type[MintError]):
        """Nor anything that has ended or never does."""

        def answering(_: Call) -> Answer:
            return answer

        with Served(answering) as served:
            refused(world, kind, domain_url=served.url)


class TestWho:
    def test_it_is_as_the_token_says(self, world: OciWorld):
        """Nobody else is asked: no service tells any principal who he is."""
        minted = mint(spec(world), Given())

        assert who(spec(world), minted.value) == Facts(principal=BROKER, account=TENANCY)
        assert len(world.fake.asked) == 1
