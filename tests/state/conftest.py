"""A folder for sealed leases."""

from pathlib import Path

import pytest

from tests.state.entries import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty one."""
    return Place(tmp_path)
