"""The daemon's listening sockets: all of them or none."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.config.shape import Address, DaemonSettings
from broker.errors import BrokerError
from broker.server.doors import open_doors, workers_among

ANY = Address("127.0.0.1", 0)
SETTINGS = DaemonSettings(listen=(ANY, Address("::1", 0)), admin=ANY)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[contextlib.ExitStack]:
    tmp_path.chmod(0o755)
    with contextlib.ExitStack() as made:
        yield made


class TestOpenDoors:
    def test_they_are_where_they_say(self, stack: contextlib.ExitStack, tmp_path: Path):
        """With the ports that they got, and the socket in the runtime folder for everybody."""
        doors = open_doors(SETTINGS, {}, str(tmp_path), stack)

        assert [address.host for address in doors.listen] == ["127.0.0.1", "::1"]
        assert all(address.port for address in doors.listen)
        assert doors.admin_at == f"127.0.0.1:{doors.admin[0].getsockname()[1]}"
        assert doors.path == str(tmp_path / "broker.sock")
        assert (tmp_path / "broker.sock").stat().st_mode & 0o777 == 0o666

    def test_a_socket_that_is_named_is_there(self, stack: contextlib.ExitStack, tmp_path: Path):
        """And without an admin address there is none."""
        settings = msgspec.structs.replace(SETTINGS, socket=str(tmp_path / "s"), admin=None)
        doors = open_doors(settings, {}, "/nowhere", stack)

        assert (doors.path, doors.admin, doors.admin_at) == (str(tmp_path / "s"), [], None)

    def test_what_systemd_hands_over_is_taken(self, stack: contextlib.ExitStack, tmp_path: Path):
        """In the place of what is configured."""
        worker, control = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
        doors = open_doors(SETTINGS, {"worker": (worker,), "control": (control,)}, str(tmp_path), stack)

        assert (doors.worker, doors.control) == ([worker], [control])
        assert not (tmp_path / "broker.sock").exists()

    def test_at_the_end_all_are_closed_and_the_socket_is_gone(self, stack: contextlib.ExitStack, tmp_path: Path):
        """One that systemd holds stays where it is: it is only our copy that is closed."""
        doors = open_doors(SETTINGS, {}, str(tmp_path), stack)
        stack.close()

        assert [one.fileno() for one in (*doors.worker, *doors.control, *doors.admin)] == [-1] * 4
        assert not (tmp_path / "broker.sock").exists()

    def test_where_one_cannot_be_had_there_is_none(self, stack: contextlib.ExitStack, tmp_path: Path):
        """Those that were opened before it are closed."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            settings = msgspec.structs.replace(SETTINGS, admin=Address("127.0.0.1", taken.getsockname()[1]))
            with pytest.raises(BrokerError, match="is taken"), contextlib.ExitStack() as inner:
                open_doors(settings, {}, str(tmp_path), inner)

        assert not (tmp_path / "broker.sock").exists()


class TestDoors:
    @pytest.mark.parametrize(
        ("hosts", "workers"), [(("169.254.170.23", "127.0.0.1"), "127.0.0.1"), (("fd00:ec2::23",), "")]
    )
    def test_workers_are_not_sent_where_pods_alone_are_served(self, hosts: tuple[str, ...], workers: str):
        """`exec` and `env` would give them an address that knows nobody."""
        listen = tuple(Address(host, 9911) for host in hosts)

        assert workers_among(listen).host == workers
