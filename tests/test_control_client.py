"""The command line's side: where a daemon is looked for, whom it trusts, and what an answer that is none becomes."""

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import control_api as api
from broker import control_client
from broker.control_client import Client, UnknownHere, Untrusted, candidates, check_port, find
from broker.errors import BrokerError, ConfigError, NoDaemon
from tests.answering import answering
from tests.other_user import SOMEBODY
from tests.squatter import squatted

WORKER = api.Worker(caller="me", host="127.0.0.1", port=1, header_token="cbw_x", path_token="cbp_y", granted=())


@pytest.fixture
def place() -> Iterator[str]:
    """A short path for a socket."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder:
        yield f"{folder}/s"


class TestCandidates:
    def test_the_order_is_the_contracts(self):
        """The configuration, the user's own, the system's."""
        environ = {"XDG_RUNTIME_DIR": "/run/user/1000"}

        assert [*candidates(None, environ, "/srv/s")] == [
            "/srv/s",
            "/run/user/1000/credbroker/broker.sock",
            "/run/credbroker/broker.sock",
        ]

    @pytest.mark.parametrize(
        ("explicit", "variable", "first"), [("/a", "/b", "/a"), (None, "/b", "/b"), (None, "", None)]
    )
    def test_one_that_is_named_is_the_only_one(self, explicit: str | None, variable: str, first: str | None):
        """Another is not what was asked for; an empty variable names none."""
        found = [*candidates(explicit, {"CREDBROKER_SOCKET": variable}, None)]

        assert found == ([first] if first else ["/run/credbroker/broker.sock"])


class TestFind:
    def test_the_first_that_answers_is_taken(self, place: str):
        """What is dead before it is passed over."""
        with answering(place):
            assert find(None, {"XDG_RUNTIME_DIR": "/nonexistent"}, place).path == place

    def test_none_is_told_with_every_place_and_its_reason(self, place: str, monkeypatch: pytest.MonkeyPatch):
        """And how to start one."""
        monkeypatch.setattr(control_client, "SYSTEM_SOCKET", "/nonexistent/broker.sock")
        Path(place).touch()
        with pytest.raises(NoDaemon) as failure:
            find(None, {}, place)

        assert failure.value.advice.splitlines()[1:] == [
            f"  {place}: Connection refused",
            "  /nonexistent/broker.sock: No such file or directory",
        ]
        assert "`credbroker serve`" in failure.value.advice


class TestTrust:
    def test_a_socket_that_somebody_else_holds_gets_nothing(self, place: str, monkeypatch: pytest.MonkeyPatch):
        """He may have put it there while the daemon was down."""
        monkeypatch.setattr(control_client, "trusted", lambda: frozenset({SOMEBODY}))
        with answering(place) as server, pytest.raises(Untrusted, match=f"held by uid {os.geteuid()}, who is neither"):
            Client(place).get("/status", dict[str, str])

        assert server.asked == []

    @pytest.mark.root
    def test_so_the_kernel_says_of_a_real_one(self, place: str):
        """Found at its place, and not talked to."""
        Path(place).parent.chmod(0o777)
        with squatted(place), pytest.raises(NoDaemon, match=f"{place} is held by uid {SOMEBODY}"):
            find(place, {})

    def test_a_port_that_somebody_else_holds_gets_no_token(self, monkeypatch: pytest.MonkeyPatch):
        """The daemon that named it is gone."""
        monkeypatch.setattr(control_client, "tcp_listener_owner", lambda _: SOMEBODY)
        with pytest.raises(Untrusted, match=f"port 1 is held by uid {SOMEBODY}"):
            check_port(WORKER)

    @pytest.mark.parametrize("owner", [None, 0, os.geteuid()])
    def test_roots_and_ones_own_do(self, owner: int | None, monkeypatch: pytest.MonkeyPatch):
        """So does one in doubt: the peer of the socket vouches for it."""
        monkeypatch.setattr(control_client, "tcp_listener_owner", lambda _: owner)

        check_port(WORKER)

    def test_the_daemons_account_is_trusted_where_there_is_one(self, monkeypatch: pytest.MonkeyPatch):
        """By its name."""
        monkeypatch.setattr(control_client, "DAEMON_ACCOUNT", "daemon")
        assert control_client.trusted() > {0, os.geteuid()} or os.geteuid() == 1
        monkeypatch.setattr(control_client, "DAEMON_ACCOUNT", "nosuchaccount")
        assert control_client.trusted() == {0, os.geteuid()}


class TestAnswers:
    @pytest.mark.parametrize(("status", "exit_status"), [(401, 4), (403, 4), (404, 1), (503, 1)])
    def test_a_refusal_keeps_its_words_and_code(self, place: str, status: int, exit_status: int):
        """And becomes an exit status of the contract."""
        with answering(place, status, b'{"code": "Word", "message": "do this"}'), pytest.raises(BrokerError) as failure:
            Client(place).get("/status", dict[str, str])

        assert (failure.value.advice, failure.value.code, failure.value.exit_status) == ("do this", "Word", exit_status)

    def test_mistakes_of_a_configuration_come_whole(self, place: str):
        """Each with its place."""
        body = b'{"code": "ConfigError", "message": "", "mistakes": [["a.toml:1", "x"], ["a.toml:2", "y"]]}'
        with answering(place, 422, body), pytest.raises(ConfigError) as failure:
            Client(place).post("/reload", {}, dict[str, str])

        assert (str(failure.value), failure.value.exit_status) == ("a.toml:1: x\na.toml:2: y", 2)

    def test_a_caller_that_is_unknown_here_may_be_known_elsewhere(self, place: str):
        """`exec` asks the next daemon then."""
        with (
            answering(place, 403, b'{"code": "UnknownCaller", "message": "who?"}'),
            pytest.raises(UnknownHere) as failure,
        ):
            Client(place).get("/whoami", dict[str, str])

        assert failure.value.exit_status == 4

    @pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"version": 1}'])
    def test_an_answer_that_is_none_is_told_without_its_text(self, place: str, body: bytes):
        """Another version, or another program."""
        with (
            answering(place, 200, body),
            pytest.raises(BrokerError, match="a way that this version does not understand"),
        ):
            Client(place).get("/status", api.Status)

    def test_a_refusal_that_is_none_likewise(self, place: str):
        """Its status is all that is known."""
        with (
            answering(place, 500, b"<html>secret</html>"),
            pytest.raises(BrokerError, match=r"the daemon answered 500$"),
        ):
            Client(place).get("/status", api.Status)

    def test_a_daemon_that_hangs_up_is_none(self, place: str):
        """It has just ended, say."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place)
            listener.listen()
            asking = threading.Thread(target=_hang_up, args=(listener,))
            asking.start()
            with pytest.raises(NoDaemon, match=r"did not answer: (it hung up|Broken pipe|Connection reset)"):
                Client(place).get("/status", api.Status)
            asking.join()

    def test_one_that_says_nothing_is_not_waited_for_for_ever(self, place: str):
        """Patience is the caller's."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(place)
            listener.listen()
            with pytest.raises(NoDaemon, match="it took too long"):
                Client(place, 0.05).get("/status", api.Status)

    @pytest.mark.parametrize("name", ["a/b", "../x", "a b", "a?b#c", "ü", "%2e"])
    def test_a_name_is_one_segment_whatever_is_in_it(self, place: str, name: str):
        """A path is not a way to another request."""
        with answering(place, body=b"{}") as server:
            Client(place).lease(name)

        assert server.asked[0].startswith("GET /lease/")
        assert server.asked[0].count("/") == 2


def _hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()
