"""A home folder with nothing of this machine in it, the strict fake STS, and moto server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts
from tests.sources.aws_world import ALICE, AwsHome


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
