"""A worker's tokens held over a connection, over the end of the daemon, and over to the next one."""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker import control_api as api
from broker import control_client, hold
from broker.control_client import Client
from broker.errors import NoDaemon
from broker.hold import LONG_PAUSE, PAUSE, Hold

WORKER = api.Worker(
    caller="me", host="127.0.0.1", port=1, header_token="cbw_x", path_token="cbp_x", granted=(), token_ids=("a", "b")
)
CLAIMED = api.Claimed(host="127.0.0.1", port=1, token_ids=("a", "b"))
ORDER = api.WorkerOrder(hold=True)


class Daemon:
    """A control socket that says what a test tells it to, one connection after the other."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "s")
        self.heard: list[tuple[str, dict[str, object]]] = []
        self.connection: socket.socket | None = None
        self.listener: socket.socket | None = None
        self.begin()

    def begin(self) -> None:
        """Listen, as a daemon does that starts."""
        Path(self.path).unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()

    def end(self) -> None:
        """Listen no more, and hang up."""
        for one in (self.connection, self.listener):
            if one is not None:
                one.close()
        self.connection = self.listener = None

    def answer(self, said: msgspec.Struct, status: int = 201) -> None:
        """Take the next connection, hear its request, and say this; the connection stays."""
        assert self.listener is not None
        if self.connection is not None:
            self.connection.close()
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(5)
        with self.connection.makefile("rb") as lines:
            line = lines.readline().decode()
            fields = {}
            while (field := lines.readline().decode().strip()) != "":
                name, _, text = field.partition(": ")
                fields[name.lower()] = text
            self.heard.append((line.split()[1], json.loads(lines.read(int(fields["content-length"])))))
        body = msgspec.json.encode(said) + b"\n"
        length = f"Content-Length: {len(body) + (status < 400)}\r\n"  # a held one never ends
        self.connection.sendall(f"HTTP/1.1 {status} X\r\n{length}\r\n".encode() + body)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.end()


@pytest.fixture(autouse=True)
def nobody_holds_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it is asked of the system; here it is nobody."""
    monkeypatch.setattr(control_client, "tcp_listener_owner", lambda _: None)


@pytest.fixture
def held(daemon: Daemon) -> Iterator[Hold]:
    """Tokens that a daemon has given."""
    with contextlib.closing(engaged(daemon)) as made:
        yield made


def engaged(daemon: Daemon, *, claims: bool = True) -> Hold:
    """Ask for tokens, while the daemon answers in the same thread: what it says waits in the socket."""
    thread = threading.Thread(target=daemon.answer, args=(WORKER,))
    thread.start()
    made = Hold.engage(Client(daemon.path), ORDER, claims=claims)
    thread.join()
    return made


def readable(hold: Hold) -> bool:
    """Whether there is something to look at now."""
    number = hold.fileno()
    return number is not None and bool(select.select([number], [], [], 0)[0])


class TestHeld:
    def test_nothing_is_to_be_looked_at(self, held: Hold):
        """As long as the daemon lives."""
        assert (readable(held), held.pause, held.over, held.lost) == (False, None, None, False)
        assert held.worker == WORKER

    def test_a_daemon_that_is_not_there_is_told(self, daemon: Daemon):
        """As for any other command."""
        daemon.end()

        with pytest.raises(NoDaemon):
            Hold.engage(Client(daemon.path), ORDER)

    def test_closing_lets_go(self, daemon: Daemon, held: Hold):
        """The daemon sees the connection end."""
        held.close()
        assert daemon.connection is not None

        assert (daemon.connection.recv(1), held.fileno()) == (b"", None)


class TestLost:
    def test_the_daemons_end_is_seen(self, daemon: Daemon, held: Hold):
        """From then on it is to be looked at every now and then."""
        daemon.end()
        assert readable(held)
        held.look()

        assert (held.fileno(), held.pause, held.over) == (None, PAUSE, None)

    def test_after_a_while_less_often(self, daemon: Daemon, held: Hold, monkeypatch: pytest.MonkeyPatch):
        """A daemon may come back after an hour; its tokens then wait half a minute."""
        daemon.end()
        held.look()
        began = time.monotonic()
        monkeypatch.setattr("broker.hold.time.monotonic", lambda: began + hold.PATIENCE + 1)

        assert held.pause == LONG_PAUSE
        assert held.long_lost

    def test_a_broker_of_ones_own_does_not_come_back(self, daemon: Daemon):
        """It was there for this command alone."""
        with contextlib.closing(engaged(daemon, claims=False)) as held:
            daemon.end()
            held.look()

            assert (held.over, held.pause, held.fileno()) == ("the daemon has ended", None, None)


class TestClaimed:
    def test_the_next_daemon_is_shown_the_token(self, daemon: Daemon, held: Hold):
        """And nothing waits while it thinks."""
        daemon.end()
        daemon.begin()
        held.look()
        assert (readable(held), held.pause) == (False, None)
        daemon.answer(CLAIMED)
        assert readable(held)
        held.look()

        assert daemon.heard[1:] == [("/worker/claim", {"token": "cbw_x"})]
        assert (readable(held), held.pause, held.over, held.lost) == (False, None, None, False)

    def test_one_that_is_stopping_is_not_the_next(self, daemon: Daemon, held: Hold):
        """The old one listens a moment longer than it holds."""
        daemon.end()
        daemon.begin()
        held.look()
        daemon.answer(api.Problem(code="NotReady", message="the daemon is stopping"), 503)
        held.look()

        assert (held.over, held.pause) == (None, PAUSE)
        held.look()
        daemon.answer(CLAIMED)
        held.look()
        assert (held.over, held.pause, held.lost) == (None, None, False)

    def test_one_that_hangs_up_is_asked_again(self, daemon: Daemon, held: Hold):
        """It may have died over it."""
        daemon.end()
        daemon.begin()
        held.look()
        daemon.end()
        held.look()
        assert held.pause == PAUSE
        daemon.begin()
        held.look()
        daemon.answer(CLAIMED)
        held.look()

        assert not held.lost

    def test_one_that_does_not_know_the_token_ends_it(self, daemon: Daemon, held: Hold):
        """It took over nothing."""
        daemon.end()
        daemon.begin()
        held.look()
        daemon.answer(api.Problem(code="NotFound", message="no such token"), 404)
        held.look()

        assert held.over is not None
        assert "does not know" in held.over

    def test_one_on_another_port_ends_it(self, daemon: Daemon, held: Hold):
        """The command's environment names the old one."""
        daemon.end()
        daemon.begin()
        held.look()
        daemon.answer(msgspec.structs.replace(CLAIMED, port=2))
        held.look()

        assert held.over is not None
        assert "127.0.0.1:2 now" in held.over

    def test_a_stranger_on_the_socket_is_shown_nothing(
        self, daemon: Daemon, held: Hold, monkeypatch: pytest.MonkeyPatch
    ):
        """Whoever has squatted it while the daemon is away."""
        daemon.end()
        daemon.begin()
        monkeypatch.setattr(control_client, "peer_uid", lambda _: 4711)
        held.look()
        assert daemon.listener is not None
        connection, _ = daemon.listener.accept()
        with connection:
            assert connection.recv(1) == b""

        assert (held.pause, held.over) == (PAUSE, None)
