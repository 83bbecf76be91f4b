"""Minters of both kinds."""

from collections.abc import Iterator

import pytest

from tests.minter import pools
from tests.minter.services import Activated, in_folder, short_folder


@pytest.fixture(params=["child", "service"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test is run twice: with children of the daemon, and with the service behind its socket."""
    if request.param == "child":
        yield
        return
    with short_folder() as folder:
        monkeypatch.setattr(pools, "activate", lambda launch: Activated(folder, in_folder(launch, folder)))
        yield
