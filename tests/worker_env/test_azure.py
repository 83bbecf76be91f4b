"""The Azure part of a worker's environment."""

from broker.worker_env.azure import azure_environment
from tests.worker_env.workers import ATTESTED, HEADER, PLANE, variables


class TestAzure:
    def test_it_is_app_services_identity(self):
        """Which azure-identity, msal and object_store know."""
        assert variables(azure_environment(PLANE)) == {
            "IDENTITY_ENDPOINT": "http://127.0.0.1:9911/azure/token",
            "IDENTITY_HEADER": HEADER,
            "AZURE_TOKEN_CREDENTIALS": "managedidentitycredential",
        }

    def test_an_attested_worker_shows_the_constant(self):
        """Without a header there would be no App Service."""
        assert variables(azure_environment(ATTESTED))["IDENTITY_HEADER"] == "attested"

    def test_what_would_be_taken_before_it_is_unset(self):
        """The design's three, and what other clients read."""
        assert {
            *("AZURE_ACCOUNT_ACCESS_KEY", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID"),
            *("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "IDENTITY_SERVER_THUMBPRINT"),
        } <= set(azure_environment(PLANE).unset)
