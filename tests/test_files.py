"""One file kept fresh: written when there is something new, and looked after soon enough."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError
from broker.files import FreshFile, FreshFolder, lay_out, next_look


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


def pair(text: str) -> Callable[[str], tuple[tuple[str, bytes], ...]]:
    """Two files that belong together, and where they stand."""
    return lambda folder: (("token", text.encode()), ("key", text.encode()), ("where", folder.encode()))


class TestFreshFolder:
    def test_a_pair_is_laid_out_privately_behind_a_link(self, tmp_path: Path):
        """And knows where it stands itself."""
        folder = tmp_path / "oci"

        assert FreshFolder(folder, "current").put(1, pair("one"))
        assert (folder / "current" / "where").read_text() == str(folder / "0")
        assert (folder / "current").is_symlink()
        modes = [path.stat().st_mode & 0o777 for path in (folder, folder / "0", folder / "0" / "key")]
        assert modes == [0o700, 0o700, 0o600]

    def test_the_same_lease_is_not_laid_out_again(self, tmp_path: Path):
        """Unless it has gone."""
        folder = FreshFolder(tmp_path / "oci", "current")
        folder.put(1, pair("one"))
        again = folder.put(1, pair("one"))
        shutil.rmtree(tmp_path / "oci")

        assert not again
        assert folder.put(1, pair("one"))

    def test_a_new_one_is_swapped_in_and_the_last_one_stays_for_who_reads_it(self, tmp_path: Path):
        """The one before that goes."""
        folder = FreshFolder(tmp_path / "oci", "current")
        for number, text in enumerate(("one", "two", "three")):
            folder.put(number, pair(text))

        assert (tmp_path / "oci" / "current" / "token").read_text() == "three"
        assert sorted(path.name for path in (tmp_path / "oci").iterdir()) == ["1", "2", "current"]

    def test_the_link_moves_only_once_both_are_there(self, tmp_path: Path):
        """A reader never finds half of a pair."""
        folder = FreshFolder(tmp_path / "oci", "current")
        folder.put(1, pair("one"))

        def half(_: str) -> tuple[tuple[str, bytes], ...]:
            return (("token", b"two"), ("no/such/folder", b""))

        with pytest.raises(BrokerError):
            folder.put(2, half)
        assert (tmp_path / "oci" / "current" / "token").read_text() == "one"
        assert folder.put(2, pair("two"))
        assert (tmp_path / "oci" / "current" / "key").read_text() == "two"

    def test_a_link_that_cannot_be_made_is_told(self, tmp_path: Path):
        """Something else stands in its place."""
        folder = FreshFolder(tmp_path / "oci", "current")
        (tmp_path / "oci" / "current" / "x").mkdir(parents=True)
        (tmp_path / "oci").chmod(0o700)

        with pytest.raises(BrokerError, match="cannot write"):
            folder.put(1, pair("one"))


class TestLayOut:
    def test_folders_come_before_the_files_in_them(self, tmp_path: Path):
        """All of it private."""
        folder = str(tmp_path / "worker")
        lay_out((folder, f"{folder}/gcloud"), ((f"{folder}/token", b"value"),))

        assert (tmp_path / "worker" / "gcloud").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "worker" / "token").read_bytes() == b"value"
