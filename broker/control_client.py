"""The command line's side of the control socket and, in a worker, of the worker plane. Standard library HTTP, blocking.

A socket whose owner is neither root, the daemon's account nor the user himself gets nothing: somebody may have squatted
it while the daemon was down. Nor does a daemon whose worker port another user holds.
"""

import contextlib
import hashlib
import http.client
import os
import pwd
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from broker import control_api as api
from broker.config.shape import Address
from broker.errors import BrokerError, ConfigError, Mistake, NoDaemon
from broker.safefile import read_private
from broker.secret import Secret
from broker.server.sockets import peer_uid, tcp_listener_owner

SYSTEM_SOCKET = "/run/credbroker/broker.sock"
DAEMON_ACCOUNT = "credbroker"
PATIENCE = 60.0
MOMENT = 1.0
LONGEST_ANSWER = 8 << 20
LONGEST_TOKEN = 4096
_TOKEN = re.compile(r"cbw_[A-Za-z0-9_-]{43}")
# What a worker's command is told for a 401, whose own words are for programs.
_OVER = msgspec.json.encode(
    {
        "code": "Unauthorized",
        "message": "this worker's token is over (it expired or was revoked, or its broker was restarted): start the "
        "command by `credbroker exec` again, or take a new environment from `credbroker env`",
    }
)

_T = TypeVar("_T")


class UnknownHere(BrokerError):
    """The daemon knows no caller that the asking user is: another one may."""

    exit_status = 4


class Untrusted(NoDaemon):
    """Somebody listens there who is neither the user nor the daemon."""


class Client:
    """Asks one daemon. `patience` is how many seconds an answer may take."""

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        self.path = path
        self._patience = patience

    def get(self, path: str, kind: type[_T]) -> _T:
        """GET, decoded as `kind`. Raises NoDaemon, or the error that the daemon answered."""
        return decoded(self._ask("GET", path), kind)

    def post(self, path: str, order: object, kind: type[_T]) -> _T:
        """POST a value, decoded as `kind`."""
        return decoded(self._ask("POST", path, msgspec.json.encode(order)), kind)

    def delete(self, path: str, kind: type[_T]) -> _T:
        """DELETE, decoded as `kind`."""
        return decoded(self._ask("DELETE", path), kind)

    def lease(self, name: str) -> dict[str, str]:
        """A lease as environment variables and `expires_at`."""
        return self.get(f"/lease/{quoted(name)}", dict[str, str])

    def refresh(self, name: str, order: api.RefreshOrder) -> list[api.LeaseRow]:
        """Mint anew, now."""
        return self.post(f"/refresh/{quoted(name)}", order, list[api.LeaseRow])

    def knock(self) -> None:
        """Raises NoDaemon, with the reason alone, unless a daemon that may be trusted listens there."""
        self.connect().close()

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        with contextlib.closing(self.connect()) as connection:
            return exchange(connection, method, path, body).read(LONGEST_ANSWER)

    def connect(self) -> "Connection":
        """A connection to a daemon that may be trusted. Raises NoDaemon."""
        connection = Connection(self.path, self._patience)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise NoDaemon(f"no daemon answers at {self.path}: {error.strerror or error}") from None
        assert connection.sock is not None
        listener = peer_uid(connection.sock)
        if listener not in trusted():
            connection.close()
            raise Untrusted(f"{self.path} is held by {_stranger(listener)}: nothing was sent")
        return connection


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, patience: float) -> None:
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        """Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def candidates(explicit: str | None, environ: Mapping[str, str], configured: str | None) -> Iterator[str]:
    """Where a daemon is looked for; one that is named is the only one."""
    named = explicit or environ.get("CREDBROKER_SOCKET")
    if named:
        yield named
        return
    if configured:
        yield configured
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime:
        yield f"{runtime}/credbroker/broker.sock"
    yield SYSTEM_SOCKET


def find(explicit: str | None, environ: Mapping[str, str], configured: str | None = None) -> Client:
    """The first daemon that answers. Raises NoDaemon, with each place where one was looked for and what is there."""
    told = ["no daemon answers: start one with `credbroker serve`, or name its --socket; looked at"]
    for path in dict.fromkeys(candidates(explicit, environ, configured)):
        client = Client(path)
        try:
            client.knock()
        except NoDaemon as error:
            told.append(f"  {error.advice.removeprefix('no daemon answers at ')}")
        else:
            return client
    raise NoDaemon("\n".join(told))


def trusted() -> frozenset[int]:
    """Whose daemon may be talked to: root's, the daemon account's, one's own."""
    with contextlib.suppress(KeyError):
        return frozenset({0, os.geteuid(), pwd.getpwnam(DAEMON_ACCOUNT).pw_uid})
    return frozenset({0, os.geteuid()})


def check_port(worker: "api.Worker | api.Claimed | WorkerPlane") -> None:
    """Raises NoDaemon where somebody else holds the worker port that the daemon named."""
    owner = tcp_listener_owner(Address(worker.host, worker.port))
    if owner is not None and owner not in trusted():
        raise Untrusted(f"port {worker.port} is held by {_stranger(owner)}: nothing was sent")


def quoted(name: str) -> str:
    """A name as one segment of a path, whatever was typed."""
    return quote(name, safe="")


def _stranger(uid: int | None) -> str:
    who = "a user that the kernel does not name" if uid is None else f"uid {uid}"
    return f"{who}, who is neither you nor the daemon"


class WorkerPlane(msgspec.Struct, frozen=True):
    """Asks as a worker does, by its token."""

    host: str
    port: int
    token: Secret

    def lease(self, name: str, patience: float = PATIENCE) -> dict[str, str]:
        """A lease as environment variables and `expires_at`; asked again for `patience` seconds while there is none."""
        until = time.monotonic() + patience
        while True:
            status, body = self._ask(f"/env/{quoted(name)}")
            if status == http.client.OK:
                return decoded(body, dict[str, str])
            error = _problem(status, _OVER if status == http.client.UNAUTHORIZED else body)
            if error.code != "NotReady" or time.monotonic() > until:
                raise error

    def _ask(self, path: str) -> tuple[int, bytes]:
        check_port(self)
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)) as connection:
            try:
                connection.request("GET", path, headers={"Authorization": self.token.open()})
                response = connection.getresponse()
                return response.status, response.read(LONGEST_ANSWER)
            except (OSError, http.client.HTTPException) as error:
                raise NoDaemon(f"the broker of this worker does not answer: {_reason(error)}") from None


def as_worker(environ: Mapping[str, str]) -> WorkerPlane | None:
    """The worker plane as the worker that this process is; None where it is none."""
    where, file = _plane_of(environ), environ.get("CREDBROKER_WORKER_TOKEN_FILE")
    if not where or not file:
        return None
    token = Secret(read_private(Path(file), LONGEST_TOKEN).decode())
    return WorkerPlane(where.host, where.port, token)


def check_outer(environ: Mapping[str, str]) -> None:
    """Raises NoDaemon where the environment is a worker's and somebody else holds the port of its broker.

    For a broker that begins in there: the SDKs of its minters would show him the worker's token.
    """
    if where := _plane_of(environ):
        check_port(WorkerPlane(where.host, where.port, Secret("")))


def _plane_of(environ: Mapping[str, str]) -> Address | None:
    where = urlsplit(environ.get("CREDBROKER_WORKER", ""))
    return Address(where.hostname or "", where.port or 80) if where.netloc else None


def worker_digest(environ: Mapping[str, str]) -> str | None:
    """The SHA-256 of the worker token that this process shows, in hexadecimal; None where it shows none.

    The file where there is one, else the variable: a container may have been given no more.
    """
    file = Path(environ.get("CREDBROKER_WORKER_TOKEN_FILE") or "/nonexistent")
    variable = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    token = read_private(file, LONGEST_TOKEN).decode("utf-8", "replace") if file.exists() else variable
    return hashlib.sha256(token.encode()).hexdigest() if _TOKEN.fullmatch(token) else None


def exchange(connection: Connection, method: str, path: str, body: bytes | None) -> http.client.HTTPResponse:
    """One question and the head of its answer. Raises NoDaemon, or the error that the daemon answered."""
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise NoDaemon(f"the daemon did not answer: {_reason(error)}") from None
    if response.status >= http.client.BAD_REQUEST:
        raise problem_of(response)
    return response


def problem_of(response: http.client.HTTPResponse) -> BrokerError:
    """The error that the daemon answered with."""
    return _problem(response.status, response.read(LONGEST_ANSWER))


def _reason(error: OSError | http.client.HTTPException) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return getattr(error, "strerror", None) or f"it hung up ({type(error).__name__})"


def _problem(status: int, body: bytes) -> BrokerError:
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
        # The worker plane's refusals have no exit status, and `error` for `code`.
        problem = msgspec.convert({"code": said.get("error"), **said}, api.Problem)
    except msgspec.MsgspecError:
        return BrokerError(f"the daemon answered {status}", code="Unexpected")
    if problem.mistakes:
        return ConfigError(*(Mistake(place, text) for place, text in problem.mistakes))
    kind = UnknownHere if problem.code == "UnknownCaller" else BrokerError
    error = kind(problem.message, code=problem.code)
    error.exit_status = 4 if status in {401, 403} else problem.exit_status
    return error


def decoded(body: bytes, kind: type[_T]) -> _T:
    """What the daemon answered. Raises BrokerError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError:
        raise BrokerError("the daemon answered in a way that this version does not understand") from None
