"""A worker's tokens over the control socket: those that are held end with their connection, however that ends."""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from broker import control_api as api
from broker.control_client import Client, UnknownHere
from broker.errors import BrokerError
from broker.events import TokenRevoked
from broker.hold import Hold
from tests.server.office import OpenOffice, at_counter
from tests.server.plane import ALICE, STRANGER, until

# As `exec` holds its worker's tokens, until it is killed.
_HOLDER = """
import socket, sys, time
end = socket.socket(socket.AF_UNIX)
end.connect(sys.argv[1])
body = b'{"caller":"trainer","hold":true}'
end.sendall(b"POST /worker HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body))
while b"cbw_" not in end.recv(65536):
    pass
print("held", flush=True)
time.sleep(60)
"""


async def in_thread(work: Callable[[], None]) -> None:
    """Blocking work beside the loop."""
    await asyncio.get_running_loop().run_in_executor(None, work)


def held(office: OpenOffice, order: api.WorkerOrder) -> "contextlib.closing[Hold]":
    """Tokens held within a context."""
    return contextlib.closing(Hold.engage(Client(office.path), order))


def readable(hold: Hold, patience: float) -> bool:
    """Whether the daemon says something, or its end, within so many seconds."""
    number = hold.fileno()
    assert number is not None
    return bool(select.select([number], [], [], patience)[0])


class TestHeld:
    def test_the_tokens_live_while_the_connection_does(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """And are gone as soon as it is closed."""
        monkeypatch.setattr("broker.hold.check_port", lambda _: None)

        async def main(office: OpenOffice) -> tuple[list[int], list[str]]:
            office.asking = ALICE
            lived = []

            def hold() -> None:
                with held(office, api.WorkerOrder(hold=True)) as hold:
                    lived.append(len(office.work.tokens))
                    assert hold.worker.caller == "trainer"

            await in_thread(hold)
            await until(lambda: not len(office.work.tokens))
            return lived, [event.why for event in office.work.noted(TokenRevoked)]

        assert at_counter(main, tmp_path) == ([2], ["closed", "closed"])

    def test_a_holder_that_is_killed_takes_them_with_it(self, tmp_path: Path):
        """SIGKILL leaves no time to say goodbye; the kernel closes its socket."""

        async def main(office: OpenOffice) -> int:
            lived = []

            def kill() -> None:
                command = [sys.executable, "-I", "-S", "-c", _HOLDER, office.path]
                with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
                    assert holder.stdout is not None
                    assert holder.stdout.readline() == b"held\n"
                    lived.append(len(office.work.tokens))
                    holder.send_signal(signal.SIGKILL)

            await in_thread(kill)
            await until(lambda: not len(office.work.tokens))
            return lived[0]

        assert at_counter(main, tmp_path) == 2

    def test_a_daemon_that_stops_lets_its_holders_know(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """`exec` waits for something to come on its connection; the tokens stay, for the next daemon to know them."""
        monkeypatch.setattr("broker.hold.check_port", lambda _: None)

        async def main(office: OpenOffice) -> tuple[list[bool], int]:
            told = []

            def hold() -> None:
                with held(office, api.WorkerOrder(caller="trainer", hold=True)) as hold:
                    told.append(readable(hold, 0.05))
                    told.append(readable(hold, 5))

            holding = asyncio.gather(in_thread(hold))
            await until(lambda: bool(told))
            office.clerk.stopping.set()
            await holding
            return told, len(office.work.tokens)

        assert at_counter(main, tmp_path) == ([False, True], 2)

    def test_who_may_not_be_the_caller_gets_none(self, tmp_path: Path):
        """In a way that tells `exec` to look for another daemon."""

        async def main(office: OpenOffice) -> int:
            office.asking = STRANGER

            def hold() -> None:
                with pytest.raises(UnknownHere), held(office, api.WorkerOrder(hold=True)):
                    pass

            await in_thread(hold)
            return len(office.work.tokens)

        assert at_counter(main, tmp_path) == 0


class TestLoose:
    def test_others_outlive_their_connection(self, tmp_path: Path):
        """What `credbroker env` prints is used by a shell later."""

        async def main(office: OpenOffice) -> tuple[api.Worker, int]:
            office.asking = ALICE
            order = api.WorkerOrder(use=("train",), ttl=60.0)
            worker = await office.ask(lambda client: client.post("/worker", order, api.Worker))
            await asyncio.sleep(0.01)
            return worker, len(office.work.tokens)

        worker, left = at_counter(main, tmp_path)

        assert ([one.name for one in worker.granted], left) == (["train"], 2)
        assert (worker.host, worker.port) == ("127.0.0.1", 9911)


class TestOfOurOwn:
    @pytest.mark.parametrize("path", ["/status", "/lease/train"])
    def test_a_minter_is_told_nothing(self, tmp_path: Path, path: str):
        """Nor is what it has started: `credbroker get` as a credential_process would wait for itself."""

        async def main(office: OpenOffice) -> BrokerError:
            office.facts.minters = lambda: (os.getsid(0),)
            with pytest.raises(BrokerError) as refused:
                await office.ask(lambda client: client.get(path, dict[str, object]))
            return refused.value

        assert at_counter(main, tmp_path).code == "AskingItself"
