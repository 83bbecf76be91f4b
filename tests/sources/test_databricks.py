"""Databricks' tokens, from a strict fake workspace."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.errors import Denied, Malformed, MintError, Throttled, Unreachable
from broker.model import DatabricksToken, Given, Minted, Reference
from broker.sources.databricks import OAuth, mint, who
from tests.fakes.databricks import FakeWorkspace
from tests.fakes.serving import Answer
from tests.sources.refusals import refusal

CLIENT, SECRET = "8a9c-41", "dose:9f~"


@pytest.fixture
def workspace() -> Iterator[FakeWorkspace]:
    """One that knows a service principal."""
    with FakeWorkspace() as fake:
        fake.principals[CLIENT] = SECRET
        yield fake


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """The file of its secret."""
    path = tmp_path / "secret"
    path.touch(0o600)
    path.write_text(f"{SECRET}\n")
    return path


def spec(host: str, secret: Path, client: str = CLIENT) -> OAuth:
    return OAuth(host=host, client_id=client, client_secret=Reference(file=str(secret)))


def minted(one: OAuth) -> Minted:
    return mint(one, Given())


def failed(one: OAuth) -> MintError:
    return refusal(lambda: minted(one))


class TestSpec:
    @pytest.mark.parametrize(
        ("host", "fields"),
        [("https://dbc-1.example", ()), ("http://127.0.0.1:80/", ()), ("http://dbc-1.example", ("host",))],
    )
    def test_a_secret_is_not_sent_in_the_clear(self, secret: Path, host: str, fields: tuple[str, ...]):
        """Told when the file is read."""
        assert tuple(field for field, _ in spec(host, secret).mistakes()) == fields

    def test_the_workspace_travels_with_it(self, secret: Path):
        """Where the SDKs find it; they say it to the metadata service too."""
        assert spec("https://dbc-1.example/", secret).settings() == (("DATABRICKS_HOST", "https://dbc-1.example"),)


class TestMint:
    def test_a_token_of_the_principal(self, workspace: FakeWorkspace, secret: Path):
        """It is good at the workspace, for as long as the workspace says."""
        found = minted(spec(f"{workspace.url}/", secret))

        assert isinstance(found.value, DatabricksToken)
        claims = workspace.check(found.value.token.open())
        assert (claims["sub"], found.value.host, found.lifetime) == (CLIENT, workspace.url, 3600)
        assert (found.facts.principal, found.facts.account) == (CLIENT, "127.0.0.1")
        assert abs(found.expires_at - claims["exp"]) < 1.5
        assert who(spec(workspace.url, secret), found.value) == found.facts

    def test_a_wrong_clock_here_shortens_nothing(self, workspace: FakeWorkspace, secret: Path):
        """The workspace's times are compared with its own clock."""
        workspace.ahead = 7200.0

        found = minted(spec(workspace.url, secret))

        assert found.lifetime == 3600
        assert found.expires_at > time.time() + 7200

    @pytest.mark.parametrize(("client", "text"), [(CLIENT, "wrong"), ("revoked-1", SECRET)])
    def test_a_client_or_secret_that_is_not_known(self, workspace: FakeWorkspace, secret: Path, client: str, text: str):
        """The two are refused alike, and it is final."""
        secret.write_text(text)

        error = failed(spec(workspace.url, secret, client))

        assert (type(error), error.code) == (Denied, "InvalidClient")
        assert text not in error.advice

    @pytest.mark.parametrize(
        ("fault", "kind", "code"),
        [
            (Answer(429, b"{}", {"Retry-After": "7"}), Throttled, "Http429"),
            (Answer(503, b"away"), Unreachable, "Http503"),
            (Answer(403, b'{"error":"access_denied"}'), Denied, "AccessDenied"),
            (Answer(400, b'{"error":"s3cret"}'), Malformed, "UnusableAnswer"),
            (Answer(404, b"nginx"), Malformed, "UnusableAnswer"),
            (Answer(302, b"", {"Location": "/login"}), Malformed, "Redirected"),
            (Answer(200, b"<html>"), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"access_token":"","token_type":"Bearer","expires_in":9}'), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"access_token":"a","token_type":"Bearer","expires_in":9}'), Malformed, "UnusableAnswer"),
            (Answer(200, b'{"access_token":"a","token_type":"mac","expires_in":99}'), Malformed, "UnusableAnswer"),
        ],
    )
    def test_whatever_comes_is_an_error_of_ours_at_once(
        self, workspace: FakeWorkspace, secret: Path, fault: Answer, kind: type[MintError], code: str
    ):
        """One attempt: the broker owns retries."""
        workspace.fault = fault

        error = failed(spec(workspace.url, secret))

        assert (type(error), error.code, workspace.calls["token"]) == (kind, code, 1)
        assert "s3cret" not in error.advice

    def test_nobody_there(self, secret: Path):
        """The host is named."""
        error = failed(spec("http://127.0.0.1:9", secret))

        assert (type(error), error.code) == (Unreachable, "ConnectionFailed")
