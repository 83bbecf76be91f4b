"""Files of secrets that anybody may read: by their modes alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.cli.exposed import warn_of_exposed
from broker.config.shape import Credential
from broker.model import Reference
from broker.sources.private_env import PrivateEnv


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that everybody may enter, as every folder above it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def a_file(folder: Path, mode: int) -> Path:
    """A secret with that mode."""
    (path := folder / "store.key").write_text("s3cret")
    path.chmod(mode)
    return path


def warned(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of two credentials that refer to it."""
    spec = PrivateEnv(secrets={"A": Reference(file=str(path)), "B": Reference(env="B")})
    warn_of_exposed([Credential(name=name, source="private-env", spec=spec) for name in ("one", "two")])
    return capsys.readouterr().err


class TestWarnOfExposed:
    def test_what_anybody_may_read_is_said_once(self, open_folder: Path, capsys: pytest.CaptureFixture[str]):
        """A worker that can read what is minted from needs no broker."""
        path = a_file(open_folder, 0o644)

        said = f"credbroker: warning: anybody on this machine may read {path}: chmod 600 it\n"
        assert warned(path, capsys) == said

    @pytest.mark.parametrize("mode", [0o600, 0o640])
    def test_what_few_may_read_is_not(self, open_folder: Path, capsys: pytest.CaptureFixture[str], mode: int):
        """A group may be the minters' own."""
        assert warned(a_file(open_folder, mode), capsys) == ""

    def test_a_closed_folder_is_enough(self, open_folder: Path, capsys: pytest.CaptureFixture[str]):
        """As of the folder that the minters have to themselves."""
        open_folder.chmod(0o700)

        assert warned(a_file(open_folder, 0o644), capsys) == ""

    def test_what_is_not_there_is_the_mints_to_tell(self, open_folder: Path, capsys: pytest.CaptureFixture[str]):
        """With its path, and what to do."""
        assert warned(open_folder / "absent", capsys) == ""
