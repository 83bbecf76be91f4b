"""The attestor against the kernel itself, over IPv4 and IPv6 loopback."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.callers.peer import Attestor, overflow_uid, swapped
from tests.callers.loopback import LISTEN, OTHER_UID, Connection, family_of, made_by

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture
def attestor() -> Iterator[Attestor]:
    started = Attestor()
    assert started.start() is None
    yield started
    started.close()


def state_and_owner(answer: bytes) -> tuple[int, int, int]:
    """State, uid and inode as the kernel gave them, unchecked."""
    uid, inode = struct.unpack_from("=II", answer, 80)
    return answer[17], uid, inode


def reset(client: socket.socket) -> None:
    """End a connection by RST, which leaves no trace of it."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
    client.close()


class TestAgainstTheKernel:
    @pytest.mark.parametrize(
        ("host", "listen_on"),
        [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.9", "127.0.0.9"),
            ("::1", "::1"),
            ("127.0.0.1", "::"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("::ffff:127.0.0.1", "::"),
            ("::1", "::"),
        ],
    )
    def test_a_client_of_ours_has_our_uid(self, attestor: Attestor, host: str, listen_on: str) -> None:
        """Over IPv4, IPv6, and every mixture of the two that a dual-stack socket makes."""
        with Connection(host, listen_on=listen_on) as link:
            assert attestor.uid_of(link.local, link.peer) == os.geteuid()

    def test_a_client_whose_server_has_closed_its_half_is_still_there(self, attestor: Attestor) -> None:
        """It is in CLOSE_WAIT."""
        with Connection() as link:
            link.accepted.shutdown(socket.SHUT_WR)

            assert attestor.uid_of(link.local, link.peer) == os.geteuid()

    def test_a_client_that_has_closed_its_half_is_doubt(self, attestor: Attestor) -> None:
        """It is on its way out."""
        with Connection() as link:
            link.client.shutdown(socket.SHUT_WR)

            assert attestor.uid_of(link.local, link.peer) is None

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_a_closed_client_is_nobody(self, attestor: Attestor, host: str) -> None:
        """The kernel still knows the connection, with inode 0; the uid is its maker's on some kernels, on others 0."""
        with Connection(host) as link:
            link.client.close()
            asked = swapped(link.local, link.peer)
            assert asked is not None

            assert state_and_owner(attestor._answer(asked))[2] == 0
            assert attestor.uid_of(link.local, link.peer) is None

    @pytest.mark.parametrize(
        ("host", "wildcard"), [("127.0.0.1", "0.0.0.0"), ("::1", "::"), ("127.0.0.1", "127.0.0.1")]
    )
    def test_a_listener_on_the_port_of_a_client_that_is_gone_is_not_taken_for_it(
        self, attestor: Attestor, host: str, wildcard: str
    ) -> None:
        """The kernel's exact look-up falls back to it: seen here, and refused."""
        with Connection(host) as link, socket.create_server((wildcard, link.peer[1]), family=family_of(wildcard)):
            assert attestor.uid_of(link.local, link.peer) == os.geteuid()
            reset(link.client)
            asked = swapped(link.local, link.peer)
            assert asked is not None
            state, uid, inode = state_and_owner(attestor._answer(asked))

            assert (state, uid, inode > 0) == (LISTEN, os.geteuid(), True)
            assert attestor.uid_of(link.local, link.peer) is None

    def test_a_client_that_is_gone_without_a_trace_is_nobody(self, attestor: Attestor) -> None:
        """The kernel answers ENOENT."""
        with Connection() as link:
            reset(link.client)

            assert attestor.uid_of(link.local, link.peer) is None

    def test_thousands_of_look_ups_leave_nothing_behind(self, attestor: Attestor) -> None:
        """One socket stays open; every answer is read."""
        with Connection() as link, Connection("::1") as other:
            for _ in range(2000):
                assert attestor.uid_of(link.local, link.peer) == os.geteuid()
                assert attestor.uid_of(other.local, link.peer) is None
            assert attestor._netlink is not None
            with pytest.raises(BlockingIOError):
                attestor._netlink.recv(100)


@pytest.mark.root
class TestAgainstTheKernelAsRoot:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    def test_a_client_of_another_uid_has_its_own(self, attestor: Attestor, host: str) -> None:
        """And the tuple as our side has it would give the server's: root's."""
        with Connection(host, listen_on="::", uid=OTHER_UID) as link:
            assert attestor.uid_of(link.local, link.peer) == OTHER_UID
            assert attestor.uid_of(link.peer, link.local) == 0

    def test_a_child_of_another_uid_is_known_by_it(self, attestor: Attestor) -> None:
        """A real process, which says when it has connected."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            child = subprocess.Popen(
                ["/bin/bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; read -r _ <&3"], user=OTHER_UID
            )
            accepted, remote = listener.accept()
            with accepted:
                assert attestor.uid_of(accepted.getsockname(), remote) == OTHER_UID
                assert attestor.uid_of(remote, accepted.getsockname()) == 0
            child.wait(10)

    def test_who_made_a_socket_counts_and_not_who_uses_it(self, attestor: Attestor) -> None:
        """A program that drops root after it has connected is still root to the kernel."""
        with Connection() as link, made_by(OTHER_UID):
            link.client.send(b"x")

            assert attestor.uid_of(link.local, link.peer) == 0

    def test_a_foreign_listener_on_the_port_of_a_client_that_is_gone_gives_nobody_its_uid(
        self, attestor: Attestor
    ) -> None:
        """The kernel would say so."""
        with Connection() as link:
            with made_by(OTHER_UID):
                trap = socket.create_server(("0.0.0.0", link.peer[1]))
            with trap:
                assert attestor.uid_of(link.local, link.peer) == 0
                reset(link.client)
                asked = swapped(link.local, link.peer)
                assert asked is not None

                assert state_and_owner(attestor._answer(asked))[:2] == (LISTEN, OTHER_UID)
                assert attestor.uid_of(link.local, link.peer) is None

    def test_nobody_s_account_is_doubt(self, attestor: Attestor) -> None:
        """Its uid is the kernel's overflow uid."""
        with Connection(uid=overflow_uid()) as link:
            assert attestor.uid_of(link.local, link.peer) is None

    def test_a_user_namespace_without_a_map_switches_it_off(self) -> None:
        """There everybody is the overflow uid."""
        assert "an account of its own" in in_user_namespace("print(attestor.start())")

    def test_a_user_namespace_that_knows_root_alone_tells_nobody_else(self) -> None:
        """Another's uid comes back as the overflow uid, which is nobody; root's own as its own."""
        with Connection(uid=OTHER_UID) as theirs, Connection() as ours:
            looks = f"attestor.uid_of({theirs.local}, {theirs.peer}), attestor.uid_of({ours.local}, {ours.peer})"
            said = in_user_namespace(f"print(attestor.start(), {looks})", "--map-root-user")

        assert said == "None None 0"

    def test_another_network_namespace_tells_nothing(self) -> None:
        """Its connections are not ours, whatever their names."""
        with Connection() as link:
            looks = f"attestor._open(); print(attestor.uid_of({link.local}, {link.peer}))"

            assert in_user_namespace(looks, "--map-root-user", "--net") == "None"


def in_user_namespace(program: str, *more: str) -> str:
    """What a program with an attestor prints in a user namespace of its own."""
    lines = f"from broker.callers.peer import Attestor; attestor = Attestor(); {program}"
    command = ["unshare", "--user", *more, sys.executable, "-c", lines]
    return subprocess.run(command, cwd=TREE, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
