"""A running daemon to be attacked: a process of its own over a strict fake STS, and workers that say who they are.

The worker plane's port is fixed, as it must be where a restart is not to be noticed. Uids other than ours are played by
children of the test, for root alone.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from broker import control_api as api
from broker.control_client import Client
from broker.errors import BrokerError
from tests.cli.newcomer import CLOSED, CREDBROKER, PATIENCE, TRAIN, Newcomer, Ran, answers, until
from tests.clients.stage import free_address
from tests.fakes.sts import FakeSts

T = TypeVar("T")

SOON = 3.0  # seconds: less than any deadline (5 s for a head), more than a machine needs that is busy with others
ALICE, BOB, NOBODY = 4711, 4712, 4713  # uids without a name, as a container's often are
CALLERS = """
    [callers.me]
    ME
    grants = ["train", "mine"]

    [callers.alice]
    uid = 4711
    grants = ["train", "hers"]

    [callers.bob]
    uid = 4712
    grants = ["train", "his"]

    [callers.batch]
    worker_token = true
    grants = ["train"]
"""
_DAEMON = """
audit_file = "{audit}"
{more}
"""
_ROLE = """
    [credentials.{name}]
    source = "aws-assume-role"
    role_arn = "{role}"
    session_name = "{name}-{{caller}}"
    region = "eu-west-1"
    endpoint_url = "{sts}"
    warm = "{warm}"
"""
_WARM = {"train": "start", "mine": "first-use", "hers": "first-use", "his": "first-use", "closed": "first-use"}


class Answer(msgspec.Struct, frozen=True):
    """One reply as it stood on the wire, names in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body decoded."""
        return json.loads(self.body)


class Broker:
    """One daemon's place: started, ended, killed and started again as a test wants."""

    def __init__(self, user: Newcomer, sts: FakeSts, callers: str = CALLERS, daemon: str = "") -> None:
        self.user, self.sts = user, sts
        self.address, self.admin = free_address(), free_address()
        self.port = int(self.address.rpartition(":")[2])
        self.audit_file, self.tokens_file = user.folder / "audit", user.runtime / "credbroker" / "tokens"
        self.environment: dict[str, str] = {}
        self.command = [*CREDBROKER, "serve"]
        self.process: subprocess.Popen[str] | None = None
        self.configure(callers, daemon)

    def configure(self, callers: str, daemon: str = "") -> None:
        """Write the configuration anew."""
        roles = "".join(
            _ROLE.format(name=name, role=CLOSED if name == "closed" else TRAIN, sts=self.sts.url, warm=warm)
            for name, warm in _WARM.items()
        )
        more = _DAEMON.format(audit=self.audit_file, more=textwrap.dedent(daemon))
        path = self.user.configure(textwrap.dedent(callers) + textwrap.dedent(roles), daemon=more)
        text = path.read_text().replace('["127.0.0.1:0"]', f'["{self.address}"]', 1)
        path.write_text(text.replace('admin = "127.0.0.1:0"', f'admin = "{self.admin}"', 1))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Of the daemon that runs."""
        assert self.process is not None
        return self.process.pid

    @property
    def client(self) -> Client:
        """The control socket, as our own uid."""
        return Client(str(self.user.socket))

    def start(self, *, warm: bool = True) -> None:
        """Start it; it answers when this returns, and holds `train` unless that does not matter."""
        with (self.user.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self.command,
                env=self.user.variables(**self.environment),
                stdin=subprocess.DEVNULL,
                stderr=log,
                text=True,
                cwd=self.user.home,
            )
        until(lambda: (self.ready() if warm else answers(self.user.socket)) or self.ended)
        assert not self.ended, self.user.log()

    def ready(self) -> bool:
        """Whether it answers, and holds `train`."""
        with contextlib.suppress(BrokerError):
            return bool(self.client.get("/readyz", dict[str, object])["ready"])
        return False

    @property
    def ended(self) -> bool:
        """Whether it does not run."""
        return self.process is None or self.process.poll() is not None

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """End it and see it gone; its exit status."""
        if self.process is None:
            return 0
        with self.process as process:
            process.send_signal(signum)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
        self.process = None
        return process.returncode

    def run(self, *arguments: str) -> Ran:
        """A `credbroker` command as our own uid."""
        return self.user.run(*arguments)

    def token(self, caller: str = "batch", **more: Any) -> str:
        """A worker token in the clear."""
        token = self.client.post("/tokens", api.TokenOrder(caller=caller, **more), api.Token).token
        assert token is not None
        return token

    def head(self, path: str = "/aws/train", method: str = "GET", host: str | None = None, **fields: str) -> bytes:
        """A request head as SDKs send it; underscores in names are hyphens."""
        named = {"Host": host or self.address} | {name.replace("_", "-"): text for name, text in fields.items()}
        lines = "".join(f"{name}: {text}\r\n" for name, text in named.items())
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def attested(self, path: str = "/aws/train", **fields: str) -> bytes:
        """A request of whoever makes the connection."""
        return self.head(path, Authorization="attested", **fields)

    def connect(self, patience: float = 10.0) -> socket.socket:
        """A connection to the worker plane."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=patience)

    def ask(self, head: bytes) -> Answer:
        """One request on a connection of its own; an answer must come."""
        with self.connect() as end:
            end.sendall(head)
            answer = read_answer(end)
        assert answer is not None, "the connection was closed without an answer"
        return answer

    def metric(self, name: str, **labels: str) -> float:
        """A counter or gauge; 0 while it has not moved."""
        wanted = f"credbroker_{name}" + ("{" if labels else " ")
        parts = [f'{label}="{text}"' for label, text in labels.items()]
        with contextlib.closing(http.client.HTTPConnection(self.admin, timeout=10)) as connection:
            connection.request("GET", "/metrics")
            lines = connection.getresponse().read().decode().splitlines()
        found = (line for line in lines if line.startswith(wanted) and all(part in line for part in parts))
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def healthy(self) -> float:
        """How long /healthz took, which must be 200."""
        began = time.monotonic()
        with contextlib.closing(http.client.HTTPConnection(self.admin, timeout=10)) as connection:
            connection.request("GET", "/healthz")
            assert connection.getresponse().status == 200
        return time.monotonic() - began

    def audit(self, event: str | None = None) -> list[dict[str, Any]]:
        """The audit's whole lines so far, of one kind if it is named."""
        try:
            lines = [json.loads(line) for line in self.audit_file.read_bytes().rpartition(b"\n")[0].splitlines()]
        except FileNotFoundError:
            return []
        return [line for line in lines if event in {None, line["event"]}]

    def resident(self) -> int:
        """Bytes of memory that the daemon has."""
        pages = Path("/proc", str(self.pid), "statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGESIZE")


def read_answer(end: socket.socket, rest: bytes = b"") -> Answer | None:
    """The next reply on a connection; None where it is closed without one."""
    data = rest
    while b"\r\n\r\n" not in data:
        try:
            part = end.recv(1 << 16)
        except ConnectionError:
            part = b""
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("ascii").split("\r\n")
    fields = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    while len(body) < int(fields["content-length"]):
        part = end.recv(1 << 16)
        assert part, "the connection ended within a body"
        body += part
    return Answer(int(status.split()[1]), fields, body[: int(fields["content-length"])])


def everything(end: socket.socket) -> bytes:
    """All that comes until the other end closes; a reset counts as that."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := end.recv(1 << 16):
            data += part
    return data


def statuses(data: bytes) -> list[int]:
    """The statuses of all replies in a stream."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def as_uid(uid: int, play: Callable[[], T]) -> T:
    """What `play` gives when a child of ours plays it as that user and without any group of ours. JSON carries it."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writable, msgspec.json.encode(play()))
            status = 0
        os._exit(status)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
    return json.loads(said)  # type: ignore[no-any-return]  # as `play` gave it


@contextlib.contextmanager
def playing(uid: int, play: Callable[[], None]) -> Iterator[int]:
    """A child that plays on as that user, ended with this context; its pid."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            if uid != os.getuid():
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            play()
        os._exit(0)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
