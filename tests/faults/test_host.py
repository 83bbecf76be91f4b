"""Faults 36, 38, 40 and 42: no descriptors, an end under load, a loop that hangs, a start before everything else."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.bench.slow_sts import SlowSts
from tests.cli.newcomer import WORLD, newcomer, until
from tests.faults.crowd import Crowd
from tests.faults.outage import Clocks, lease, place, refreshed
from tests.faults.stage import NOBODY, SOON, Broker, playing, read_answer

FEW = 64
CROWD = 1000


class TestFault36:
    @pytest.mark.root
    @pytest.mark.parametrize("uid", [NOBODY, os.getuid()])
    def test_36_a_thousand_connections_at_64_descriptors(self, own: Broker, uid: int):
        """Newcomers are closed, refresh goes on, others are served; when they leave, so is everybody."""
        own.command = ["prlimit", f"--nofile={FEW}:{FEW}", *own.command]
        own.start()
        with playing(uid, Crowd(own.port, CROWD, None)):
            time.sleep(1.0)
            for _ in range(3):
                assert refreshed(own) == "ok"
                if uid == NOBODY:
                    assert lease(own)
            own.healthy()
            time.sleep(0.5)
        until(lambda: served(own), 10.0)

        assert len([*Path("/proc", str(own.pid), "fd").iterdir()]) < FEW
        assert "Traceback" not in own.user.log()
        assert len(own.user.log().splitlines()) < 50


def served(broker: Broker) -> bool:
    """Whether a new connection is served."""
    with contextlib.suppress(AssertionError, OSError):
        return broker.ask(broker.attested()).status == 200
    return False


class TestFault38:
    def test_38_what_is_in_flight_is_answered_and_written_down(self):
        """Not ready, nobody new, the last answer, the last line of audit, status 0: within 5 s."""
        with SlowSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts) as broker:
            sts.latency = 0.3
            calls = sts.count("AssumeRole")
            with broker.connect() as waiting, broker.connect() as kept:
                kept.sendall(broker.attested())
                assert read_answer(kept) is not None
                waiting.sendall(broker.attested("/aws/mine"))
                until(lambda: sts.count("AssumeRole") > calls)
                began = time.monotonic()
                status = broker.stop()
                took = time.monotonic() - began
                answer = read_answer(waiting)
                closed = kept.recv(1)

            assert (status, took < 5, closed) == (0, True, b"")
            assert answer is not None
            assert (answer.status, answer.fields["connection"]) == (200, "close")
            assert {line["credential"] for line in broker.audit("LeaseHanded")} == {"train", "mine"}
            with pytest.raises(ConnectionRefusedError):
                broker.connect()

    def test_38_asked_twice_it_ends_at_once(self):
        """Whatever is in flight."""
        with SlowSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts) as broker:
            sts.latency = 20.0
            with broker.connect() as waiting:
                waiting.sendall(broker.attested("/aws/mine"))
                time.sleep(0.1)
                assert broker.process is not None
                broker.process.send_signal(signal.SIGTERM)
                time.sleep(0.1)
                began = time.monotonic()
                status = broker.stop()

            assert (status, time.monotonic() - began < SOON) == (1, True)


class TestFault40:
    def test_40_a_stall_is_measured_and_a_hang_is_told_to_nobody(self, own: Broker):
        """The watchdog hears nothing meanwhile, so that systemd would restart it; afterwards all is well."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(own.user.folder / "notify"))
            own.environment["NOTIFY_SOCKET"] = str(own.user.folder / "notify")
            own.start()
            before = own.metric("event_loop_lag_seconds")
            os.kill(own.pid, signal.SIGSTOP)
            time.sleep(0.1)
            systemd.settimeout(0)
            with contextlib.suppress(BlockingIOError):
                while systemd.recv(4096):
                    pass
            systemd.settimeout(2.0)
            with pytest.raises(TimeoutError):
                systemd.recv(4096)
            os.kill(own.pid, signal.SIGCONT)
            heard = systemd.recv(4096)
            until(lambda: own.metric("event_loop_lag_seconds") > 1)

        assert (before < 1, heard) == (True, b"WATCHDOG=1")
        assert lease(own)


class TestFault42:
    def test_42_without_upstream_at_boot_it_listens_and_goes_on_trying(self):
        """For hours, if need be: not ready, 503 with a reason, ready by the first answer."""
        with place() as (broker, upstream):
            clocks = Clocks(broker)
            upstream.go()
            broker.start(warm=False)
            for _ in range(5):
                clocks.leap(1000)
                refused = broker.ask(broker.attested())
                assert (refused.status, "retry-after" in refused.fields) == (503, True)
            assert not broker.ready()
            upstream.come_back()
            clocks.leap(60)
            until(broker.ready)

            assert lease(broker)
