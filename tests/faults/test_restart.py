"""Restart without a gap: the sockets are held by another process, daemons come and go, and no request fails.

What a client has to do for it is what every SDK does: a kept connection that was closed before a byte of the answer
came is opened again, once; a 503 is asked again after its Retry-After. A new connection is never in vain.
"""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Self

import pytest

from tests.cli.newcomer import CREDBROKER, until
from tests.faults.load import NEW, Load
from tests.faults.stage import Broker
from tests.house import TREE

RESTARTS = 3


class Holder:
    """A process that holds both sockets of a broker's place and starts its daemons."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        command = [sys.executable, "-m", "tests.faults.fd_holder", broker.address, str(broker.user.socket)]
        with (broker.user.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--", *CREDBROKER, "serve"],
                env=broker.user.variables(PYTHONPATH=str(TREE), **broker.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._said() == ""

    def start(self) -> int:
        """A daemon, not yet ready; its pid."""
        return int(self._ask("start"))

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """The daemon's exit status."""
        return int(self._ask(f"stop {int(signum)}"))

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._said()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


@pytest.fixture
def holder(own: Broker) -> Iterator[Holder]:
    """The sockets of a broker of the test's own."""
    with Holder(own) as found:
        yield found


class TestUnderLoad:
    @pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
    def test_no_request_fails(self, own: Broker, holder: Holder, how: signal.Signals):
        """Ended in order nothing is lost; killed, what was in flight is, and no connection that came after."""
        pids = [holder.start()]
        until(own.ready)
        with Load(own) as load:
            for _ in range(RESTARTS):
                before = load.seen["200"]
                until(lambda before=before: load.seen["200"] > before + 60)
                status = holder.stop(how)
                assert status == (0 if how == signal.SIGTERM else -how), own.user.log()
                pids.append(holder.start())
            until(own.ready)
            after = load.seen["200"]
            until(lambda: load.seen["200"] > after + 60)

        allowed = {"200", "opened again", "asked again"} | ({"closed"} if how == signal.SIGKILL else set())
        assert set(load.seen) <= allowed, load.seen
        assert load.seen["closed"] <= NEW * RESTARTS
        assert len(set(pids)) == RESTARTS + 1


class TestActivated:
    def test_the_first_request_is_answered_by_the_daemon_that_it_starts(self, own: Broker):
        """systemd-socket-activate listens, and starts the daemon when somebody comes."""
        own.command = [
            "systemd-socket-activate",
            *(f"--listen={place}" for place in (own.address, own.user.socket)),
            "--fdname=worker:control",
            *(f"--setenv={name}={text}" for name, text in own.user.variables().items()),
            *own.command,
        ]
        with (own.user.folder / "log").open("a") as log:
            own.process = subprocess.Popen(own.command, env=own.user.variables(), stderr=log, text=True)
        until(lambda: "Listening on" in own.user.log())
        with Load(own) as load:
            until(lambda: load.seen["200"] > 100)

        assert set(load.seen) <= {"200", "asked again"}
        assert own.stop() == 0
        assert own.user.socket.exists()  # it is the socket unit's to remove


class TestTold:
    def test_systemd_hears_of_each_step(self, own: Broker):
        """A start, a reload, a life and an end, as a notify socket has them."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(own.user.folder / "notify"))
            systemd.settimeout(20)
            own.environment["NOTIFY_SOCKET"] = str(own.user.folder / "notify")
            own.start()
            heard = [heard_until(systemd, "READY=1")]
            assert own.process is not None
            own.process.send_signal(signal.SIGHUP)
            heard += [heard_until(systemd, "RELOADING=1"), heard_until(systemd, "READY=1")]
            heard.append(heard_until(systemd, "WATCHDOG=1"))
            assert own.stop() == 0
            heard.append(heard_until(systemd, "STOPPING=1"))

        assert heard[0].splitlines() == ["READY=1", "STATUS=serving"]
        assert heard[1].splitlines()[1].startswith("MONOTONIC_USEC=")


def heard_until(systemd: socket.socket, word: str) -> str:
    """The first that begins with that word."""
    while not (heard := systemd.recv(4096).decode()).startswith(word):
        pass
    return heard
