"""A newcomer before any daemon runs, and a stage on which one does."""

from collections.abc import Iterator

import pytest

from tests.cli.newcomer import CLOSED, TRAIN, WORLD, Newcomer, newcomer
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import introduction
from tests.fakes.sts import FakeSts

CONFIGURATION = """
    [credentials.train]
    source = "aws-assume-role"
    role_arn = "{train}"
    region = "eu-west-1"
    endpoint_url = "{sts}"

    [credentials.data]
    source = "gcp-adc"
    file = "{key}"

    [credentials.closed]
    source = "aws-assume-role"
    role_arn = "{closed}"
    endpoint_url = "{sts}"
    warm = "first-use"

    [callers.me]
    ME
    grants = ["train", "data", "closed"]

    [callers.batch]
    worker_token = true
    grants = ["train"]
"""


@pytest.fixture
def sts() -> Iterator[FakeSts]:
    """A strict fake STS of its own for each test."""
    with FakeSts(WORLD) as fake:
        yield fake


@pytest.fixture
def user(sts: FakeSts) -> Iterator[Newcomer]:
    """Somebody with an AWS profile, without a configuration and without a daemon."""
    with newcomer(sts) as found:
        yield found


@pytest.fixture
def nobody() -> Iterator[Newcomer]:
    """Somebody without any identity."""
    with newcomer() as found:
        yield found


@pytest.fixture(scope="session")
def stage() -> Iterator[Newcomer]:
    """Somebody whose daemon runs, with a credential of each cloud and one that upstream denies."""
    with FakeSts(WORLD) as sts, FakeGoogle() as google, newcomer(sts) as found:
        key = introduction(google, found.folder)["key_file"]
        found.configure(CONFIGURATION.format(sts=sts.url, train=TRAIN, closed=CLOSED, key=key))
        with found.serving():
            yield found
