"""How a command under `exec` ends: by its own, by a signal that came to us, or because we are no more."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError

import pytest

from broker import control_api as api
from broker.control_client import Client
from tests.cli.newcomer import ONE_ROLE, TRAIN, Newcomer, until
from tests.clients.stage import free_address
from tests.fakes.sts import FakeSts, Fault

# Says where it lives and what it has, then which signals it gets; ends at SIGTERM with status 7.
COMMAND = r"""
import os, signal
def got(signum, _):
    os.write(1, signal.Signals(signum).name.encode() + b"\n")
    if signum == signal.SIGTERM:
        os._exit(7)
for name in ("INT", "TERM", "HUP", "USR1"):
    signal.signal(getattr(signal, "SIG" + name), got)
folder = os.path.dirname(os.environ["CREDBROKER_WORKER_TOKEN_FILE"])
url, token = os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"], os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
os.write(1, f"{os.getpid()} {folder} {url} {token}\n".encode())
while True:
    signal.pause()
"""
# `exec`, in which a signal comes while its command is being started.
IN_THE_GAP = """
import os, signal, sys
from broker import run_command
from broker.cli import main
started = run_command.start
def start(*given):
    os.kill(os.getpid(), signal.{signal})
    return started(*given)
run_command.start = start
sys.argv[0] = "credbroker"
main()
"""

# `credbroker` to which half a second is long.
IMPATIENT = """
import sys
from broker import hold
from broker.cli import main
hold.PATIENCE = hold.LONG_PAUSE = 0.5
sys.argv[0] = "credbroker"
main()
"""


class Started:
    """A command that has said that it is there."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self.process = process
        pid, folder, self.url, self.token = process.stdout.readline().split()
        self.pid, self.folder = int(pid), Path(folder)

    def says(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def alive(pid: int) -> bool:
    """Whether there is such a process, not merely its status for a parent to fetch."""
    try:
        return ") Z " not in Path("/proc", str(pid), "stat").read_text()
    except OSError:
        return False


def opens(url: str, token: str) -> bool:
    """Whether the token gets a lease there."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token}), timeout=5).close()
    except HTTPError:
        return False
    except OSError:  # nobody listens any more
        return False
    return True


@pytest.fixture
def started(stage: Newcomer) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts the command under `exec` on the running daemon, at no terminal that could send signals to both."""
    return lambda: stage.start("exec", "--use", "train", "--", sys.executable, "-c", COMMAND, leading=True)


class TestSignals:
    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGUSR1])
    def test_one_that_comes_to_us_is_the_commands(
        self, started: Callable[..., "subprocess.Popen[str]"], signum: signal.Signals
    ):
        """What it makes of it is its own affair, its status is ours."""
        with started() as process:
            command = Started(process)
            process.send_signal(signum)
            assert command.says() == signum.name
            process.send_signal(signal.SIGTERM)

            assert (command.says(), process.wait()) == ("SIGTERM", 7)

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_one_that_comes_while_the_command_starts_waits_for_it(self, stage: Newcomer, signum: signal.Signals):
        """Else `exec` would end and leave the command running."""
        gap = [sys.executable, "-P", "-c", IN_THE_GAP.format(signal=signum.name), "exec", "--use", "train"]

        assert stage.shell([*gap, "--", "sleep", "60"]).status == 128 + signum

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
    def test_one_that_comes_before_ends_us_and_leaves_nothing(
        self, user: Newcomer, sts: FakeSts, signum: signal.Signals
    ):
        """Here while the first lease is waited for."""
        sts.script = lambda _: Fault(wait=20)
        with user.start("exec", "--", "echo", "hello") as process:
            until(lambda: sts.calls)
            process.send_signal(signum)
            out, _ = process.communicate(timeout=20)

        assert (process.returncode, out) == (128 + signum, "")
        assert [*user.runtime.glob("credbroker/*")] == []


class TestKilled:
    def test_a_running_daemon_knows_its_token_no_more(
        self, stage: Newcomer, started: Callable[..., "subprocess.Popen[str]"]
    ):
        """And neither the command nor its folder is left."""
        before = Client(str(stage.socket)).get("/tokens", list[api.Token])  # other tests' may still live
        with started() as process:
            command = Started(process)
            assert opens(command.url, command.token)
            process.kill()
            until(lambda: not opens(command.url, command.token))
            until(lambda: not command.folder.exists())
            until(lambda: not alive(command.pid))

        assert Client(str(stage.socket)).get("/tokens", list[api.Token]) == before

    def test_a_broker_of_its_own_ends_too(self, user: Newcomer):
        """With its port, its folder and its minters."""
        with user.start("exec", "--", sys.executable, "-c", COMMAND) as process:
            command = Started(process)
            broker = int(Client(str(command.folder / "broker.sock")).get("/status", api.Status).pid)
            process.kill()
            until(lambda: not alive(broker))
            until(lambda: not command.folder.exists())
            until(lambda: not alive(command.pid))

        assert not opens(command.url, command.token)

    def test_so_does_it_when_the_whole_group_is_killed(self, user: Newcomer):
        """As a batch system does it."""
        with user.start("exec", "--", sys.executable, "-c", COMMAND, leading=True) as process:
            command = Started(process)
            os.killpg(process.pid, signal.SIGKILL)
            until(lambda: not command.folder.exists())
            until(lambda: not opens(command.url, command.token))  # the folder goes by another process

    def test_a_daemon_that_ends_is_told_and_the_command_goes_on(self, user: Newcomer, sts: FakeSts):
        """Once it has been away for longer than a restart takes; and that it is back."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url), listen=free_address())
        impatient = [sys.executable, "-P", "-c", IMPATIENT, "exec", "--", sys.executable, "-c", COMMAND]
        with contextlib.ExitStack() as stack:
            with user.serving():
                process = stack.enter_context(user.running(impatient))
                command = Started(process)
            assert process.stderr is not None
            until(lambda: "the daemon has ended" in process.stderr.readline())
            assert alive(command.pid)
            stack.enter_context(user.serving())
            until(lambda: "the daemon is back" in process.stderr.readline())
            until(lambda: opens(command.url, command.token))
            process.terminate()
            process.wait()
