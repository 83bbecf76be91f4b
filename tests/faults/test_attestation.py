"""Faults 29 and 44 against the running program: every way to be taken for another uid, or to come from elsewhere.

Who somebody was taken for is read off the session name that the fake STS minted his keys under.
"""

import array  # noqa: F401 - send_fds loads it, where another uid may not read our libraries
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from tests.callers.loopback import made_by
from tests.cli.newcomer import CREDBROKER, WORLD, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.stage import ALICE, BOB, NOBODY, Answer, Broker, as_uid, read_answer
from tests.networks import Host

ANOTHER = pytest.mark.root
EACH = ("/aws/mine", "/aws/hers", "/aws/his", "/aws/train")
TAKEN_FOR = {ALICE: ["hers-alice", "train-alice"], BOB: ["his-bob", "train-bob"], 0: ["mine-me", "train-me"]}
LOCAL = (  # what a process of the node gets
    "exec 3<>/dev/tcp/127.0.0.1/{port}; "
    r"printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3; head -1 <&3"
)
Said = list[tuple[int, str]]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One that listens on both kinds of loopback, and has minted for everybody."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        found = Broker(user, sts)
        path = user.home / ".config/credbroker/config.toml"
        both = f'"{found.address}", "[::1]:{found.port}"'
        path.write_text(path.read_text().replace(f'"{found.address}"', both, 1))
        with found:
            uids = [ALICE, BOB, 0] if os.getuid() == 0 else [os.getuid()]
            for uid in uids:
                until(lambda uid=uid: len(known(found, whoever(uid, lambda: asked(found, found.connect())))) == 2)
            yield found


def whoever(uid: int, play: Callable[[], Said]) -> Said:
    """As that uid, which may be ours."""
    return play() if uid == os.getuid() else [(status, key) for status, key in as_uid(uid, play)]


def asked(broker: Broker, end: socket.socket, host: str | None = None, shown: str = "attested") -> Said:
    """Every lease asked for on one connection: the statuses, and the keys that came. 0 is a connection that ended."""
    said: Said = []
    with end:
        for path in EACH:
            with contextlib.suppress(ConnectionError):
                end.sendall(broker.head(path, host=host, Authorization=shown))
            answer = read_answer(end)
            said.append((answer.status, key_of(answer)) if answer else (0, ""))
    return said


def key_of(answer: Answer) -> str:
    """The id of the keys in an answer."""
    return str(answer.json["AccessKeyId"]) if answer.status == 200 else ""


def known(broker: Broker, said: Said) -> list[str]:
    """Under which names the keys were minted, that is, whom the daemon took the asker for."""
    found = []
    for _, key in said:
        if key:
            record = broker.sts.registry.find(key)
            assert record is not None
            found.append(record.arn.rpartition("/")[2])
    return sorted(found)


@contextlib.contextmanager
def paused(broker: Broker) -> Iterator[None]:
    """Whatever happens inside has happened when the daemon comes to accept it."""
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


class TestFault29:
    @pytest.mark.parametrize("to", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
    @pytest.mark.parametrize("uid", [pytest.param(ALICE, marks=ANOTHER), pytest.param(BOB, marks=ANOTHER), os.getuid()])
    def test_each_is_known_by_his_own_uid(self, broker: Broker, uid: int, to: str):
        """Over IPv4, IPv6, and IPv4 from an IPv6 socket as Java makes it."""
        host = f"[::1]:{broker.port}" if to == "::1" else broker.address
        said = whoever(uid, lambda: asked(broker, socket.create_connection((to, broker.port)), host))

        assert known(broker, said) == TAKEN_FOR.get(uid, TAKEN_FOR[0])

    @ANOTHER
    def test_who_matches_nobody_is_nobody_and_not_the_daemon(self, broker: Broker):
        """The tuple as it stands at our end is a socket of the daemon's own uid, which is a caller here."""
        said = as_uid(NOBODY, lambda: asked(broker, broker.connect()))

        assert {status for status, _ in said} == {401}

    @ANOTHER
    @pytest.mark.parametrize("how", ["closed", "half closed", "reset"])
    def test_a_client_that_has_gone_is_nobody_whoever_listens_on_its_port(self, broker: Broker, how: str):
        """The kernel's look-up falls back to alice's wildcard listener. Bob's request is answered to none."""
        before = served(broker)
        with contextlib.ExitStack() as stack:
            with paused(broker):
                with made_by(BOB):
                    end = stack.enter_context(socket.socket())
                end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                end.bind(("127.0.0.1", 0))
                end.connect(("127.0.0.1", broker.port))
                port = end.getsockname()[1]
                end.sendall(broker.attested("/aws/hers", Connection="close"))
                leave(end, how)
                with made_by(ALICE):
                    stack.enter_context(socket.create_server(("0.0.0.0", port)))
            if how == "half closed":
                answer = read_answer(end)
                assert answer is not None
                assert answer.status == 401
            assert broker.ask(broker.attested()).status == 200  # the daemon has seen all of it by now

        assert served(broker) == before + 1

    @ANOTHER
    def test_who_made_the_socket_counts_and_not_what_he_became(self, broker: Broker):
        """A server that connects as root and then drops it is root to the kernel, for as long as the connection."""

        def drops() -> Said:
            end = broker.connect()
            os.setresuid(ALICE, ALICE, ALICE)
            return asked(broker, end)

        said = [(status, key) for status, key in as_uid(0, drops)]

        assert known(broker, said) == TAKEN_FOR[0]

    @ANOTHER
    def test_a_passed_socket_is_its_maker_s(self, broker: Broker):
        """Alice hands a connection to bob: he gets what is hers, as if she had handed him the lease."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            as_uid(ALICE, lambda: hands_over(ours, broker))
            said = as_uid(BOB, lambda: asked(broker, received(theirs)))

        assert known(broker, said) == TAKEN_FOR[ALICE]

    @ANOTHER
    def test_a_token_is_refused_on_a_socket_that_another_made(self, broker: Broker):
        """Bob hands his to alice, hoping to read what her token brings: bound to her uid it opens nothing there."""
        hers = broker.token("alice", uid=ALICE)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            as_uid(BOB, lambda: hands_over(ours, broker))
            said = as_uid(ALICE, lambda: asked(broker, received(theirs), shown=hers))
        own = as_uid(ALICE, lambda: asked(broker, broker.connect(), shown=hers))

        assert {status for status, _ in said} == {401}
        assert known(broker, own) == TAKEN_FOR[ALICE]

    @ANOTHER
    def test_a_socket_bound_to_a_device_is_its_maker_s_or_nobody_s(self, broker: Broker):
        """Any user may bind one to `lo`; kernels differ in whether the look-up then finds it."""

        def bound() -> Said:
            end = socket.socket()
            end.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            end.bind(("127.0.0.1", 0))
            end.connect(("127.0.0.1", broker.port))
            return asked(broker, end)

        said = as_uid(BOB, bound)

        assert known(broker, said) in ([], TAKEN_FOR[BOB])
        assert {status for status, _ in said} <= {200, 401, 403}

    @ANOTHER
    def test_a_process_of_another_network_reaches_nothing(self, broker: Broker):
        """Its loopback is its own."""
        with Host() as container:
            assert container.call(ALICE, "127.0.0.1", broker.port) == "ECONNREFUSED"

    @ANOTHER
    @pytest.mark.parametrize("more", [[], ["--map-root-user"]])
    def test_a_daemon_in_a_user_namespace_takes_nobody_for_another(self, own: Broker, more: list[str]):
        """Others are the overflow uid to it. Where it is so itself, attestation is off, loudly; tokens open."""
        own.start()
        token = own.token("batch")
        own.stop()
        own.command = ["unshare", "--user", *more, *CREDBROKER, "serve"]
        own.start()
        hers = as_uid(ALICE, lambda: own.ask(own.attested()).status)
        ours = own.ask(own.attested()).status
        opened = own.ask(own.head(Authorization=token)).status
        log = own.user.log()

        assert (hers, ours, opened) == (401, 200 if more else 401, 200)
        assert ("ATTESTATION IS OFF" in log, "account of its own" in log) == (not more, not more)


def leave(end: socket.socket, how: str) -> None:
    """Go, before the daemon has looked."""
    if how == "half closed":
        end.shutdown(socket.SHUT_WR)
        return
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", int(how == "reset"), 0))
    end.close()


def served(broker: Broker) -> float:
    """How many leases were given out."""
    return broker.metric("requests_total", dialect="aws", code="200")


def hands_over(to: socket.socket, broker: Broker) -> None:
    """Make a connection and send it to another process."""
    with broker.connect() as end:
        socket.send_fds(to, [b"x"], [end.fileno()])


def received(end: socket.socket) -> socket.socket:
    """The socket that somebody has sent."""
    _, (descriptor,), _, _ = socket.recv_fds(end, 1, 1)
    passed = socket.socket(fileno=descriptor)
    passed.settimeout(10)
    return passed


@ANOTHER
class TestFault44:
    def test_a_neighbour_who_is_led_to_loopback_is_closed(self, own: Broker):
        """As kube-proxy does for node ports: route_localnet, and a rule that leads outsiders to 127.0.0.1."""
        with Host() as node, Host() as neighbour:
            node.cable(neighbour, 1)
            node.serve("127.0.0.5")
            node.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet")
            node.run("nft", "add table ip t; add chain ip t p { type nat hook prerouting priority -100; }")
            for port, to in ((80, "127.0.0.5:80"), (own.port, f"127.0.0.1:{own.port}")):
                node.run("nft", f"add rule ip t p tcp dport {port} dnat to {to}")
            own.command = node.command(*CREDBROKER, "serve")
            own.start(warm=False)

            assert neighbour.call(ALICE, "10.9.1.1", 80) == "open"  # so they get there
            assert neighbour.call(ALICE, "10.9.1.1", own.port) in {"closed", "ECONNRESET"}
            assert node.run("bash", "-c", LOCAL.format(port=own.port)) == "HTTP/1.1 200 OK\n"
