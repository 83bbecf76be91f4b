"""The stage that the clients play on, and a home to start them from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.stage import Stage
from tests.clients.staging import staged


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Leases of an hour."""
    with staged(tmp_path_factory.mktemp("stage"), 3600) as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
