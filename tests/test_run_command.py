"""The user's own command: started as from his shell, told our signals, its end and status noticed."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.process import Inherited
from broker.run_command import Running, forwarded, start

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def finished(running: Running) -> int:
    """Its status, once the descriptor says that it has ended."""
    assert select.select([running.pidfd], [], [], 30)[0]
    status = running.status()
    running.close()
    return status


def shell(script: str, inherited: Inherited | None = None) -> Running:
    return start(["sh", "-c", script], ENVIRONMENT, inherited)


@pytest.fixture(params=["pidfd", "thread"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting by pidfd, and without it as on macOS."""
    if request.param == "thread":
        monkeypatch.delattr("broker.run_command.os.pidfd_open")


@pytest.mark.usefixtures("_both_ways")
class TestStatus:
    @pytest.mark.parametrize("status", [0, 1, 42, 255])
    def test_it_is_the_commands_own(self, status: int):
        """Scripts test for it."""
        assert finished(shell(f"exit {status}")) == status

    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
    def test_a_signal_is_told_as_shells_do(self, signum: signal.Signals):
        """128 and its number."""
        assert finished(shell(f"kill -{signum.value} $$")) == 128 + signum

    def test_the_descriptor_is_quiet_while_the_command_runs(self):
        """An event loop would turn for nothing."""
        running = start(["sleep", "60"], ENVIRONMENT)
        try:
            assert not select.select([running.pidfd], [], [], 0)[0]
        finally:
            running.send(signal.SIGKILL)

        assert finished(running) == 128 + signal.SIGKILL

    def test_it_can_be_asked_for_again(self):
        """Once ended, it stays."""
        running = shell("exit 3")

        assert (running.status(), finished(running)) == (3, 3)

    def test_a_signal_after_the_end_is_sent_to_nobody(self):
        """The pid may be another process's by then."""
        running = shell("exit 3")
        running.status()
        running.send(signal.SIGTERM)

        assert finished(running) == 3

    def test_a_kernel_that_forbids_pidfds_is_got_along_with(self, monkeypatch: pytest.MonkeyPatch):
        """As in old containers."""

        def forbidden(_: int) -> int:
            raise PermissionError

        monkeypatch.setattr("broker.run_command.os.pidfd_open", forbidden, raising=False)

        assert finished(shell("exit 3")) == 3

    def test_an_ignored_end_of_children_does_not_lose_it(self):
        """With SIGCHLD ignored the kernel throws exit statuses away."""
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        try:
            assert finished(shell("exit 3")) == 3
        finally:
            signal.signal(signal.SIGCHLD, before)


class TestWhatCannotBeStarted:
    def test_a_command_that_is_not_there_is_127(self):
        """As in a shell, with words."""
        with pytest.raises(BrokerError, match="no-such-command: command not found") as failure:
            start(["no-such-command", "--token", "cbw_secret"], ENVIRONMENT)

        assert failure.value.exit_status == 127
        assert "cbw_secret" not in str(failure.value)

    def test_so_is_one_below_a_file(self, tmp_path: Path):
        """Not a folder: not found."""
        (tmp_path / "file").touch()
        with pytest.raises(BrokerError, match="not found") as failure:
            start([f"{tmp_path}/file/command"], ENVIRONMENT)

        assert failure.value.exit_status == 127

    def test_the_path_that_counts_is_the_workers(self, tmp_path: Path):
        """Its environment is the one given."""
        with pytest.raises(BrokerError, match="not found"):
            start(["sh", "-c", "exit 0"], {"PATH": str(tmp_path)})

    def test_a_script_whose_interpreter_is_not_there_says_where_to_look(self, tmp_path: Path):
        """The kernel gives the same error for both."""
        (tmp_path / "script").write_text("#!/no/such/interpreter\n")
        (tmp_path / "script").chmod(0o755)

        with pytest.raises(BrokerError, match="first line"):
            start([f"{tmp_path}/script"], ENVIRONMENT)

    @pytest.mark.parametrize(("mode", "reason"), [(0o644, "Permission denied"), (0o755, "Exec format error")])
    def test_a_file_that_is_no_program_is_126(self, tmp_path: Path, mode: int, reason: str):
        """Not executable, or nothing that the kernel can run."""
        (tmp_path / "script").write_text("echo hello\n")
        (tmp_path / "script").chmod(mode)

        with pytest.raises(BrokerError, match=reason) as failure:
            start([f"{tmp_path}/script"], ENVIRONMENT)
        assert failure.value.exit_status == 126

    def test_a_folder_is_126(self, tmp_path: Path):
        """Likewise."""
        with pytest.raises(BrokerError, match="may you execute it") as failure:
            start([str(tmp_path)], ENVIRONMENT)

        assert failure.value.exit_status == 126


class TestWhatItInherits:
    def test_the_environment_is_the_given_one_alone(self, capfd: pytest.CaptureFixture[str]):
        """Nothing of ours slips in: the identity was there once."""
        finished(start(["env"], {"PATH": ENVIRONMENT["PATH"], "AWS_REGION": "eu-west-1"}))

        assert capfd.readouterr().out.splitlines() == [f"PATH={ENVIRONMENT['PATH']}", "AWS_REGION=eu-west-1"]

    def test_umask_and_limits_are_the_users(self, capfd: pytest.CaptureFixture[str]):
        """Ours are stricter, and a high limit of open files breaks programs that use select."""
        finished(shell("umask; ulimit -Sc; ulimit -Sn", Inherited(umask=0o27, core=0, descriptors=100)))

        assert capfd.readouterr().out.split() == ["0027", "0", "100"]

    def test_ours_are_as_before_afterwards(self, capfd: pytest.CaptureFixture[str]):
        """They are lent for the moment of starting."""
        finished(shell("true", Inherited(umask=0o27, core=0, descriptors=100)))
        finished(shell("ulimit -Sn"))

        assert capfd.readouterr().out.split() != ["100"]

    def test_no_signal_that_python_ignores_stays_ignored(self):
        """`yes | head` ends by SIGPIPE."""
        assert finished(shell("kill -PIPE $$")) == 128 + signal.SIGPIPE

    def test_what_the_user_ignores_stays_ignored(self):
        """A hangup is meant to pass by a command under nohup."""
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            assert signal.SIGHUP not in forwarded()
            assert finished(shell("kill -HUP $$; exit 3")) == 3
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_everything_else_that_can_be_passed_on_is(self):
        """SIGKILL and SIGSTOP cannot be."""
        names = {signum.name for signum in forwarded()}

        assert {
            "SIGTERM",
            "SIGHUP",
            "SIGINT",
            "SIGQUIT",
            "SIGUSR1",
            "SIGUSR2",
            "SIGWINCH",
            "SIGTSTP",
            "SIGCONT",
        } == names


# Says which signals it got, and ends at SIGTERM with the count of SIGINTs.
COMMAND = """
import os, signal
ints = 0
def got(signum, _):
    global ints
    ints += signum == signal.SIGINT
    os.write(1, signal.Signals(signum).name.encode() + b"\\n")
    if signum == signal.SIGTERM:
        os._exit(ints)
for name in ("INT", "TERM", "TSTP", "CONT", "USR1", "WINCH"):
    signal.signal(getattr(signal, "SIG" + name), got)
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""
# What exec does: starts it, passes signals on, ends with its status. Given a terminal, it takes it as its own first.
EXEC = """
import os, select, signal, sys
from broker.run_command import forwarded, start
terminal, command = sys.argv[1:]
if terminal:
    os.open(terminal, os.O_RDWR)
passed = forwarded()
running = start([sys.executable, "-c", command], dict(os.environ))
for signum in passed:
    signal.signal(signum, lambda signum, _: running.send(signum))
while not select.select([running.pidfd], [], [], 30)[0]:
    pass
sys.exit(running.status())
"""


@contextmanager
def execing(terminal: str = "", **how: int) -> Iterator[tuple[subprocess.Popen[bytes], Iterator[str]]]:
    """A process that does what exec does, and the signals that its command says it got."""
    with subprocess.Popen([sys.executable, "-c", EXEC, terminal, COMMAND], stdout=subprocess.PIPE, **how) as process:  # type: ignore[call-overload]  # options by name
        said = (line.decode().strip() for line in process.stdout)
        try:
            assert next(said) == "ready"
            yield process, said
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()


class TestSignals:
    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGUSR1, signal.SIGWINCH, signal.SIGCONT])
    def test_one_that_is_sent_to_us_alone_is_passed_on(self, signum: signal.Signals):
        """As a supervisor or a batch system sends it."""
        with execing(start_new_session=True) as (process, said):
            process.send_signal(signum)

            assert next(said) == signum.name

    def test_a_termination_ends_the_command_and_us_with_its_status(self):
        """What it makes of it is its own affair."""
        with execing(start_new_session=True) as (process, said):
            process.send_signal(signal.SIGINT)
            assert next(said) == "SIGINT"
            process.send_signal(signal.SIGTERM)

            assert process.wait() == 1

    def test_a_stop_stops_both_and_a_continue_wakes_both(self):
        """Leases may run out meanwhile, and are renewed on waking."""
        with execing(process_group=0) as (process, said):
            process.send_signal(signal.SIGTSTP)
            _, status = os.waitpid(process.pid, os.WUNTRACED)

            assert os.WIFSTOPPED(status)
            assert next(said) == "SIGTSTP"
            process.send_signal(signal.SIGCONT)
            assert next(said) == "SIGCONT"

    def test_ctrl_c_reaches_the_command_once(self):
        """The terminal gives it to both of us; a second one would end many a program at once."""
        keyboard, terminal = pty.openpty()
        try:
            with execing(os.ttyname(terminal), start_new_session=True) as (process, said):
                os.write(keyboard, b"\x03")
                assert next(said) == "SIGINT"
                process.send_signal(signal.SIGTERM)

                assert process.wait() == 1
        finally:
            os.close(keyboard)
            os.close(terminal)
