"""Unix sockets: never stolen, and who is at the other end."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from broker.callers.peer import overflow_uid
from broker.errors import BrokerError
from broker.server.sockets import listen_unix, peer_session, peer_uid
from tests.callers.loopback import OTHER_UID, made_by


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a socket may stand: in a private folder."""
    tmp_path.chmod(0o700)
    return str(tmp_path / "broker.sock")


class TestListenUnix:
    @pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
    def test_it_listens_with_the_mode_it_is_told(self, path: str, mode: int) -> None:
        """Whatever the umask."""
        before = os.umask(0o077)
        try:
            with listen_unix(path, mode) as listener:
                assert stat.S_IMODE(Path(path).stat().st_mode) == mode
                assert not listener.getblocking()
                assert not listener.get_inheritable()
        finally:
            os.umask(before)

    def test_a_live_socket_is_never_taken(self, path: str) -> None:
        """Nor touched: the first daemon goes on."""
        with listen_unix(path, 0o600):
            inode = Path(path).stat().st_ino
            with pytest.raises(BrokerError, match="listens there"):
                listen_unix(path, 0o600)

            assert Path(path).stat().st_ino == inode
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)

    def test_a_live_socket_with_a_full_queue_is_live(self, path: str) -> None:
        """Its daemon may be stopped, or busy."""
        with listen_unix(path, 0o600, backlog=0), contextlib.ExitStack() as clients:
            while True:
                client = clients.enter_context(socket.socket(socket.AF_UNIX))
                client.settimeout(0)
                if client.connect_ex(path) == errno.EAGAIN:
                    break

            with pytest.raises(BrokerError, match="listens there"):
                listen_unix(path, 0o600)

    def test_a_dead_socket_is_replaced(self, path: str) -> None:
        """Its daemon was killed."""
        listen_unix(path, 0o600).close()

        with listen_unix(path, 0o600), socket.socket(socket.AF_UNIX) as client:
            client.connect(path)

    def test_a_socket_that_goes_while_it_is_looked_at_is_no_obstacle(
        self, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        """Its daemon is just stopping."""
        listen_unix(path, 0o600).close()

        def gone(_caller: socket.socket, address: str) -> int:
            Path(address).unlink()
            return errno.ENOENT

        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "connect_ex", gone)
            listen_unix(path, 0o600).close()
        assert Path(path).is_socket()

    def test_two_that_start_at_once_do_not_replace_each_other(self, path: str) -> None:
        """The second sees the lock of the first, and touches nothing."""
        listen_unix(path, 0o600).close()
        inode = Path(path).stat().st_ino
        with Path(f"{path}.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with pytest.raises(BrokerError, match="starting there"):
                listen_unix(path, 0o600)

        assert Path(path).stat().st_ino == inode
        listen_unix(path, 0o600).close()

    def test_a_file_is_never_removed(self, path: str) -> None:
        """A misspelt path must not cost anybody his data."""
        Path(path).write_text("precious", encoding="utf-8")

        with pytest.raises(BrokerError, match="not a socket"):
            listen_unix(path, 0o600)
        assert Path(path).read_text(encoding="utf-8") == "precious"

    def test_a_symlink_is_not_followed(self, path: str) -> None:
        """Not even to a dead socket of ours."""
        listen_unix(f"{path}.real", 0o600).close()
        Path(path).symlink_to(f"{path}.real")

        with pytest.raises(BrokerError, match="not a socket"):
            listen_unix(path, 0o600)
        assert Path(f"{path}.real").is_socket()

    def test_a_lock_file_that_is_a_symlink_is_refused(self, path: str, tmp_path: Path) -> None:
        """It would make a file elsewhere."""
        Path(f"{path}.lock").symlink_to(tmp_path / "elsewhere")

        with pytest.raises(BrokerError, match="cannot listen"):
            listen_unix(path, 0o600)
        assert not (tmp_path / "elsewhere").exists()

    def test_a_datagram_socket_of_another_program_stays(self, path: str) -> None:
        """It is in use, though it does not listen."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as theirs:
            theirs.bind(path)

            with pytest.raises(BrokerError, match="listens there"):
                listen_unix(path, 0o600)
            assert Path(path).is_socket()

    @pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
    def test_a_folder_that_others_write_to_is_refused(self, path: str, tmp_path: Path, mode: int) -> None:
        """They could put a socket of their own in our place; /tmp is such a folder too."""
        tmp_path.chmod(mode)

        with pytest.raises(BrokerError, match="chmod go-w"):
            listen_unix(path, 0o600)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_missing_is_named(self) -> None:
        """The daemon does not make folders of the system."""
        with pytest.raises(BrokerError, match="does not exist"):
            listen_unix("/run/no-such-folder/broker.sock", 0o600)

    def test_a_path_that_is_too_long_is_said_so(self, path: str) -> None:
        """The system's limit is short, and its own error does not say which."""
        with pytest.raises(BrokerError, match="107 bytes"):
            listen_unix(path + "x" * 107, 0o600)

    def test_a_failure_leaves_no_listener(self, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
        """And what is left of it is replaced at the next start."""

        def refuse(*_: object) -> None:
            raise OSError(errno.ENOBUFS, "made up")

        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "listen", refuse)
            with pytest.raises(BrokerError, match="made up"):
                listen_unix(path, 0o600)

        listen_unix(path, 0o600).close()

    @pytest.mark.root
    def test_a_folder_of_another_user_is_refused(self, path: str, tmp_path: Path) -> None:
        """He could put a socket of his own in our place."""
        os.chown(tmp_path, OTHER_UID, -1)

        with pytest.raises(BrokerError, match=f"belongs to uid {OTHER_UID}"):
            listen_unix(path, 0o600)


class TestPeerUid:
    def test_a_client_of_ours_has_our_uid(self, path: str) -> None:
        """By the kernel's word, at the time of connecting."""
        with listen_unix(path, 0o600) as listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            accepted, _ = listener.accept()
            with accepted:
                assert peer_uid(accepted) == peer_uid(client) == os.geteuid()

    def test_a_socket_without_a_peer_has_no_uid(self) -> None:
        """The kernel says -1."""
        with socket.socket(socket.AF_UNIX) as lonely:
            assert peer_uid(lonely) is None

    def test_macos_says_it_in_its_own_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """LOCAL_PEERCRED: a version, the uid, and groups behind it."""

        def xucred(_connection: socket.socket, level: int, option: int, size: int) -> bytes:
            assert (level, option, size) == (0, 1, 76)
            return struct.pack("=IIh2x16I", 0, 501, 1, *[20] * 16)

        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(socket.socket, "getsockopt", xucred)
        with socket.socket(socket.AF_UNIX) as end:
            assert peer_uid(end) == 501

    @pytest.mark.root
    @pytest.mark.parametrize(("uid", "expected"), [(OTHER_UID, OTHER_UID), (overflow_uid(), None)])
    def test_another_user_has_his_own_and_an_unknown_one_none(self, uid: int, expected: int | None) -> None:
        """The overflow uid stands for everybody whom a user namespace does not know."""
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind("")
            listener.listen()
            with made_by(uid):
                client.connect(listener.getsockname())
            accepted, _ = listener.accept()
            with accepted:
                assert peer_uid(accepted) == expected


class TestPeerSession:
    def test_a_client_is_of_the_session_it_is_of(self, path: str) -> None:
        """As long as it lives."""
        with listen_unix(path, 0o600) as listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            accepted, _ = listener.accept()
            with accepted:
                assert peer_session(accepted) == os.getsid(0)

    def test_one_that_has_ended_has_none(self, path: str) -> None:
        """Its pid may soon be another's."""
        with listen_unix(path, 0o600) as listener:
            code = f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"
            subprocess.run([sys.executable, "-c", code], check=True)
            accepted, _ = listener.accept()
            with accepted:
                assert peer_session(accepted) is None

    def test_nor_has_a_socket_without_a_peer(self) -> None:
        """Its pid is 0, which getsid(2) would take for ours."""
        with socket.socket(socket.AF_UNIX) as lonely:
            assert peer_session(lonely) is None
