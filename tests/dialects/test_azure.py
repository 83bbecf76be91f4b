"""App Service's endpoint: what azure-identity and msal send, and what they make of the answers."""

import json
from typing import Any
from urllib.parse import urlencode

import msal
import pytest

from broker.dialects import azure
from broker.errors import NotReady, Refused
from broker.model import AzureToken, Kind, Want
from broker.secret import Secret
from broker.wire import Reply
from tests.dialects.leases import EXPIRES_AT, REQUEST_ID, a_lease, a_request, decoded, keys

RESOURCE = "https://storage.azure.com"
LEASE = a_lease(AzureToken(Secret("eyJ.token"), RESOURCE))


def target(**changes: str | None) -> str:
    """The path that is asked for."""
    query = {"api-version": "2019-08-01", "resource": RESOURCE} | changes
    return "/azure/token?" + urlencode({name: value for name, value in query.items() if value is not None})


class Through:
    """An HTTP client of msal's that asks the dialect."""

    def __init__(self, reply: Reply | None = None) -> None:
        self._reply = reply
        self.wants: list[Any] = []

    def get(self, url: str, params: dict[str, str], headers: dict[str, str], **_: object) -> Any:
        """As requests has it."""
        request = a_request(f"/azure/token?{urlencode(params)}", **headers)
        self.wants.append(azure.parse(request))
        reply = self._reply or azure.render(request, LEASE, 1800.0)

        class Response:
            status_code, text, headers = reply.status, reply.body.decode(), dict(reply.headers)

        return Response()


@pytest.fixture
def app_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a worker."""
    monkeypatch.delenv("IDENTITY_SERVER_THUMBPRINT", raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9911/azure/token")
    monkeypatch.setenv("IDENTITY_HEADER", "cbw_x")
    monkeypatch.setattr("time.time", lambda: EXPIRES_AT - 1800)


class TestParse:
    def test_no_client_id_is_the_first_azure_credential(self):
        """Most workers have one."""
        assert azure.parse(a_request(target())) == Want(Kind.AZURE)

    def test_a_client_id_names_a_credential(self):
        """DefaultAzureCredential(managed_identity_client_id="vault")."""
        assert azure.parse(a_request(target(client_id="vault"))) == Want(Kind.AZURE, "vault")

    @pytest.mark.parametrize(
        "path", ["/azure", "/azure/", "/azure/token/", "/azure/token/x", "/azure/x", "/Azure/token"]
    )
    def test_anything_else_is_no_path_of_ours(self, path: str):
        """Exact match."""
        assert azure.parse(a_request(f"{path}?api-version=2019-08-01&resource=x")) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"api-version": None},
            {"api-version": "2017-09-01"},
            {"resource": None},
            {"resource": ""},
            {"mi_res_id": "/subscriptions/x"},
            {"object_id": "x"},
        ],
    )
    def test_what_app_service_would_not_understand_is_400(self, changes: dict[str, str | None]):
        """And a name of Azure's own for an identity is not quietly another identity."""
        with pytest.raises(Refused) as caught:
            azure.parse(a_request(target(**changes)))

        assert caught.value.status == 400


class TestRender:
    def test_the_members_are_those_of_app_service(self):
        """`expires_on` is text, in whole seconds; the resource is the one that was asked for."""
        request = a_request(target(resource="https://storage.azure.com/"))

        assert decoded(azure.render(request, LEASE, 1800.0)) == {
            "access_token": "eyJ.token",
            "expires_on": str(int(EXPIRES_AT)),
            "resource": "https://storage.azure.com/",
            "token_type": "Bearer",
        }

    def test_a_lease_of_another_kind_is_a_mistake_of_ours(self):
        """The desk gives none."""
        with pytest.raises(TypeError):
            azure.render(a_request(target()), a_lease(keys()), 1800.0)


@pytest.mark.usefixtures("app_service")
class TestMsal:
    def test_it_takes_the_token_and_asks_no_more(self):
        """It keeps one with 5 min of life or more."""
        http = Through()
        client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=http)

        answers = [client.acquire_token_for_client(resource=RESOURCE) for _ in range(2)]

        assert [answer["access_token"] for answer in answers] == ["eyJ.token"] * 2
        assert [round(answer["expires_in"], -1) for answer in answers] == [1800] * 2
        assert http.wants == [Want(Kind.AZURE)]

    def test_a_user_assigned_identity_names_a_credential(self):
        """By its client id."""
        http = Through()
        identity = msal.UserAssignedManagedIdentity(client_id="vault")

        assert "access_token" in msal.ManagedIdentityClient(identity, http_client=http).acquire_token_for_client(
            resource=RESOURCE
        )
        assert http.wants == [Want(Kind.AZURE, "vault")]

    @pytest.mark.parametrize(
        "error",
        [
            Refused(400, "ResourceMissing", "say what for"),
            Refused(401, "Unauthorized", "says not who"),
            Refused(403, "AccessDenied", "not granted"),
            NotReady("nothing is minted yet", retry_after=1.0),
        ],
    )
    def test_a_refusal_becomes_its_error_with_our_words(self, error: Refused | NotReady):
        """It would raise from within on what is no JSON."""
        http = Through(azure.refuse(error, REQUEST_ID))
        client = msal.ManagedIdentityClient(msal.SystemAssignedManagedIdentity(), http_client=http)

        answer = client.acquire_token_for_client(resource=RESOURCE)

        assert f"{error.status}, {error.code}: {error.advice}" in answer["error_description"]


class TestRefuse:
    def test_it_is_json_with_the_status_in_it(self):
        """As App Service has it."""
        reply = azure.refuse(Refused(403, "AccessDenied", "not granted"), REQUEST_ID)

        assert reply.status == 403
        assert json.loads(reply.body) == {
            "statusCode": 403,
            "message": f"AccessDenied: not granted (request {REQUEST_ID})",
        }
