"""The minter service as a running process: who may ask, what it reads and has, how it ends, what it leaves written."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.errors import MintError
from broker.minter import frames
from broker.minter.frames import Brought, Call, Failed
from broker.model import AccessToken, Variables
from broker.secret import Secret
from tests.minter import toys
from tests.minter.pools import ends
from tests.minter.services import SERVICE, Activated, Connection, in_folder, short_folder, waited

LAUNCH = toys.launch(
    one="",
    who='does = "introspect"',
    hang='does = "hang"',
    sound='audiences = ["https://a"]',
)


class Line(Connection):
    """A connection, as a daemon has it, honest or not."""

    def __init__(self, service: Activated) -> None:
        super().__init__(service.socket)
        self._service = service

    def ask(self, credential: str = "one", do: str = "mint", **changes: Any) -> None:
        """A question that is right but for the changes."""
        asked = msgspec.structs.replace(toys.ask(self._service.launch, credential), **changes)
        self.send(frames.pack(Call(do=do, ask=asked)))  # type: ignore[arg-type]  # "find" too

    def token(self, credential: str = "one", **changes: Any) -> str:
        """What is minted."""
        self.ask(credential, **changes)
        found = self.answer()
        assert isinstance(found, Brought), found
        assert isinstance(found.minted.value, AccessToken)
        return found.minted.value.token.open()

    def error(self, credential: str = "one", do: str = "mint", **changes: Any) -> MintError:
        """What is refused."""
        self.ask(credential, do, **changes)
        found = self.answer()
        assert isinstance(found, Failed), found
        return frames.to_error(found)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Room for a socket, a configuration, a log and a state."""
    with short_folder() as found:
        yield found


@pytest.fixture
def service(folder: Path) -> Iterator[Activated]:
    """A service of toys."""
    with Activated(folder, in_folder(LAUNCH, folder)) as found:
        yield found


@pytest.fixture
def line(service: Activated) -> Iterator[Line]:
    """A connection to it."""
    found = Line(service)
    yield found
    found.close()


class TestPeer:
    def test_nobody_but_the_daemon_is_answered(self, folder: Path):
        """By the kernel's word on who connected; he is told so, and the journal who it was."""
        with Activated(folder, in_folder(LAUNCH, folder), daemon_user=4711) as service:
            line = Line(service)
            found = line.answer()
            with pytest.raises(EOFError):
                line.answer()
            line.close()
            (audited,) = service.audit()

        assert isinstance(found, Failed)
        assert "account of the daemon" in found.advice
        assert (audited["event"], audited["reason"], audited["uid"]) == ("AskRefused", "peer", os.geteuid())

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--daemon-user", "nobody-is-called-so"], "names no user"),
            (["--daemon-user", "0"], "enable credbroker-minter.socket"),
        ],
    )
    def test_it_says_how_it_is_started(self, arguments: list[str], said: str):
        """By systemd, with an account that is there."""
        run = subprocess.run([*SERVICE, *arguments], capture_output=True, text=True, check=False)

        assert (run.returncode, run.stdout) == (2, "")
        assert said in run.stderr

    def test_a_socket_that_listens_is_not_what_it_takes(self, folder: Path):
        """Accept=no would have one process for all connections."""
        command = ["systemd-socket-activate", f"--listen={folder / 's'}", *SERVICE, "--daemon-user", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert waited((folder / "s").exists)
            with socket.socket(socket.AF_UNIX) as caller:
                assert waited(lambda: caller.connect_ex(str(folder / "s")) == 0)
                _, said = process.communicate(timeout=20)

        assert process.returncode == 2
        assert "Accept=yes" in said


class TestQuestions:
    def test_it_mints_by_its_own_reading(self, line: Line):
        """Nothing but names, facts and a generation was sent."""
        assert [line.token(), line.token()] == ["plain", "plain"]

    def test_a_snapshot_is_not_believed(self, service: Activated, line: Line):
        """What a child is sent first is no question here; the questions after it are answered by the disk."""
        other = toys.snapshot(one='text = "invented"')
        line.send(frames.wrap(other.pack()))
        refused = line.answer()

        assert isinstance(refused, Failed)
        assert line.error(generation=toys.generation(other)).code == "NotAdmitted"
        assert line.token() == "plain"
        assert [entry["reason"] for entry in service.audit(2)] == ["frame", "generation"]

    def test_refusals_are_audited_by_itself(self, service: Activated, line: Line):
        """With what was asked, where it can be a name; repeats are counted, and the connection goes on."""
        for _ in range(3):
            line.error("nothing")
        line.error("one", "find")
        line.error("\x1b[2J" * 1000)
        line.error(generation="x" * 100_000)
        assert line.token() == "plain"
        found = [(one["reason"], one["credential"], one["generation"]) for one in service.audit(4)]
        generation = toys.generation(service.launch)

        assert found == [
            ("credential", "nothing", generation),
            ("question", "one", generation),
            ("credential", None, generation),
            ("generation", "one", None),
        ]

    def test_an_edit_holds_for_connections_that_are_open(self, service: Activated, line: Line):
        """No caller keeps what was taken back by keeping a connection."""
        line.token()
        before = toys.generation(service.launch)
        service.launch = in_folder(toys.launch(one='text = "new"'), service.folder)

        assert line.error(generation=before).code == "NotAdmitted"
        assert line.token() == "new"

    def test_a_mistake_on_disk_stops_no_mint(self, folder: Path):
        """Whoever starts now mints by the last good files, which another process kept for it."""
        state = folder / "state"
        state.mkdir(mode=0o700)
        with Activated(folder, in_folder(LAUNCH, folder), state=state) as service:
            first = Line(service)
            assert first.token() == "plain"
            first.close()
            (folder / "config.toml").write_text("[credentials.one\n")
            second = Line(service)
            found = second.token()
            second.close()
            kept = (state / "last-good").stat()

        assert found == "plain"
        assert kept.st_mode & 0o777 == 0o600
        assert "is not valid TOML" in service.log

    @pytest.mark.parametrize("said", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc1"], ids=["too long", "no message"])
    def test_nonsense_is_refused(self, service: Activated, line: Line, said: bytes):
        """After a frame that is too long nothing can be believed any more, so the connection ends."""
        line.send(said)
        (audited,) = service.audit()

        assert audited["reason"] == "frame"
        if said[0] == 0:
            assert isinstance(line.answer(), Failed)
            assert line.token() == "plain"
        else:
            assert service.pids(0) == ()


class TestManners:
    def test_it_has_what_a_child_has_and_no_more(self, folder: Path):
        """Not dumpable, a session of its own, an allow-list of variables, the identity, no SDK before it is needed."""
        more = {
            "AWS_PROFILE": "prod",
            "LD_PRELOAD_ME": "1",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.1:9911/aws",
        }
        with Activated(folder, in_folder(toys.launch(more, who='does = "introspect"'), folder)) as service:
            line = Line(service)
            found = json.loads(line.token("who"))
            line.close()
        environment = found.pop("environment")

        assert found == {"dumpable": 0, "umask": 0o077, "session": True, "descriptors": 5, "sdks": []}
        assert environment["AWS_PROFILE"] == "prod"
        assert environment.keys().isdisjoint({*more, "LISTEN_FDS", "LISTEN_PID", "PYTHONPATH"} - {"AWS_PROFILE"})

    def test_a_variable_that_the_configuration_refers_to_is_one_of_its_own(self, folder: Path):
        """What is in the daemon's environment counts for nothing here."""
        one = 'source = "private-env"\nsecrets = { A = { env = "TEAM_SECRET" } }'
        with Activated(folder, in_folder(toys.launch({"TEAM_SECRET": "t"}, one=one), folder)) as service:
            line = Line(service)
            line.ask()
            answer = line.answer()
            line.close()

        assert isinstance(answer, Brought)
        assert answer.minted.value == Variables((("A", Secret("t")),))


class TestEnd:
    def test_it_leaves_when_the_daemon_hangs_up(self, service: Activated, line: Line):
        """Quietly, and with status 0: a failed unit would be left behind each time."""
        line.token()
        (pid,) = service.pids(1)
        line.close()

        assert ends(pid)
        assert service.status(pid) == 0

    def test_it_ends_amid_a_call_that_blocks(self, service: Activated, line: Line):
        """The daemon's deadline is over: nobody waits for what would come."""
        line.ask("hang")
        (pid,) = service.pids(1)
        assert not ends(pid)
        line.close()

        assert ends(pid)

    def test_what_a_source_started_ends_with_it(self, folder: Path):
        """A credential_process that hangs, for one."""
        path = folder / "pid"
        launch = toys.launch(hang=f'does = "hang_with_child"\ntext = "{path}"')
        with Activated(folder, in_folder(launch, folder)) as service:
            line = Line(service)
            line.ask("hang")
            assert waited(lambda: path.exists() and path.read_text() != "")
            started = int(path.read_text())
            line.close()

            assert ends(started)

    def test_it_ends_with_a_daemon_that_is_killed(self, service: Activated):
        """The kernel hangs up for it."""
        ask = frames.pack(Call(do="mint", ask=toys.ask(service.launch, "hang")))
        code = (
            "import socket, sys, signal\n"
            "line = socket.socket(socket.AF_UNIX)\n"
            "line.connect(sys.argv[1])\n"
            "line.sendall(bytes.fromhex(sys.argv[2]))\n"
            "signal.pause()\n"
        )
        daemon = subprocess.Popen([sys.executable, "-c", code, str(service.socket), ask.hex()])
        (pid,) = service.pids(1)
        daemon.kill()
        daemon.wait()

        assert ends(pid)

    def test_a_mint_has_an_end_of_its_own(self, folder: Path):
        """By the kernel's alarm, which needs no turn of the interpreter's: whatever a library holds on to."""
        code = "from broker.minter import service; service.LONGEST_MINT = 1; service.run()"
        command = [sys.executable, "-P", "-c", code]
        with Activated(folder, in_folder(LAUNCH, folder), command=command) as service:
            line = Line(service)
            assert line.token() == "plain"  # and a mint that is over has none
            (pid,) = service.pids(1)
            line.ask("hang")
            with pytest.raises(EOFError):
                line.answer()
            line.close()

            assert service.status(pid) == signal.SIGALRM
