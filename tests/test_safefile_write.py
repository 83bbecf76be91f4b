"""Private files: what is written is whole and private, and nothing is written where others could have prepared it."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.safefile import write_private
from tests.other_user import SOMEBODY, given_away, ordinary_place


def refused(match: str) -> pytest.RaisesExc[BrokerError]:
    return pytest.raises(BrokerError, match=match)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestWritePrivate:
    def test_a_new_file_holds_the_data_and_is_the_owners_alone(self, tmp_path: Path):
        """The plain case."""
        write_private(tmp_path / "token", b"value")

        assert (tmp_path / "token").read_bytes() == b"value"
        assert mode(tmp_path / "token") == 0o600

    @pytest.mark.parametrize("umask", [0, 0o777])
    def test_the_mode_does_not_depend_on_the_umask(self, tmp_path: Path, umask: int):
        """A umask of 0 opens nothing, and an odd one does not lock the owner out."""
        before = os.umask(umask)
        try:
            write_private(tmp_path / "token", b"value")
        finally:
            os.umask(before)

        assert mode(tmp_path / "token") == 0o600

    def test_the_mode_is_set_before_there_is_anything_to_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A file that is open to others for a moment is read in that moment."""
        seen: list[tuple[int, bytes]] = []

        def rename(old: str, *_: str, **__: int) -> None:
            seen.append((mode(tmp_path / old), (tmp_path / old).read_bytes()))

        lock = fcntl.flock

        def flock(descriptor: int, how: int) -> None:
            status = os.fstat(descriptor)
            seen.append((stat.S_IMODE(status.st_mode), b"." * status.st_size))
            lock(descriptor, how)

        monkeypatch.setattr("broker.safefile.os.rename", rename)
        monkeypatch.setattr("broker.safefile.fcntl.flock", flock)
        write_private(tmp_path / "token", b"value")

        assert seen == [(0o600, b""), (0o600, b"value")]

    def test_an_open_mode_of_the_old_file_is_not_taken_over(self, tmp_path: Path):
        """It is a new file, not the old one changed."""
        (tmp_path / "token").write_bytes(b"old")
        (tmp_path / "token").chmod(0o644)
        write_private(tmp_path / "token", b"new")

        assert mode(tmp_path / "token") == 0o600

    def test_a_reader_of_the_old_file_keeps_the_whole_old_one(self, tmp_path: Path):
        """Replaced, never rewritten in place."""
        write_private(tmp_path / "token", b"old")
        with (tmp_path / "token").open("rb") as reader:
            write_private(tmp_path / "token", b"newer")

            assert reader.read() == b"old"

    def test_nothing_is_left_beside_it(self, tmp_path: Path):
        """The temporary file becomes the file."""
        write_private(tmp_path / "token", b"value", sync=True)

        assert [path.name for path in tmp_path.iterdir()] == ["token"]

    def test_sync_waits_for_the_data_before_the_name_and_for_the_name_after_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """In any other order a power cut may leave an empty file."""
        calls: list[str | int] = []
        rename = os.rename

        def noted(old: str, new: str, **folders: int) -> None:
            calls.append("rename")
            rename(old, new, **folders)

        monkeypatch.setattr("broker.safefile.os.fsync", lambda fd: calls.append(stat.S_IFMT(os.fstat(fd).st_mode)))
        monkeypatch.setattr("broker.safefile.os.rename", noted)
        write_private(tmp_path / "token", b"value", sync=True)

        assert calls == [stat.S_IFREG, "rename", stat.S_IFDIR]

    def test_a_relative_path_is_taken_from_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """As `get NAME --watch token` means it."""
        monkeypatch.chdir(tmp_path)
        write_private("token", b"value")

        assert (tmp_path / "token").read_bytes() == b"value"


class TestWhatAWriteRefuses:
    def test_a_symbolic_link(self, tmp_path: Path):
        """It may lead anywhere, and is left as it is."""
        (tmp_path / "token").symlink_to(tmp_path / "elsewhere")

        with refused(f"{tmp_path}/token: it is a symbolic link; remove it"):
            write_private(tmp_path / "token", b"value")
        assert (tmp_path / "token").is_symlink()
        assert not (tmp_path / "elsewhere").exists()

    def test_a_second_name(self, tmp_path: Path):
        """Somebody may hold the other one."""
        (tmp_path / "token").touch()
        (tmp_path / "other").hardlink_to(tmp_path / "token")

        with refused("hard link"):
            write_private(tmp_path / "token", b"value")

    def test_a_fifo(self, tmp_path: Path):
        """Somebody may read the other end; and nobody waits for him."""
        os.mkfifo(tmp_path / "token")

        with refused("not a regular file"):
            write_private(tmp_path / "token", b"value")

    def test_a_folder(self, tmp_path: Path):
        """A mistake in a path."""
        (tmp_path / "token").mkdir()

        with refused("not a regular file"):
            write_private(tmp_path / "token", b"value")

    def test_a_file_of_another_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """In a folder with the sticky bit somebody may have been there first."""
        (tmp_path / "token").touch()
        tmp_path.chmod(0o1777)
        given_away(tmp_path / "token", monkeypatch)

        with refused("belongs to another user"):
            write_private(tmp_path / "token", b"value")

    def test_a_folder_of_another_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """He can replace what stands in it."""
        folder = tmp_path / "folder"
        folder.mkdir()
        given_away(folder, monkeypatch)

        with refused(f"{folder} belongs to another user; choose a folder of this user"):
            write_private(folder / "token", b"value")

    @pytest.mark.parametrize("bits", [0o777, 0o770, 0o707])
    def test_a_folder_that_others_may_write_to(self, tmp_path: Path, bits: int):
        """They can put a file of theirs in the place of ours."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder").chmod(bits)

        with refused("chmod go-w"):
            write_private(tmp_path / "folder" / "token", b"value")
        assert not list((tmp_path / "folder").iterdir())

    def test_but_not_one_with_the_sticky_bit(self, tmp_path: Path):
        """As of a common temporary folder: others can add files there, not replace ours."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder").chmod(0o1777)
        write_private(tmp_path / "folder" / "token", b"value")

        assert (tmp_path / "folder" / "token").read_bytes() == b"value"

    def test_a_folder_that_is_not_there(self, tmp_path: Path):
        """The advice says what to do."""
        with refused("cannot write .*/none/token: No such file or directory; create it, or correct the path"):
            write_private(tmp_path / "none" / "token", b"value")

    def test_a_folder_that_this_user_may_not_write_to(self):
        """The kernel's refusal, in our words."""
        with ordinary_place() as place:
            (place / "folder").mkdir(mode=0o500)

            with refused("Permission denied; give this user access"):
                write_private(place / "folder" / "token", b"value")

    @pytest.mark.root
    def test_root_writes_into_no_users_folder(self, tmp_path: Path):
        """A user could turn such a write against root."""
        os.chown(tmp_path, SOMEBODY, SOMEBODY)

        with refused("belongs to another user"):
            write_private(tmp_path / "token", b"value")
