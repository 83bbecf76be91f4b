"""The fake Data Lake writes for whoever shows a token, and in the order that the real one asks for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.fakes import certificates
from tests.fakes.data_lake import FakeLake
from tests.fakes.entra import TENANT, FakeEntra

VERSION = {"x-ms-version": "2025-07-05"}
NAME = "data/folder/name"


class Client:
    """Somebody with a token."""

    def __init__(self, lake: FakeLake, entra: FakeEntra, authority: Path) -> None:
        self.authority, self._lake = str(authority), lake
        app = entra.app(secrets={"s3cret"})
        form = {
            "grant_type": "client_credentials",
            "client_id": app.client_id,
            "client_secret": "s3cret",
            "scope": "https://storage.azure.com/.default",
        }
        url = f"{entra.url}/{TENANT}/oauth2/v2.0/token"
        with requests.post(url, data=form, verify=self.authority, timeout=10) as reply:
            self.fields = VERSION | {"Authorization": f"Bearer {reply.json()['access_token']}"}

    def ask(self, method: str, query: str, body: bytes = b"", **fields: str) -> requests.Response:
        """One call about the one path."""
        url, named = f"{self._lake.url}/{NAME}?{query}", {name.replace("_", "-"): text for name, text in fields.items()}
        return requests.request(method, url, data=body, headers=self.fields | named, verify=self.authority, timeout=10)


@pytest.fixture
def kept() -> dict[str, bytes]:
    """What was handed on."""
    return {}


@pytest.fixture
def client(tmp_path: Path, kept: dict[str, bytes]) -> Iterator[Client]:
    """A lake, and who trusts it."""
    tls = certificates.write(tmp_path).context()

    def keep(container: str, name: str, body: bytes) -> None:
        kept[f"{container}/{name}"] = body

    with FakeEntra(tls) as entra, FakeLake(entra, tls, keep) as lake:
        yield Client(lake, entra, tmp_path / "localhost.pem")


class TestWriting:
    def test_what_is_flushed_is_kept(self, client: Client, kept: dict[str, bytes]):
        """And nothing before."""
        etag = client.ask("PUT", "resource=file").headers["ETag"]
        assert client.ask("PATCH", "action=append&position=0", b"0123").status_code == 202
        assert client.ask("PATCH", "action=append&position=4", b"4567").status_code == 202
        assert kept == {}

        assert client.ask("PATCH", "action=flush&position=8", If_Match=etag).status_code == 200
        assert kept == {NAME: b"01234567"}

    @pytest.mark.parametrize(
        ("query", "fields", "status"),
        [
            ("action=append&position=1", {}, 400),
            ("action=flush&position=1", {}, 400),
            ("action=flush&position=0", {"If_Match": '"0x0"'}, 412),
            ("action=setProperties", {}, 404),
        ],
    )
    def test_a_wrong_step_is_refused(self, client: Client, query: str, fields: dict[str, str], status: int):
        """A gap, less or more than there is, what somebody else has created, what is not known."""
        client.ask("PUT", "resource=file")

        assert client.ask("PATCH", query, b"x", **fields).status_code == status

    def test_what_was_not_created_is_not_appended_to(self, client: Client):
        """A path is created first."""
        assert client.ask("PATCH", "action=append&position=0", b"0123").status_code == 404


class TestWhoAsks:
    @pytest.mark.parametrize("authorization", ["", "Bearer bad", "SharedKey a:b"])
    def test_without_a_token_that_lives_nothing_is_written(self, client: Client, authorization: str):
        """Nor is it said what is there."""
        client.fields["Authorization"] = authorization

        assert client.ask("PUT", "resource=file").status_code == 401

    def test_a_client_names_the_version_it_speaks(self, client: Client):
        """As every call of Azure's storage does."""
        client.fields["x-ms-version"] = ""

        assert client.ask("PUT", "resource=file").status_code == 400
