"""Daemons to be attacked: one that all tests of a file share, and one for a test that restarts it or breaks things."""

from collections.abc import Iterator

import pytest

from tests.cli.conftest import nobody, sts, user
from tests.cli.newcomer import WORLD, newcomer
from tests.fakes.sts import FakeSts
from tests.faults.keeping import kept
from tests.faults.stage import Broker

__all__ = ["broker", "kept", "nobody", "own", "sts", "user"]  # the newcomer is the clumsy administrator here


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One that runs; leave it as you found it."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts) as found:
        yield found


@pytest.fixture
def own() -> Iterator[Broker]:
    """One of the test's own, to be started by it."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        broker = Broker(user, sts)
        yield broker
        broker.stop()
