"""Private files and folders: what others could have written or prepared is refused."""

import os
import stat
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.safefile import private_folder, read_private, write_private
from tests.other_user import given_away, ordinary_place


def refused(match: str) -> pytest.RaisesExc[BrokerError]:
    return pytest.raises(BrokerError, match=match)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestReadPrivate:
    def test_a_file_of_ours_is_read(self, tmp_path: Path):
        """The plain case, up to the very limit."""
        write_private(tmp_path / "key", b"12345")

        assert read_private(tmp_path / "key", 5) == b"12345"

    def test_a_longer_one_is_refused(self, tmp_path: Path):
        """Somebody named the wrong file; it is not read whole to find out."""
        write_private(tmp_path / "key", b"123456")

        with refused("it is longer than 5 bytes"):
            read_private(tmp_path / "key", 5)

    def test_a_link_to_a_good_file_is_followed(self, tmp_path: Path):
        """Kubernetes mounts projected tokens that way."""
        write_private(tmp_path / "key", b"1")
        (tmp_path / "link").symlink_to(tmp_path / "key")

        assert read_private(tmp_path / "link", 5) == b"1"

    @pytest.mark.parametrize("bits", [0o620, 0o602, 0o666])
    def test_a_file_that_others_may_write_to_is_refused(self, tmp_path: Path, bits: int):
        """They decide what is in it."""
        write_private(tmp_path / "key", b"1")
        (tmp_path / "key").chmod(bits)

        with refused("others may write to it; chmod go-w it"):
            read_private(tmp_path / "key", 5)

    def test_a_file_of_another_user_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """He can write to it at any time."""
        write_private(tmp_path / "key", b"1")
        given_away(tmp_path / "key", monkeypatch)

        with refused("it belongs to another user"):
            read_private(tmp_path / "key", 5)

    def test_a_file_of_roots_is_read_by_anyone(self):
        """Administrators place identities."""
        assert b"root" in read_private("/etc/passwd", 1_000_000)

    def test_a_fifo_is_refused_without_waiting_for_a_writer(self, tmp_path: Path):
        """A daemon that waits for ever at start has no error to show."""
        os.mkfifo(tmp_path / "key", 0o600)

        with refused("not a regular file"):
            read_private(tmp_path / "key", 5)

    @pytest.mark.parametrize("path", ["/", "/dev/null"])
    def test_what_is_no_file_is_refused(self, path: str):
        """A folder, a device."""
        with refused("not a regular file"):
            read_private(path, 5)

    def test_an_absent_one_is_told_with_its_path(self, tmp_path: Path):
        """And with what to do."""
        with refused(f"cannot read {tmp_path}/none: No such file or directory; create it, or correct the path"):
            read_private(tmp_path / "none", 5)

    def test_one_that_this_user_may_not_read_is_told(self):
        """The kernel's refusal, in our words."""
        with ordinary_place() as place:
            write_private(place / "key", b"1")
            (place / "key").chmod(0)

            with refused("Permission denied; give this user access to it"):
                read_private(place / "key", 5)


class TestPrivateFolder:
    @pytest.mark.parametrize("umask", [0, 0o777])
    def test_it_is_made_for_its_owner_alone(self, tmp_path: Path, umask: int):
        """Whatever the umask."""
        before = os.umask(umask)
        try:
            private_folder(tmp_path / "credbroker")
        finally:
            os.umask(before)

        assert mode(tmp_path / "credbroker") == 0o700

    def test_one_that_is_ours_is_taken_as_it_is(self, tmp_path: Path):
        """With what is in it."""
        private_folder(tmp_path / "credbroker")
        (tmp_path / "credbroker" / "port").touch()
        private_folder(tmp_path / "credbroker")

        assert (tmp_path / "credbroker" / "port").exists()

    @pytest.mark.parametrize("bits", [0o750, 0o701, 0o1777])
    def test_one_that_others_may_enter_is_refused(self, tmp_path: Path, bits: int):
        """Not mended: who knows what is in it by now."""
        (tmp_path / "credbroker").mkdir()
        (tmp_path / "credbroker").chmod(bits)

        with refused("others may enter it; chmod 700 it"):
            private_folder(tmp_path / "credbroker")

    def test_one_of_another_user_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """In /tmp anybody can be there first."""
        tmp_path.chmod(0o1777)
        (tmp_path / "credbroker").mkdir(mode=0o700)
        given_away(tmp_path / "credbroker", monkeypatch)

        with refused("belongs to another user"):
            private_folder(tmp_path / "credbroker")

    def test_a_link_to_one_is_refused(self, tmp_path: Path):
        """Likewise."""
        (tmp_path / "real").mkdir(mode=0o700)
        (tmp_path / "credbroker").symlink_to(tmp_path / "real")

        with refused("a folder is needed, and no symbolic link"):
            private_folder(tmp_path / "credbroker")

    def test_a_file_in_its_place_is_refused(self, tmp_path: Path):
        """The advice says what to remove."""
        (tmp_path / "credbroker").touch()

        with refused(f"cannot use the folder {tmp_path}/credbroker: Not a directory; remove what stands there"):
            private_folder(tmp_path / "credbroker")

    def test_a_parent_that_others_may_write_to_is_refused(self, tmp_path: Path):
        """They could swap the folder."""
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)

        with refused("others may write to .*/open"):
            private_folder(tmp_path / "open" / "credbroker")
