"""Listeners that systemd hands over."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.server import sockets
from broker.server.sockets import systemd_sockets


@pytest.fixture
def descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Numbers in a row, as systemd hands them over, with two TCP listeners and a Unix one behind them."""
    first = 400
    with contextlib.ExitStack() as made:
        tcp = [made.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        unix = made.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind("")
        unix.listen()
        numbers = [os.dup2(end.fileno(), first + place) for place, end in enumerate((*tcp, unix))]
        monkeypatch.setattr(sockets, "FIRST_DESCRIPTOR", first)
        yield numbers
        for number in numbers:
            with contextlib.suppress(OSError):
                os.close(number)


def environment(count: int | str, names: str | None = None, pid: int | None = None) -> dict[str, str]:
    """What systemd sets, and something of the user's."""
    named = {} if names is None else {"LISTEN_FDNAMES": names}
    return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "HOME": "/", **named}


class TestSystemdSockets:
    def test_listeners_are_found_by_name_and_several_may_share_one(self, descriptors: list[int]) -> None:
        """A socket unit with two ListenStream= gives both the same name."""
        environ = environment(3, "worker:worker:control")
        found = systemd_sockets(environ)

        assert {name: [end.fileno() for end in ends] for name, ends in found.items()} == {
            "worker": descriptors[:2],
            "control": descriptors[2:],
        }
        assert found["control"][0].family == socket.AF_UNIX
        assert environ == {"HOME": "/"}
        for ends in found.values():
            for end in ends:
                assert not end.getblocking()
                assert not end.get_inheritable()
                end.close()

    def test_without_names_they_are_unknown(self, descriptors: list[int]) -> None:
        """As sd_listen_fds_with_names(3) calls them."""
        found = systemd_sockets(environment(1))

        assert [end.fileno() for end in found["unknown"]] == descriptors[:1]
        found["unknown"][0].close()

    def test_those_of_another_process_are_not_ours(self, descriptors: list[int]) -> None:
        """The variables were inherited; children of ours do not inherit them again."""
        environ = environment(3, "a:b:c", pid=1) | {"LISTEN_PIDFDID": "7"}

        assert systemd_sockets(environ) == {}
        assert environ == {"HOME": "/"}

    def test_none_are_handed_over_to_a_daemon_started_by_hand(self) -> None:
        """It listens for itself."""
        assert systemd_sockets({}) == systemd_sockets(environment(0)) == {}

    @pytest.mark.parametrize("count", ["", "-1", "x", "1e3", "99999", "\N{ARABIC-INDIC DIGIT ONE}"])
    def test_a_count_that_is_none_is_refused(self, count: str) -> None:
        """Nothing is guessed."""
        with pytest.raises(BrokerError, match="LISTEN_FDS"):
            systemd_sockets(environment(count))

    @pytest.mark.parametrize("names", ["worker", "a:b:c"])
    def test_names_must_be_as_many_as_sockets(self, descriptors: list[int], names: str) -> None:
        """Else the control socket might be taken for the workers'."""
        with pytest.raises(BrokerError, match="LISTEN_FDNAMES"):
            systemd_sockets(environment(2, names))

    def test_a_descriptor_that_is_closed_is_named(self, descriptors: list[int]) -> None:
        """By its number and name; what came before it is closed again."""
        os.close(descriptors[1])

        with pytest.raises(BrokerError, match=f"descriptor {descriptors[1]} \\(b\\)"):
            systemd_sockets(environment(2, "a:b"))
        with pytest.raises(OSError):
            os.fstat(descriptors[0])

    def test_a_file_is_no_socket(self, descriptors: list[int]) -> None:
        """StandardInput= and friends are not for us."""
        with Path(os.devnull).open("rb") as null:
            os.dup2(null.fileno(), descriptors[0])

        with pytest.raises(BrokerError, match="no socket"):
            systemd_sockets(environment(1, "a"))

    @pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
    def test_a_socket_that_does_not_listen_is_refused(self, descriptors: list[int], kind: int) -> None:
        """Accept=yes hands over a connection."""
        with socket.socket(socket.AF_UNIX, kind) as end:
            os.dup2(end.fileno(), descriptors[0])

        with pytest.raises(BrokerError, match="Accept=no"):
            systemd_sockets(environment(1, "a"))
