"""Faults 16, 17 and 48 at the control socket, which any user may connect to, and at the admin address."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker import control_api as api
from broker.control_client import Client
from broker.errors import NoDaemon
from broker.hold import Hold
from tests.cli.newcomer import CREDBROKER, WORLD, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.stage import ALICE, BOB, SOON, Broker, as_uid, everything, playing

DESCRIPTORS = 512  # of which the control socket may have 64, one uid 32, the admin address 64
PER_UID = 32
DEADLINE = 5.0
ANOTHER = pytest.mark.root


@pytest.fixture(scope="module")
def tight() -> Iterator[Broker]:
    """A daemon of few descriptors, whose control socket every user reaches."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        for folder in (user.folder, user.runtime):
            folder.chmod(0o755)
        broker = Broker(user, sts)
        broker.command = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *CREDBROKER, "serve"]
        user.socket.parent.chmod(0o755)
        with broker:
            yield broker


def reach(broker: Broker) -> socket.socket:
    """A connection to the control socket that shows nothing."""
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(15)
    end.connect(str(broker.user.socket))
    return end


def crowd(connect: Callable[[], socket.socket], count: int) -> list[socket.socket]:
    """So many connections, or as many as can be had in twice as many tries: the queue may be full for a moment."""
    found: list[socket.socket] = []
    for _ in range(2 * count):
        try:
            found.append(connect())
        except OSError:
            time.sleep(0.005)
        if len(found) == count:
            break
    return found


def taking(connect: Callable[[], socket.socket], count: int) -> Callable[[], None]:
    """Take that many connections, and take them again whenever they are closed."""

    def play() -> None:
        while True:
            held = crowd(connect, count)
            time.sleep(1)
            del held

    return play


def hold_all(connect: Callable[[], socket.socket], count: int) -> Callable[[], None]:
    """Take that many connections and sit on them."""

    def play() -> None:
        held = crowd(connect, count)
        while held:
            time.sleep(1)

    return play


def descriptors(broker: Broker) -> int:
    """How many files the daemon has open."""
    return len(list(Path("/proc", str(broker.pid), "fd").iterdir()))


def is_open(end: socket.socket) -> bool:
    """Whether the daemon has not closed it."""
    end.settimeout(0)
    try:
        return bool(end.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


class TestFault16:
    """Slow heads, and none at all."""

    @pytest.mark.parametrize("drip", ["", "GET /status HTTP/1.1\r\nHost: localhost\r\nX: "], ids=["silent", "slow"])
    def test_a_head_that_does_not_come_ends_its_connection(self, tight: Broker, drip: str):
        """At the deadline, however many single bytes arrive meanwhile."""
        began = time.monotonic()
        with reach(tight) as end:
            end.settimeout(0.25)
            end.sendall(drip.encode())
            with contextlib.suppress(ConnectionError):
                while True:
                    try:
                        if not end.recv(1 << 16):
                            break
                    except TimeoutError:
                        end.sendall(b"x" if drip else b"")
                    assert time.monotonic() - began < 3 * DEADLINE

        assert DEADLINE - 1 < time.monotonic() - began < 2 * DEADLINE

    def test_a_body_that_does_not_come_is_408(self, tight: Broker):
        """It was promised, and the handler waits no longer."""
        with reach(tight) as end:
            end.sendall(b"POST /tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\nConnection: close\r\n\r\n{")
            began = time.monotonic()
            answer = everything(end)

        assert answer.startswith(b"HTTP/1.1 408")
        assert b"RequestTimeout" in answer
        assert time.monotonic() - began < 2 * DEADLINE

    def test_a_worker_s_connection_is_held_beyond_every_deadline(self, tight: Broker):
        """`exec` has one for as long as its command runs, and nothing to say on it."""
        order = api.WorkerOrder(caller="batch", hold=True)
        with contextlib.closing(Hold.engage(tight.client, order)) as hold:
            time.sleep(DEADLINE + 1.5)
            status = tight.ask(tight.head(Authorization=hold.worker.header_token)).status

        assert status == 200


class TestFault17:
    """Bodies without end."""

    def test_a_gigabyte_is_413_and_costs_no_memory(self, tight: Broker):
        """64 KiB are more than any order has."""
        before = tight.resident()
        with reach(tight) as end:
            end.sendall(b"POST /tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                for _ in range(512):
                    end.sendall(bytes(1 << 16))
            answer = end.recv(1 << 16) if not is_open(end) else b""

        assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
        assert tight.resident() - before < 16 << 20
        assert tight.client.get("/whoami", api.Who).uid == os.getuid()


class TestFault48:
    """One uid takes all connections."""

    def test_beyond_its_limit_it_is_hung_up_on_and_served_again_when_it_lets_go(self, tight: Broker):
        """The silent ones are let go of by the deadline, so even who does nothing about it is served again."""
        ends = crowd(lambda: reach(tight), 3 * PER_UID)
        until(lambda: sum(map(is_open, ends)) == PER_UID, 3)
        with pytest.raises(NoDaemon, match="did not answer"):
            tight.client.get("/whoami", api.Who)
        until(lambda: not any(map(is_open, ends)), 2 * DEADLINE)

        assert tight.client.get("/whoami", api.Who).uid == os.getuid()
        for end in ends:
            end.close()

    @ANOTHER
    def test_others_are_served_meanwhile(self, tight: Broker):
        """On both planes, and probes too."""
        with playing(ALICE, hold_all(lambda: reach(tight), 300)):
            time.sleep(1.0)
            until(lambda: descriptors(tight) < PER_UID + 64)
            assert tight.client.get("/whoami", api.Who).uid == os.getuid()
            assert as_uid(BOB, lambda: Client(str(tight.user.socket)).get("/readyz", dict[str, object])["ready"])
            assert tight.ask(tight.attested()).status == 200
            assert tight.healthy() < SOON

    @ANOTHER
    def test_two_who_take_all_leave_some_for_root_and_the_daemons_user(self, tight: Broker):
        """Whoever can end it."""
        with playing(ALICE, hold_all(lambda: reach(tight), 300)), playing(BOB, hold_all(lambda: reach(tight), 300)):
            time.sleep(1.5)
            assert tight.client.get("/whoami", api.Who).uid == os.getuid()
            assert tight.ask(tight.attested()).status == 200

    @ANOTHER
    def test_probes_are_answered_while_another_uid_takes_the_admin_address(self, tight: Broker):
        """Its connections are known by the kernel's word."""
        host, _, port = tight.admin.rpartition(":")

        def connect() -> socket.socket:
            return socket.create_connection((host, int(port)), timeout=5)

        with playing(ALICE, taking(connect, 300)):
            time.sleep(1.0)
            for _ in range(20):
                assert tight.healthy() < SOON
            assert tight.metric("event_loop_lag_seconds") < SOON
            until(lambda: descriptors(tight) < 32 + 64)
