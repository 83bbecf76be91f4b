"""What a worker has that `doctor` runs in."""

from pathlib import Path

import pytest


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    """The worker's token, where its environment names it."""
    path = tmp_path / "token"
    path.write_text("cbw_x")
    path.chmod(0o600)
    return str(path)
