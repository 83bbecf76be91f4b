"""TCP listeners, and who holds a port."""

import errno
import os
import socket
from pathlib import Path

import pytest

from broker.callers.peer import overflow_uid
from broker.config.shape import Address
from broker.errors import BrokerError
from broker.server import sockets
from broker.server.sockets import listen_tcp, tcp_listener_owner
from tests.callers.loopback import OTHER_UID, family_of, made_by


def address_of(listener: socket.socket) -> Address:
    return Address(*listener.getsockname()[:2])


def advice_of(refused: pytest.ExceptionInfo[BrokerError]) -> str:
    return refused.value.advice


class TestListenTcp:
    @pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
    def test_it_listens_and_never_blocks(self, host: str) -> None:
        """On any free port for port 0."""
        with listen_tcp(Address(host, 0), 16) as listener:
            assert not listener.getblocking()
            assert not listener.get_inheritable()
            with pytest.raises(BlockingIOError):
                listener.accept()
            with socket.create_connection(listener.getsockname()[:2], timeout=1):
                pass

    def test_a_taken_port_is_named_with_how_to_find_who_holds_it(self) -> None:
        """A second daemon exits plainly."""
        with listen_tcp(Address("127.0.0.1", 0), 16) as first:
            with pytest.raises(BrokerError) as refused:
                listen_tcp(address_of(first), 16)

            port = first.getsockname()[1]
            assert refused.value.code == "AddressInUse"
            assert f"127.0.0.1:{port} is taken" in advice_of(refused)
            assert f"ss -ltnp 'sport = :{port}'" in advice_of(refused)

    def test_a_port_with_dying_connections_can_be_had_again(self) -> None:
        """A restart need not wait for TIME_WAIT."""
        with listen_tcp(Address("127.0.0.1", 0), 16) as first:
            address = address_of(first)
            client = socket.create_connection((address.host, address.port), timeout=1)
            accepted, _ = first.accept()
            accepted.close()
            client.close()

        listen_tcp(address, 16).close()

    def test_an_ipv6_listener_takes_no_ipv4(self) -> None:
        """Every address that is listened on is written down."""
        with listen_tcp(Address("::", 0), 16) as listener:
            refused = socket.socket()
            with refused:
                assert refused.connect_ex(("127.0.0.1", listener.getsockname()[1])) == errno.ECONNREFUSED

    def test_an_address_that_no_interface_has_is_said_so(self) -> None:
        """192.0.2.0/24 is for documentation."""
        with pytest.raises(BrokerError, match="no interface") as refused:
            listen_tcp(Address("192.0.2.1", 0), 16)

        assert "192.0.2.1" in advice_of(refused)

    @pytest.mark.parametrize(("code", "says"), [(errno.EACCES, "CAP_NET_BIND_SERVICE"), (errno.ENOBUFS, "made up")])
    def test_other_refusals_are_said_too(self, monkeypatch: pytest.MonkeyPatch, code: int, says: str) -> None:
        """Root passes where others are denied, hence the made-up kernel."""

        def refuse(*_: object) -> None:
            raise OSError(code, "made up")

        monkeypatch.setattr(socket.socket, "bind", refuse)

        with pytest.raises(BrokerError, match=r"127\.0\.0\.1:911") as refused:
            listen_tcp(Address("127.0.0.1", 911), 16)
        assert says in advice_of(refused)


class TestTcpListenerOwner:
    @pytest.mark.parametrize(
        ("listens", "asked"),
        [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.9", "127.0.0.9"),
            ("0.0.0.0", "127.0.0.1"),
            ("::1", "::1"),
            ("::", "::1"),
            ("::", "127.0.0.1"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
        ],
    )
    def test_the_listener_that_would_be_reached_has_its_owner(self, listens: str, asked: str) -> None:
        """Also one on any address, and an IPv6 one that takes IPv4."""
        with socket.socket(family_of(listens)) as listener:
            if family_of(listens) == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((listens, 0))
            listener.listen()

            assert tcp_listener_owner(Address(asked, listener.getsockname()[1])) == os.geteuid()

    def test_a_port_that_nobody_listens_on_has_none(self) -> None:
        """A socket that is bound alone is no listener; nor is one on another address."""
        with socket.socket() as bound, socket.create_server(("127.0.0.2", 0)) as elsewhere:
            bound.bind(("127.0.0.1", 0))

            assert tcp_listener_owner(Address("127.0.0.1", bound.getsockname()[1])) is None
            assert tcp_listener_owner(Address("127.0.0.1", elsewhere.getsockname()[1])) is None

    def test_a_connection_is_not_taken_for_a_listener(self) -> None:
        """Its local port is not open to anybody."""
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as client,
        ):
            assert tcp_listener_owner(Address("127.0.0.1", client.getsockname()[1])) is None

    def test_listeners_of_several_users_are_doubt(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The kernel allows none such; if it did, nobody could say who is reached."""
        monkeypatch.setattr(sockets, "_listeners", lambda _table, _host, _port: {0, 1000})

        assert tcp_listener_owner(Address("127.0.0.1", 911)) is None

    def test_without_proc_nothing_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on macOS."""

        def missing(*_: object, **__: object) -> None:
            raise FileNotFoundError

        monkeypatch.setattr(Path, "open", missing)

        assert tcp_listener_owner(Address("127.0.0.1", 911)) is None

    @pytest.mark.root
    def test_a_squatter_is_seen(self) -> None:
        """Another user took the port while the daemon was down."""
        with made_by(OTHER_UID):
            squatter = socket.create_server(("127.0.0.1", 0))
        with squatter:
            assert tcp_listener_owner(address_of(squatter)) == OTHER_UID

    @pytest.mark.root
    def test_a_foreign_listener_on_any_address_does_not_hide_ours(self) -> None:
        """An IPv6-only one shares the port with us, and the kernel prefers the nearer."""
        with socket.create_server(("127.0.0.1", 0)) as ours:
            with made_by(OTHER_UID):
                theirs = socket.create_server(("::", ours.getsockname()[1]), family=socket.AF_INET6)
            with theirs:
                assert tcp_listener_owner(address_of(ours)) == 0

    @pytest.mark.root
    def test_the_account_of_unknown_users_owns_nothing(self) -> None:
        """In doubt there is no owner."""
        with made_by(overflow_uid()):
            theirs = socket.create_server(("127.0.0.1", 0))
        with theirs:
            assert tcp_listener_owner(address_of(theirs)) is None
