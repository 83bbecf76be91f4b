"""A user at his shell: a home folder, an AWS profile, a runtime folder, and the installed command as a process.

Nothing of the environment that the tests run in reaches a command. Paths are short, since sockets lie below them.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from broker.control_client import Client
from broker.errors import BrokerError
from tests.fakes.sts import FakeSts
from tests.fakes.sts_world import Role, User, World

CREDBROKER = (sys.executable, "-P", "-m", "broker.cli")
PATIENCE = 30.0
PAUSE = 0.02  # seconds between two looks at a process that starts or ends

ACCOUNT = "123456789012"
DEVICE = f"arn:aws:iam::{ACCOUNT}:mfa/alice"
CODES = ("111111", "222222", "333333")
TRAIN, GUARDED, CLOSED = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("train", "guarded", "closed"))
WORLD = World(
    users=(User(name="alice", access_key_id="AKIAFAKEALICE0000001", secret="alice/secret+key", mfa_codes=CODES),),
    roles=(Role(arn=TRAIN), Role(arn=GUARDED, mfa=True), Role(arn=CLOSED, trusts=())),
)
ONE_ROLE = """
    [credentials.train]
    source = "aws-assume-role"
    role_arn = "{role}"
    region = "eu-west-1"
    endpoint_url = "{sts}"

    [callers.me]
    ME
    grants = ["train"]
"""
CHAIN = """
    [credentials.base]
    source = "aws-session"
    mfa_serial = "{device}"
    endpoint_url = "{sts}"

    [credentials.role]
    source = "aws-assume-role"
    role_arn = "{role}"
    from = "base"
    endpoint_url = "{sts}"

    [callers.me]
    ME
    grants = ["role"]
"""


class Ran(msgspec.Struct, frozen=True):
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def outcome(self) -> tuple[int, str]:
        """What is told when it went wrong: the status, and the words without our name before each line."""
        return self.status, "\n".join(line.removeprefix("credbroker: ") for line in self.err.splitlines())


class Newcomer:
    """Somebody with a home folder, whom `sts` knows as alice if it is given."""

    def __init__(self, folder: Path, sts: FakeSts | None = None) -> None:
        self.folder = folder
        self.home, self.runtime, self.temporary = folder / "h", folder / "r", folder / "t"
        for made in (self.home, self.runtime, self.temporary):
            made.mkdir(mode=0o700)
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "LANG": "C.UTF-8",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_GCE_CHECK": "true",
        }
        if sts is not None:
            self.profile(f"region = eu-west-1\nendpoint_url = {sts.url}")
            user = sts.world.users[0]
            keys = f"[default]\naws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret}\n"
            (self.home / ".aws/credentials").write_text(keys)

    @property
    def socket(self) -> Path:
        """Where a daemon of his own listens."""
        return self.runtime / "credbroker" / "broker.sock"

    def profile(self, lines: str, header: str = "default") -> None:
        """One more section of ~/.aws/config."""
        (self.home / ".aws").mkdir(exist_ok=True)
        with (self.home / ".aws/config").open("a") as file:
            file.write(f"[{header}]\n{lines}\n")

    def configure(self, text: str, *, daemon: str = "", listen: str = "127.0.0.1:0") -> Path:
        """His configuration, on free ports unless one is named, with a caller `me` that he is. It is found unnamed."""
        path = self.home / ".config/credbroker/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.parent.mkdir(exist_ok=True, mode=0o700)
        settings = f'[daemon]\nlisten = ["{listen}"]\nadmin = "127.0.0.1:0"\nsocket = "{self.socket}"\n{daemon}\n'
        path.write_text(settings + textwrap.dedent(text).replace("ME", f"uid = {os.getuid()}\nallow_root = true"))
        path.chmod(0o600)
        return path

    def run(self, *arguments: str, stdin: str | None = "", **more: str | None) -> Ran:
        """A command, to its end; `more` are variables, None takes one away."""
        return self.shell([*CREDBROKER, *arguments], stdin=stdin, **more)

    def shell(self, command: list[str], *, stdin: str | None = "", **more: str | None) -> Ran:
        """Any command in his environment."""
        ended = subprocess.run(
            command,
            env=self.variables(**more),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=self.home,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str, leading: bool = False, **more: str | None) -> "subprocess.Popen[str]":
        """`credbroker` going on, `leading` a process group; its output is read through pipes."""
        return self.running([*CREDBROKER, *arguments], leading=leading, more=more)

    def running(
        self,
        command: list[str],
        *,
        leading: bool = False,
        keep: tuple[int, ...] = (),
        more: Mapping[str, str | None] = MappingProxyType({}),
    ) -> "subprocess.Popen[str]":
        """Any command, going on, but not for ever: who waits for its words must not. It may `keep` our descriptors."""
        process = subprocess.Popen(
            command,
            pass_fds=keep,
            env=self.variables(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            start_new_session=leading,
        )
        hopeless = threading.Timer(PATIENCE, process.kill)
        hopeless.daemon = True
        hopeless.start()
        return process

    def variables(self, **more: str | None) -> dict[str, str]:
        """His environment with some more, or less."""
        whole = self.environment | more
        return {name: value for name, value in whole.items() if value is not None}

    @contextlib.contextmanager
    def serving(self, *arguments: str, **more: str | None) -> "Iterator[subprocess.Popen[str]]":
        """A daemon of his own that answers; ended with this context."""
        with (self.folder / "log").open("w") as log:
            process = subprocess.Popen(
                [*CREDBROKER, "serve", *arguments],
                env=self.variables(**more),
                stdin=subprocess.DEVNULL,
                stderr=log,
                text=True,
                cwd=self.home,
            )
        with process:
            try:
                until(lambda: answers(self.socket) or process.poll() is not None)
                assert process.poll() is None, self.log()
                yield process
            finally:
                process.terminate()

    def log(self) -> str:
        """What the daemon has said."""
        return (self.folder / "log").read_text()


@contextlib.contextmanager
def newcomer(sts: FakeSts | None = None) -> Iterator[Newcomer]:
    """Somebody whose folders are gone with this context."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder:
        yield Newcomer(Path(folder), sts)


def answers(socket: Path) -> bool:
    """Whether a daemon listens there and holds what it must."""
    try:
        Client(str(socket)).get("/readyz", dict[str, object])
    except BrokerError as error:
        return error.code == "Unexpected"  # 503: it answers, and something required is not minted yet
    return True


def until(done: "object", patience: float = PATIENCE) -> None:
    """Wait for something that a process does."""
    assert callable(done)
    ends = time.monotonic() + patience
    while not done():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(PAUSE)
