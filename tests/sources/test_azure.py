"""Entra ID's tokens, minted by azure-identity from a strict fake."""

import time

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AzureToken, Given, Minted, Reference
from broker.sources.azure import Token, mint, who
from tests.fakes.entra import STORAGE, TENANT
from tests.fakes.serving import Answer
from tests.sources.entra_world import EntraWorld
from tests.sources.refusals import refusal

CLIENT = "7307e53f-652d-46ec-9e6c-f26302f41e97"
FILE = Reference(file="/run/secret")


def minted(spec: Token) -> Minted:
    return mint(spec, Given())


def failed(spec: Token) -> MintError:
    return refusal(lambda: minted(spec))


class TestSpec:
    @pytest.mark.parametrize(
        ("spec", "fields"),
        [
            (Token(), ()),
            (Token(client_id=CLIENT), ()),  # a user-assigned managed identity
            (Token(tenant_id=TENANT, client_id=CLIENT, client_secret=FILE), ()),
            (Token(tenant_id=TENANT, client_id=CLIENT, federated_token_file="/run/token"), ()),
            (Token(tenant_id=TENANT), ("tenant_id",)),
            (Token(client_id=CLIENT, certificate=FILE), ("certificate",)),
            (Token(tenant_id=TENANT, client_id=CLIENT, client_secret=FILE, certificate=FILE), ("certificate",)),
            (Token(authority="http://127.0.0.1:8080"), ("authority",)),
        ],
    )
    def test_who_signs_in_and_by_what_must_fit_together(self, spec: Token, fields: tuple[str, ...]):
        """Told when the file is read, not at the first mint."""
        assert tuple(field for field, _ in spec.mistakes()) == fields

    def test_the_resource_is_the_scope_without_its_end(self):
        """As managed identities and their clients call it."""
        assert Token().resource == STORAGE


class TestMint:
    @pytest.mark.parametrize("proof", ["by_secret", "by_certificate", "by_federation"])
    def test_each_proof_gives_a_token_of_the_client(self, entra_world: EntraWorld, proof: str):
        """The fake verified it as Entra does, and the token lives as long as Entra says."""
        found = minted(getattr(entra_world, proof)())

        assert isinstance(found.value, AzureToken)
        claims = entra_world.entra.check(found.value.token.open())
        assert (claims["appid"], found.value.resource) == (entra_world.app.client_id, STORAGE)
        assert found.expires_at <= claims["exp"]
        assert 3590 < found.lifetime <= 3600
        assert entra_world.entra.calls["token"] == 1

    def test_a_token_says_whose_it_is(self, entra_world: EntraWorld):
        """Tenant, client and object, by its own claims: `check` and `status` show them."""
        found = minted(entra_world.by_secret())

        app = entra_world.app
        assert found.facts.account == TENANT
        assert found.facts.principal == f"client {app.client_id}, object {app.object_id}"
        assert who(Token(), found.value) == found.facts

    def test_a_wrong_clock_here_shortens_nothing(self, entra_world: EntraWorld):
        """Entra's times are compared with Entra's own clock, and the difference is told."""
        entra_world.entra.ahead = 7200.0

        found = minted(entra_world.by_secret())

        assert 3590 < found.lifetime <= 3600
        assert found.expires_at > time.time() + 7200
        assert found.skew is not None
        assert abs(found.skew + 7200) < 5

    def test_another_resource_is_asked_for_by_its_scope(self, entra_world: EntraWorld):
        """One credential is for one resource."""
        found = minted(entra_world.by_secret(scopes=("https://vault.azure.net/.default",)))

        assert isinstance(found.value, AzureToken)
        assert entra_world.entra.check(found.value.token.open(), "https://vault.azure.net")
        assert found.value.resource == "https://vault.azure.net"


class TestRefusals:
    @pytest.mark.parametrize(
        ("spec", "code"),
        [
            (lambda world: world.by_secret("wrong"), "SecretRefused"),
            (lambda world: world.by_secret("old"), "SecretExpired"),
            (lambda world: world.by_secret(tenant_id="example.org"), "TenantUnknown"),
            (lambda world: world.by_secret(client_id=CLIENT), "ClientUnknown"),
            (lambda world: world.by_secret(scopes=("https://nowhere.example/.default",)), "ResourceUnknown"),
            (lambda world: world.by_certificate(registered=False), "CertificateRefused"),
            (lambda world: world.by_federation(sub="somebody"), "FederationRefused"),
            (lambda world: world.by_federation(tenant_id="x", aud="https://elsewhere"), "FederationRefused"),
        ],
    )
    def test_a_refusal_is_final_and_says_what_to_correct(self, entra_world: EntraWorld, spec: object, code: str):
        """By Entra's number alone: its sentence may quote what was sent."""
        error = failed(spec(entra_world))  # type: ignore[operator]  # a row of the table

        assert isinstance(error, Denied)
        assert error.code == code
        assert "AADSTS" in error.advice
        assert "Trace ID" not in error.advice

    def test_a_client_that_was_revoked(self, entra_world: EntraWorld):
        """It worked a moment ago."""
        spec = entra_world.by_secret()
        assert minted(spec)
        entra_world.app.enabled = False

        assert failed(spec).code == "ClientDisabled"

    def test_an_assertion_out_of_time_is_a_wrong_clock_where_it_is_one(self, entra_world: EntraWorld):
        """15 minutes: the certificate is good, and this machine is to blame."""
        entra_world.entra.ahead = 900.0

        error = failed(entra_world.by_certificate())

        assert isinstance(error, IdentityMissing)
        assert (error.code, "15 min behind" in error.advice) == ("ClockSkewed", True)

    def test_a_federated_token_that_has_expired_is_its_owners_to_renew(self, entra_world: EntraWorld):
        """The next try may find a new one."""
        error = failed(entra_world.by_federation(exp=int(time.time()) - 4000))

        assert isinstance(error, IdentityMissing)
        assert error.code == "SubjectTokenExpired"

    @pytest.mark.parametrize(("text", "code"), [("no PEM", "CertificateUnreadable"), ("", "ReferenceEmpty")])
    def test_a_certificate_that_cannot_be_read(self, entra_world: EntraWorld, text: str, code: str):
        """Nothing of the file is quoted."""
        error = failed(entra_world.token(certificate=entra_world.written(text)))

        assert isinstance(error, IdentityMissing)
        assert error.code == code
        assert "no PEM" not in error.advice


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "kind", "code"),
        [
            (Answer(429, b"{}", {"Retry-After": "7"}), Throttled, "Http429"),
            (Answer(503, b"away"), Unreachable, "Http503"),
            (Answer(200, b"<html>"), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"token_type":"Bearer"}'), Malformed, "UnusableAnswer"),
            (Answer(404, b"nginx"), Malformed, "Malformed"),
            (Answer(302, b"", {"Location": "https://elsewhere.example/"}), Malformed, "Redirected"),
            (Answer(200, b"x" * 200_000), Malformed, "UnusableAnswer"),
        ],
    )
    @pytest.mark.parametrize("proof", ["by_secret", "by_federation"])
    def test_whatever_comes_is_an_error_of_ours_at_once(
        self, entra_world: EntraWorld, fault: Answer, kind: type[MintError], code: str, proof: str
    ):
        """One attempt: the broker owns retries."""
        entra_world.entra.fault = fault

        error = failed(getattr(entra_world, proof)())

        assert (type(error), error.code) == (kind, code)
        assert entra_world.entra.calls.total() == 1
        assert error.retry_after == (7.0 if kind is Throttled else None)

    def test_nobody_there(self, entra_world: EntraWorld):
        """The host is named."""
        error = failed(entra_world.by_secret(authority="https://127.0.0.1:9"))

        assert (type(error), error.code) == (Unreachable, "ConnectionFailed")
        assert error.advice.startswith("127.0.0.1 does not answer")

    def test_an_authority_that_is_not_trusted(self, entra_world: EntraWorld, monkeypatch: pytest.MonkeyPatch):
        """A secret is not sent where TLS fails."""
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")

        assert failed(entra_world.by_secret()).code == "TlsFailed"

    def test_a_proxy_that_is_away(self, entra_world: EntraWorld, monkeypatch: pytest.MonkeyPatch):
        """Proxies are used as configured."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

        assert failed(entra_world.by_secret()).code == "ProxyUnreachable"
