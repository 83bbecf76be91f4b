"""Signing in: the ambient identity, and a library that is not there. The proofs are tested with the source."""

import logging
import sys

import pytest

from broker.errors import Denied, IdentityMissing, MintError
from broker.sources import azure_login
from broker.sources.azure import STORAGE
from broker.sources.azure_login import Login
from tests.fakes.entra import TENANT
from tests.sources.entra_world import SECRET, EntraWorld


@pytest.fixture
def environment(entra_world: EntraWorld, monkeypatch: pytest.MonkeyPatch) -> EntraWorld:
    """An identity that the environment names, as it stands in a minter's."""
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", entra_world.app.client_id)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    return entra_world


def ambient(world: EntraWorld) -> Login:
    return Login(authority=world.entra.url)


class TestAmbient:
    def test_what_the_environment_names_is_found(self, environment: EntraWorld):
        """By azure-identity's own search."""
        signed = azure_login.sign_in(ambient(environment), STORAGE)

        assert environment.entra.check(signed.token.open())["appid"] == environment.app.client_id

    def test_a_refusal_of_entra_is_told_as_one(self, environment: EntraWorld, monkeypatch: pytest.MonkeyPatch):
        """Not as if there were no identity."""
        monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")

        with pytest.raises(Denied) as caught:
            azure_login.sign_in(ambient(environment), STORAGE)

        assert caught.value.code == "SecretRefused"
        assert "the ambient Azure identity" in caught.value.advice

    def test_none_says_how_to_log_in(self, entra_world: EntraWorld, monkeypatch: pytest.MonkeyPatch):
        """A newcomer's first error."""
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "azureclicredential")

        with pytest.raises(IdentityMissing, match="az login") as caught:
            azure_login.sign_in(ambient(entra_world), STORAGE)

        assert caught.value.code == "NoCredentials"


class TestSignIn:
    def test_a_library_that_is_not_installed_is_named(self, entra_world: EntraWorld, monkeypatch: pytest.MonkeyPatch):
        """For that credential alone."""
        monkeypatch.setitem(sys.modules, "azure", None)
        for name in [name for name in sys.modules if name.startswith("azure.")]:
            monkeypatch.delitem(sys.modules, name)

        with pytest.raises(Denied, match=r"install 'credbroker\[azure\]'"):
            azure_login.sign_in(ambient(entra_world), STORAGE)

    def test_nothing_that_entra_says_is_logged(self, environment: EntraWorld, caplog: pytest.LogCaptureFixture):
        """Its sentences may quote what was sent, and a minter's standard error goes to the journal."""
        environment.app.secrets.clear()

        with caplog.at_level(logging.WARNING), pytest.raises(MintError):
            azure_login.sign_in(ambient(environment), STORAGE)

        assert caplog.text == ""
