"""Azure's clients; `tests/clients/test_doctor_others.py` holds them against azure-identity and adlfs."""

from typing import Any

import pytest

from broker.doctor.azure import ADLFS, IDENTITY
from broker.doctor.chain import NONE, OK, SHADOWED, winner
from tests.doctor.made import HOME, PLANE, facts

WORKER = {
    "IDENTITY_ENDPOINT": f"http://{PLANE}/azure/token",
    "IDENTITY_HEADER": "cbw_x",
    "AZURE_TOKEN_CREDENTIALS": "managedidentitycredential",
}
LOGIN: dict[str, Any] = {"files": frozenset({f"{HOME}/.azure/azureProfile.json"}), "commands": frozenset({"az"})}
CLIENT = dict.fromkeys(("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"), "his")
GUID = "11111111-1111-1111-1111-111111111111"


class TestIdentity:
    def test_a_workers_environment_leads_to_the_broker(self):
        """A login and a client's secret are not even looked for."""
        found = winner(IDENTITY, facts(WORKER | CLIENT, **LOGIN))

        assert (found.provider, found.verdict) == ("ManagedIdentityCredential", OK)

    @pytest.mark.parametrize("choice", ["", "prod", " Prod "])
    def test_a_client_in_the_environment_comes_first_unless_it_is_left_out(self, choice: str):
        """As does a federated token."""
        found = winner(IDENTITY, facts(WORKER | CLIENT | {"AZURE_TOKEN_CREDENTIALS": choice}))

        assert (found.provider, found.verdict) == ("EnvironmentCredential", SHADOWED)

    def test_a_federated_token_comes_next(self):
        """Of a pod with workload identity."""
        given = dict.fromkeys(("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"), "x")
        found = winner(IDENTITY, facts(WORKER | given | {"AZURE_TOKEN_CREDENTIALS": "prod"}))

        assert found.provider == "WorkloadIdentityCredential"

    @pytest.mark.parametrize(
        ("more", "provider", "verdict"),
        [
            ({"AZURE_TOKEN_CREDENTIALS": "dev"}, None, NONE),
            ({"AZURE_TOKEN_CREDENTIALS": "managedidentity"}, "error", SHADOWED),
            ({"IDENTITY_SERVER_THUMBPRINT": "x"}, "ManagedIdentityCredential", SHADOWED),
            ({"IDENTITY_ENDPOINT": "http://127.0.0.1:1/x"}, "ManagedIdentityCredential", SHADOWED),
            ({"IDENTITY_ENDPOINT": "", "MSI_ENDPOINT": "http://127.0.0.1:1"}, "ManagedIdentityCredential", SHADOWED),
            ({"IDENTITY_HEADER": ""}, None, NONE),
            ({"IDENTITY_HEADER": "", "IMDS_ENDPOINT": "http://127.0.0.1:1"}, "ManagedIdentityCredential", SHADOWED),
            ({"AZURE_CLIENT_ID": GUID}, "ManagedIdentityCredential", SHADOWED),
            ({"AZURE_CLIENT_ID": "vault"}, "ManagedIdentityCredential", OK),
        ],
    )
    def test_what_damages_it(self, more: dict[str, str], provider: str | None, verdict: str):
        """Each variable as azure-identity takes it."""
        found = winner(IDENTITY, facts(WORKER | more))

        assert (found.provider, found.verdict) == (provider, verdict)

    def test_a_bare_one_falls_to_the_machine_or_to_a_login(self):
        """The node's own identity before a person's."""
        reachable = frozenset({"169.254.169.254"})

        assert winner(IDENTITY, facts(**LOGIN, reachable=reachable)).provider == "ManagedIdentityCredential"
        assert winner(IDENTITY, facts(**LOGIN)).provider == "AzureCliCredential"
        assert winner(IDENTITY, facts(files=LOGIN["files"])).verdict == NONE


class TestAdlfs:
    def test_it_is_azure_identity_below(self):
        """In a worker's environment."""
        assert winner(ADLFS, facts(WORKER)).verdict == OK

    @pytest.mark.parametrize(
        "name",
        ["AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN"],
    )
    def test_what_opens_the_account_comes_first(self, name: str):
        """Whatever azure-identity is told."""
        assert winner(ADLFS, facts(WORKER | {name: "x"})).remedy == f"unset {name}"

    def test_so_does_a_client_of_its_own(self):
        """By variables that azure-identity does not read."""
        assert winner(ADLFS, facts(WORKER | {"AZURE_STORAGE_CLIENT_ID": "x"})).provider == "client"
        assert winner(IDENTITY, facts(WORKER | {"AZURE_STORAGE_CLIENT_ID": "x"})).verdict == OK
