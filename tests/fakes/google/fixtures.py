"""pytest's fixtures for the fake Google; a test file asks for them with `pytest_plugins`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.google import FakeGoogle
from tests.fakes.google.place import Place

_CLOUD = ("AWS_", "CLOUDSDK_", "GCE_", "GCLOUD_", "GOOGLE_", "REQUESTS_CA_", "CURL_CA_")
_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def google() -> Iterator[FakeGoogle]:
    """A fake Google of its own for each test."""
    with FakeGoogle() as fake:
        yield fake


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder without any identity, and an environment that names none."""
    for name in os.environ:
        if name.startswith(_CLOUD) or name.upper() in _PROXY:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return home


@pytest.fixture
def logins(google: FakeGoogle, monkeypatch: pytest.MonkeyPatch) -> FakeGoogle:
    """The fake Google where people's logins are refreshed there: google-auth takes that URL from no file."""
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{google.url}/token")
    return google


@pytest.fixture
def node(google: FakeGoogle, monkeypatch: pytest.MonkeyPatch) -> FakeGoogle:
    """The fake Google as the metadata server of this node. google-auth reads one of the names when it is imported."""
    host = google.url.removeprefix("http://")
    monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_HOST", host)
    monkeypatch.setenv("GCE_METADATA_IP", host)
    monkeypatch.delenv("NO_GCE_CHECK", raising=False)
    return google


@pytest.fixture
def place(google: FakeGoogle, tmp_path: Path) -> Place:
    """The fake Google with accounts, and a folder for identities."""
    return Place(google, tmp_path)
