"""Which metadata servers answer."""

import socket
import threading

import pytest

from broker.doctor import reaching
from broker.doctor.reaching import ADDRESSES, reachable


class TestReachable:
    def test_those_that_answer_are_named(self):
        """And no others."""
        assert reachable(("a", "b"), lambda address: address == "b") == {"b"}

    def test_all_are_asked_at_the_same_time(self):
        """One after the other would take as long as they are many."""
        together = threading.Barrier(len(ADDRESSES), timeout=10)

        assert reachable(connects=lambda _: together.wait() >= 0) == frozenset(ADDRESSES)

    def test_a_listener_is_reached_and_sent_nothing(self, monkeypatch: pytest.MonkeyPatch):
        """A GET would be an SSRF's."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            monkeypatch.setattr(reaching, "PORT", server.getsockname()[1])

            assert reachable(("127.0.0.1",)) == {"127.0.0.1"}
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1) == b""

    def test_a_closed_port_is_not_reached(self, monkeypatch: pytest.MonkeyPatch):
        """As behind the firewall's rules."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        monkeypatch.setattr(reaching, "PORT", port)

        assert reachable(("127.0.0.1",)) == frozenset()
