"""A home folder with nothing of this machine in it, the strict fakes of STS and Entra ID, and moto server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import certificates
from tests.fakes.alipan import FakeAlipan
from tests.fakes.entra import FakeEntra
from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts
from tests.sources.alipan_world import Kept
from tests.sources.aws_world import ALICE, AwsHome
from tests.sources.entra_world import EntraWorld


@pytest.fixture
def aws_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AwsHome:
    """An empty `~/.aws`; no instance metadata, no proxies, no AWS variables."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    home = AwsHome(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home.credentials))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home


@pytest.fixture
def alice(aws_home: AwsHome) -> AwsHome:
    """The home of the fake world's IAM user."""
    aws_home.keys(*ALICE)
    return aws_home


@pytest.fixture
def sts() -> Iterator[FakeSts]:
    """The strict fake STS."""
    with FakeSts() as fake:
        yield fake


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """One moto server for all tests."""
    with Moto() as server:
        yield server


@pytest.fixture(scope="session")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificate:
    """A certificate for this machine."""
    return certificates.write(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def entra_world(
    loopback: certificates.Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EntraWorld]:
    """It is trusted, and nothing of this machine's own Azure identity is in the environment."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(loopback.certificate))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # no `az` of this machine is asked
    with FakeEntra(loopback.context()) as entra:
        yield EntraWorld(entra, tmp_path)


@pytest.fixture(params=[False, True], ids=["tokens-stay", "tokens-end-by-use"])
def kept(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kept]:
    """Whichever way Alipan has it."""
    with FakeAlipan(once=request.param) as fake:
        yield Kept(tmp_path, fake)
