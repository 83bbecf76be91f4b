"""The Databricks metadata service: what its SDKs send and read."""

import pytest

from broker.dialects import databricks
from broker.errors import Refused
from broker.model import DatabricksToken, Kind, Want
from broker.secret import Secret
from broker.wire import Request
from tests.dialects.leases import EXPIRES_AT, REQUEST_ID, a_lease, a_request, decoded, keys

HOST = "https://dbc-1.example"
LEASE = a_lease(DatabricksToken(Secret("eyJ.token"), HOST))


def asking(path: str = "/databricks/lake", host: str = HOST, version: str = "1") -> Request:
    """A request as the SDK makes it."""
    return a_request(path, X_Databricks_Metadata_Version=version, X_Databricks_Host=host)


class TestParse:
    def test_the_path_names_a_credential(self):
        """Its URL is all that a client is told."""
        assert databricks.parse(asking()) == Want(Kind.DATABRICKS, "lake")

    @pytest.mark.parametrize("path", ["/databricks", "/databricks/", "/databricks/a/b", "/Databricks/a"])
    def test_anything_else_is_no_path_of_ours(self, path: str):
        """Exact match."""
        assert databricks.parse(asking(path)) is None

    @pytest.mark.parametrize("request_", [a_request("/databricks/lake"), asking(version="2"), asking(host="")])
    def test_without_the_headers_of_the_protocol_it_is_400(self, request_: Request):
        """A browser or an SSRF that knows the URL does not send them."""
        with pytest.raises(Refused) as caught:
            databricks.parse(request_)

        assert caught.value.status == 400


class TestRender:
    def test_it_ends_five_minutes_early(self):
        """The SDK asks again only when it has expired. A number, not text."""
        assert decoded(databricks.render(asking(), LEASE, 1800.0)) == {
            "access_token": "eyJ.token",
            "token_type": "Bearer",
            "expires_on": int(EXPIRES_AT) - 300,
        }

    @pytest.mark.parametrize("host", ["https://dbc-1.example/", "dbc-1.example", "HTTPS://DBC-1.EXAMPLE"])
    def test_a_workspace_is_known_however_it_is_written(self, host: str):
        """SDKs add and drop what they like."""
        assert databricks.render(asking(host=host), LEASE, 1800.0).status == 200

    @pytest.mark.parametrize(
        "host", ["https://dbc-2.example", "https://dbc-1.example:444", "x", "https://dbc-1.example@x"]
    )
    def test_another_workspace_gets_nothing(self, host: str):
        """A token is for one; whoever asks for another has a wrong DATABRICKS_HOST."""
        reply = databricks.render(asking(host=host), LEASE, 1800.0)

        assert reply.status == 403
        assert "DATABRICKS_HOST" in decoded(reply)["error"]

    def test_a_lease_of_another_kind_is_a_mistake_of_ours(self):
        """The desk gives none."""
        with pytest.raises(TypeError):
            databricks.render(asking(), a_lease(keys()), 1800.0)


class TestRefuse:
    def test_it_is_json(self):
        """The SDK decodes whatever comes."""
        reply = databricks.refuse(Refused(403, "AccessDenied", "not granted"), REQUEST_ID)

        assert (reply.status, decoded(reply)["error"]) == (403, f"AccessDenied: not granted (request {REQUEST_ID})")
