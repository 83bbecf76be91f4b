"""The manners of a process, each looked at in a process of its own."""

import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from broker.process import die_with_parent, notify


def told(code: str) -> str:
    """What a fresh process prints that runs the code."""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return run.stdout.strip()


class TestHarden:
    def test_nobody_may_dump_or_trace_the_process(self):
        """PR_GET_DUMPABLE says so; with it /proc/PID/environ and mem are root's."""
        code = (
            "import ctypes; from broker.process import harden; harden(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
        )

        assert told(code) == "0"

    def test_it_leaves_no_core_file(self):
        """Not dumpable is enough for the kernel; an administrator's core pattern may differ."""
        code = "import resource; from broker.process import harden; harden(); print(resource.getrlimit(4)[0])"

        assert resource.RLIMIT_CORE == 4
        assert told(code) == "0"

    def test_what_it_writes_is_its_owners_alone(self):
        """Whatever the umask was."""
        code = "import os; from broker.process import harden; os.umask(0); harden(); print(oct(os.umask(0)))"

        assert told(code) == "0o77"

    def test_it_tells_what_it_changed(self):
        """So that a user's own command can have it as it was."""
        code = (
            "import os, resource; from broker.process import harden; os.umask(0o27);"
            "resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]));"
            "resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]));"
            "print(tuple(harden()))"
        )

        assert told(code) == f"({0o27}, 0, 200)"

    def test_the_hard_limit_of_core_files_stays(self):
        """A command that is started later may have core files, if the user lets it."""
        code = (
            "import resource as r; from broker.process import harden; before = r.getrlimit(r.RLIMIT_CORE)[1];"
            "harden(); print(before == r.getrlimit(r.RLIMIT_CORE)[1])"
        )

        assert told(code) == "True"

    def test_loading_it_costs_next_to_nothing(self):
        """It is the first statement of every process, and nothing of ours may come before it."""
        code = "import sys, broker.process; print(*[name for name in sys.modules if name.startswith('broker')])"

        assert told(code) == "broker broker.process"

    def test_a_system_without_prctl_is_no_error(self):
        """As macOS."""
        code = (
            "import sys; sys.platform = 'darwin'; from broker import process; process.ctypes.CDLL = None;"
            "process.harden(); process.die_with_parent(__import__('os').getppid()); print('fine')"
        )

        assert told(code) == "fine"


CHILD = """
import signal, sys
from broker.process import die_with_parent
die_with_parent(int(sys.argv[1]))
print("here", flush=True)
signal.pause()
"""
PARENT = """
import os, signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
signal.pause()
"""


class TestDieWithParent:
    def test_the_child_ends_when_its_parent_is_killed(self):
        """A minter outlives no daemon: its end of the pipe is closed."""
        parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"here\n"
        parent.kill()

        assert parent.stdout.read() == b""  # only comes to an end when the child has let go too
        parent.stdout.close()
        parent.wait()

    def test_a_parent_that_has_gone_already_is_noticed(self):
        """It may end between fork and prctl."""
        run = subprocess.run(
            [sys.executable, "-c", "from broker.process import die_with_parent; die_with_parent(1 << 30)"], check=False
        )

        assert run.returncode == 1

    def test_a_living_one_is_no_reason_to_end(self, monkeypatch: pytest.MonkeyPatch):
        """Nothing happens."""
        monkeypatch.setattr("broker.process._prctl", lambda *_: None)

        die_with_parent(os.getppid())


HANGS = """
import os, socket, subprocess, sys, time
from broker.process import die_with_peer
die_with_peer(int(sys.argv[1]))
started = subprocess.Popen(["sleep", "600"])
print(os.getsid(0) == os.getpid(), flush=True)
time.sleep(600)
"""
READS = """
import os, socket, sys
from broker.process import die_with_peer
connection = socket.socket(fileno=int(sys.argv[1]))
die_with_peer(connection.fileno())
while connection.recv(100):
    connection.sendall(b"yes")
"""


class TestDieWithPeer:
    def test_it_ends_amid_a_call_with_all_that_it_started(self):
        """In a session of its own, so that whoever started it does not end too."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", HANGS, str(theirs.fileno())]
            child = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()])
        assert child.stdout is not None
        assert child.stdout.readline() == b"True\n"
        ours.close()

        assert child.stdout.read() == b""  # only comes to an end when `sleep` has let go too
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL

    def test_who_only_reads_leaves_in_good_order(self):
        """What the other end says in between does not end it; that it says no more does."""
        ours, theirs = socket.socketpair()
        with theirs:
            child = subprocess.Popen([sys.executable, "-c", READS, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        with ours:
            for _ in range(3):
                ours.sendall(b"?")
                assert ours.recv(100) == b"yes"

        assert child.wait() == 0


class TestRaiseDescriptorLimit:
    def test_the_soft_limit_becomes_the_hard_one(self):
        """Connections are counted against what it returns."""
        code = (
            "import resource as r; from broker.process import raise_descriptor_limit;"
            "r.setrlimit(r.RLIMIT_NOFILE, (64, 500)); print(raise_descriptor_limit(), r.getrlimit(r.RLIMIT_NOFILE))"
        )

        assert told(code) == "500 (500, 500)"

    def test_a_system_that_gives_less_than_it_promises_is_taken_at_what_it_gives(self):
        """As macOS, whose hard limit is infinite."""
        code = (
            "import resource as r; from broker import process;\n"
            "r.setrlimit(r.RLIMIT_NOFILE, (64, 500))\n"
            "def refuse(*_): raise ValueError\n"
            "process.resource.setrlimit = refuse; print(process.raise_descriptor_limit())"
        )

        assert told(code) == "64"


class TestMemory:
    def test_who_takes_too_much_hears_it_by_an_error(self):
        """And not by the machine's; a command that it starts may have more, if it asks."""
        code = (
            "import resource as r; from broker.process import limit_memory; hard = r.getrlimit(r.RLIMIT_DATA)[1];"
            "limit_memory(); print(r.getrlimit(r.RLIMIT_DATA) == (1 << 30, hard))\n"
            "try:\n    bytearray(1 << 30)\nexcept MemoryError:\n    print('no')"
        )

        assert told(code) == "True\nno"

    def test_a_stricter_limit_stays(self):
        """An administrator's own."""
        code = (
            "import resource as r; from broker.process import limit_memory; r.setrlimit(r.RLIMIT_DATA, (9 << 20,) * 2);"
            "limit_memory(); print(r.getrlimit(r.RLIMIT_DATA) == (9 << 20,) * 2)"
        )

        assert told(code) == "True"

    def test_who_is_large_knows_it(self):
        """By what is in memory now, not by what a parent had."""
        code = (
            "from broker.process import grown; small = grown(); much = bytearray(b'x' * (300 << 20));"
            "large = grown(); del much; print(small, large, grown())"
        )

        assert told(code) == "False True False"


class TestNotify:
    @pytest.mark.parametrize("abstract", [False, True])
    def test_the_service_manager_hears_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool):
        """A path, or an abstract name as in containers."""
        name = f"@credbroker-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name.replace("@", "\0", 1) if abstract else name)
            monkeypatch.setenv("NOTIFY_SOCKET", name)

            assert notify("READY=1\nSTATUS=1 lease")
            assert manager.recv(100) == b"READY=1\nSTATUS=1 lease"

    @pytest.mark.parametrize("name", ["", "vsock:2:1234", "/nowhere/at/all"])
    def test_without_one_nothing_happens(self, monkeypatch: pytest.MonkeyPatch, name: str):
        """A daemon in a terminal, or one whose manager has gone."""
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        assert not notify("READY=1")

    def test_a_manager_that_does_not_listen_is_not_waited_for(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The loop never stands still for it."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

            assert not all(notify("WATCHDOG=1") for _ in range(10_000))
