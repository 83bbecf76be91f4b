"""The fake Entra ID refuses what the real one refuses."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes import certificates
from tests.fakes.entra import STORAGE, TENANT, FakeEntra
from tests.fakes.entra_assertions import EXCHANGE, TYPE, Federation
from tests.fakes.google import jwt

SCOPE = f"{STORAGE}/.default"


class Tenant:
    """A fake, one app, and whoever asks for its tokens."""

    def __init__(self, entra: FakeEntra, ca: Path) -> None:
        self.entra = entra
        self.app = entra.app(secrets={"s3cret"}, expired_secrets={"old"})
        self._ca = ca

    def ask(self, tenant: str = TENANT, **changes: str) -> tuple[int, dict[str, Any]]:
        """A client-credentials request with the app's secret; empty changes leave a field out."""
        form = {"grant_type": "client_credentials", "client_id": self.app.client_id, "scope": SCOPE}
        form |= {"client_secret": "s3cret"} | changes
        fields = {name: value for name, value in form.items() if value}
        with requests.post(
            f"{self.entra.url}/{tenant}/oauth2/v2.0/token", data=fields, verify=str(self._ca), timeout=10
        ) as reply:
            return reply.status_code, reply.json()

    def number(self, tenant: str = TENANT, **changes: str) -> int:
        """The number of its refusal."""
        status, answer = self.ask(tenant, **changes)
        assert status in {400, 401}
        assert answer["error_description"].startswith(f"AADSTS{answer['error_codes'][0]}: ")
        return int(answer["error_codes"][0])

    def asserting(self, assertion: str) -> dict[str, str]:
        """Changes that prove the app by an assertion."""
        return {"client_secret": "", "client_assertion_type": TYPE, "client_assertion": assertion}


@pytest.fixture
def tenant(tmp_path: Path) -> Iterator[Tenant]:
    """One of its own for each test."""
    made = certificates.write(tmp_path)
    with FakeEntra(made.context()) as entra:
        yield Tenant(entra, made.certificate)


class TestToken:
    def test_it_says_what_a_storage_account_reads(self, tenant: Tenant):
        """And is signed: the fake knows its own."""
        status, answer = tenant.ask()

        claims = tenant.entra.check(answer["access_token"])
        assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 3600)
        assert claims["iss"] == f"https://sts.windows.net/{TENANT}/"
        assert (claims["appid"], claims["oid"]) == (tenant.app.client_id, tenant.app.object_id)

    @pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
    def test_out_of_its_time_it_is_none(self, tenant: Tenant, ahead: float):
        """Before and after."""
        _, answer = tenant.ask()
        tenant.entra.ahead = ahead

        with pytest.raises(jwt.BadJwt):
            tenant.entra.check(answer["access_token"])

    def test_for_another_resource_it_is_none(self, tenant: Tenant):
        """An audience is one."""
        with pytest.raises(jwt.BadJwt):
            tenant.entra.check(tenant.ask()[1]["access_token"], "https://vault.azure.net")


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "number"),
        [
            ({"client_secret": "wrong"}, 7000215),
            ({"client_secret": "old"}, 7000222),
            ({"client_secret": ""}, 7000218),
            ({"client_id": TENANT}, 700016),
            ({"grant_type": "password"}, 70003),
            ({"scope": STORAGE}, 1002012),
            ({"scope": f"{SCOPE} https://vault.azure.net/.default"}, 1002012),
            ({"scope": "https://nowhere.example/.default"}, 500011),
            ({"tenant": "example.org"}, 90002),
        ],
    )
    def test_each_has_its_number(self, tenant: Tenant, changes: dict[str, str], number: int):
        """As Microsoft lists them."""
        assert tenant.number(**changes) == number

    def test_a_disabled_app_gets_none(self, tenant: Tenant):
        """Whatever it knows."""
        tenant.app.enabled = False

        assert tenant.number() == 7000112


class TestAssertions:
    def claims(self, tenant: Tenant, **changes: object) -> dict[str, object]:
        """What a cluster's projected token says, or what an app says of itself."""
        now = int(time.time())
        return {"iss": "https://oidc", "sub": "job", "aud": EXCHANGE, "iat": now, "exp": now + 600, **changes}

    @pytest.mark.parametrize(
        ("changes", "number"),
        [
            ({"sub": "other"}, 700213),
            ({"iss": "https://elsewhere"}, 700213),
            ({"aud": "https://elsewhere"}, 700213),
            ({"exp": 1000}, 700024),
            ({"iat": 99_999_999_999}, 700024),
            ({"exp": "soon"}, 50027),
        ],
    )
    def test_a_federated_token_must_be_the_one_that_is_trusted(
        self, tenant: Tenant, changes: dict[str, object], number: int
    ):
        """Issuer, subject, audience and time."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        tenant.app.federations.append(Federation("https://oidc", "job", key.public_key()))

        assert tenant.ask(**tenant.asserting(jwt.sign(key, self.claims(tenant))))[0] == 200
        assert tenant.number(**tenant.asserting(jwt.sign(key, self.claims(tenant, **changes)))) == number

    def test_its_signature_is_verified(self, tenant: Tenant):
        """By the issuer's key."""
        keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
        tenant.app.federations.append(Federation("https://oidc", "job", keys[0].public_key()))

        assert tenant.number(**tenant.asserting(jwt.sign(keys[1], self.claims(tenant)))) == 50013

    def test_an_app_of_its_own_word_needs_a_certificate_that_is_known(self, tenant: Tenant):
        """The header says which."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        own = self.claims(tenant, iss=tenant.app.client_id, sub=tenant.app.client_id)

        assert tenant.number(**tenant.asserting(jwt.sign(key, own))) == 700027

    def test_what_is_no_token_is_none(self, tenant: Tenant):
        """And nothing breaks."""
        assert tenant.number(**tenant.asserting("a.b")) == 50027
