"""One file kept fresh: written when there is something new, and looked after soon enough."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError
from broker.files import FreshFile, lay_out, next_look


class TestNextLook:
    @pytest.mark.parametrize(("left", "seconds"), [(3600, 60), (100, 25), (2, 1), (0, 1), (-5, 1)])
    def test_a_quarter_of_what_is_left_between_a_second_and_a_minute(self, left: float, seconds: float):
        """Never a busy loop, and an early rotation is seen within a minute."""
        assert next_look(left) == seconds

    @given(st.floats(min_value=2, max_value=129_600))
    def test_it_is_well_before_the_end(self, left: float):
        """A value is replaced while it still lives."""
        assert next_look(left) <= left / 2


class TestFreshFile:
    def test_the_first_value_is_written_privately(self, tmp_path: Path):
        """0600, as everything that holds a token."""
        assert FreshFile(tmp_path / "token").put(1, b"one")

        assert (tmp_path / "token").read_bytes() == b"one"
        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600

    def test_the_same_lease_is_not_written_again(self, tmp_path: Path):
        """A file that changes wakes whoever watches it."""
        file = FreshFile(tmp_path / "token")
        file.put(1, b"one")
        before = (tmp_path / "token").stat().st_ino

        assert not file.put(1, b"one")
        assert (tmp_path / "token").stat().st_ino == before

    def test_a_new_lease_replaces_it(self, tmp_path: Path):
        """The point of it."""
        file = FreshFile(tmp_path / "token")
        file.put(1, b"one")

        assert file.put(2, b"two")
        assert (tmp_path / "token").read_bytes() == b"two"

    def test_a_file_that_has_gone_is_written_again(self, tmp_path: Path):
        """Old files in /tmp are cleared away."""
        file = FreshFile(tmp_path / "token")
        file.put(1, b"one")
        (tmp_path / "token").unlink()

        assert file.put(1, b"one")
        assert (tmp_path / "token").read_bytes() == b"one"

    def test_a_failed_write_is_tried_again(self, tmp_path: Path):
        """A full disk does not leave an old value there for good."""
        file = FreshFile(tmp_path / "folder" / "token")
        with pytest.raises(BrokerError):
            file.put(1, b"one")
        (tmp_path / "folder").mkdir(mode=0o700)

        assert file.put(1, b"one")

    def test_the_path_holds_when_the_current_folder_changes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """`get NAME --watch FILE` says where once."""
        monkeypatch.chdir(tmp_path)
        file = FreshFile("token")
        monkeypatch.chdir("/")
        file.put(1, b"one")

        assert (tmp_path / "token").read_bytes() == b"one"


class TestLayOut:
    def test_folders_come_before_the_files_in_them(self, tmp_path: Path):
        """All of it private."""
        folder = str(tmp_path / "worker")
        lay_out((folder, f"{folder}/gcloud"), ((f"{folder}/token", b"value"),))

        assert (tmp_path / "worker" / "gcloud").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "worker" / "token").read_bytes() == b"value"
