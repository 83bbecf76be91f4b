"""A strict fake STS: it refuses what AWS refuses, and issues keys that live as long as a test wants.

In process: `with FakeSts() as sts: ... sts.url`; its `registry` tells a fake S3 which keys are good. As a process:
`python -m tests.fakes.sts --port 0 --lifetime 90` prints one JSON line with its URL and its users' keys, and runs until
it is ended or its input closes.
"""

import argparse
import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import msgspec

from tests.fakes.sigv4 import SignatureRefused, verify
from tests.fakes.sts_rules import Refused, Rules
from tests.fakes.sts_world import KeyRegistry, StsKey, World

VERSION = "2011-06-15"
NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"
LONGEST_BODY = 200_000


class Call(msgspec.Struct, frozen=True):
    """One request that arrived, before anything was checked."""

    action: str
    region: str | None
    form: dict[str, str]
    headers: dict[str, str]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What the fake does instead of answering. `wait` is in seconds and ends when the fake stops."""

    status: int = 200
    body: bytes | Iterable[bytes] = b""
    headers: tuple[tuple[str, str], ...] = ()
    wait: float = 0.0
    hang_up: bool = False


Script = Callable[[Call], Fault | None]


def fault(code: str, status: int = 400, *headers: tuple[str, str]) -> Fault:
    """A refusal as AWS writes it."""
    return Fault(status=status, body=_error(code, "UPSTREAM-TEXT"), headers=headers)


class FakeSts:
    """The fake as a context manager. Set `script` to inject faults: it sees each call and may return one."""

    def __init__(
        self,
        world: World | None = None,
        *,
        registry: KeyRegistry | None = None,
        lifetime: float | None = None,
        now: Callable[[], float] = time.time,
        port: int = 0,
        rules: type[Rules] = Rules,
    ) -> None:
        self.world = world or World()
        self.registry = registry or KeyRegistry(self.world)
        self.rules = rules(self.world, self.registry, now, lifetime)
        self.now = now
        self.script: Script | None = None
        self.calls: list[Call] = []
        self.dated = True  # whether replies carry a Date
        self.stopping = threading.Event()
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def count(self, action: str) -> int:
        """How many calls of that action arrived."""
        return sum(call.action == action for call in self.calls)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def come_back(self) -> None:
        """Listen again where it did, after its end, with everything it knew."""
        self.stopping.clear()
        self._server = _Server(self, self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def answer(self, headers: dict[str, str], body: bytes, path: str) -> Fault:
        """What is sent back for a request."""
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        scope = headers.get("authorization", "").partition("Credential=")[2].split("/")
        call = Call(form.get("Action", ""), scope[2] if len(scope) > 2 else None, form, headers)
        self.calls.append(call)
        scripted = self.script(call) if self.script else None
        if scripted is not None:
            return scripted
        try:
            return Fault(body=self._result(call, body, path))
        except (Refused, SignatureRefused) as refused:
            message = refused.message if isinstance(refused, Refused) else "UPSTREAM-TEXT"
            return Fault(status=refused.status, body=_error(refused.code, message))

    def _result(self, call: Call, body: bytes, path: str) -> bytes:
        if path != "/" or call.form.get("Version") != VERSION or call.action not in self.rules.ACTIONS:
            raise Refused(self.rules.NO_SUCH_ACTION)
        if not call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            raise Refused("UnknownOperationException")
        key: StsKey | None = None
        if call.action != "AssumeRoleWithWebIdentity":
            if call.region not in {None, *self.world.regions}:
                raise Refused("InvalidClientTokenId", 403)
            verify("POST", path, "", call.headers, body, self.registry.find, "sts", self.now())
            key = self.registry.find(call.headers["authorization"].partition("Credential=")[2].split("/")[0])
        result = _xml(self.rules.run(call.action, call.form, key))
        return _document(f"{call.action}Response", f"<{call.action}Result>{result}</{call.action}Result>" + _metadata())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeSts, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.fake = fake


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LONGEST_BODY:
            self.close_connection = True
            self._send(Fault(status=413))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.fake.answer(headers, self.rfile.read(int(length)), self.path))

    def _send(self, reply: Fault) -> None:
        if reply.wait:
            self.server.fake.stopping.wait(reply.wait)
        if reply.hang_up:
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        fields = {"Content-Type": "text/xml", **dict(reply.headers)}
        if self.server.fake.dated:
            fields.setdefault("Date", formatdate(self.server.fake.now(), usegmt=True))
        if isinstance(reply.body, bytes):
            fields["Content-Length"] = str(len(reply.body))
        else:
            fields["Connection"] = "close"  # which is also where the body ends
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self._write([reply.body] if isinstance(reply.body, bytes) else reply.body)

    def _write(self, parts: Iterable[bytes]) -> None:
        try:
            for part in parts:
                self.wfile.write(part)
        except OSError:  # the client has read enough
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Fakes are quiet."""


def _xml(members: dict[str, Any]) -> str:
    """Members as elements; a key as STS writes Credentials."""
    text = []
    for name, member in members.items():
        inner = member
        if isinstance(member, StsKey):
            expiry = datetime.fromtimestamp(member.expires_at or 0.0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            inner = {
                "AccessKeyId": member.access_key_id,
                "SecretAccessKey": member.secret,
                "SessionToken": member.session_token,
                "Expiration": expiry,
            }
        text.append(f"<{name}>{_xml(inner) if isinstance(inner, dict) else escape(str(inner))}</{name}>")
    return "".join(text)


def _metadata() -> str:
    return f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"


def _error(code: str, message: str) -> bytes:
    kind = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return _document("ErrorResponse", f"{kind}<RequestId>{uuid.uuid4()}</RequestId>")


def _document(root: str, inner: str) -> bytes:
    return f'<{root} xmlns="{NAMESPACE}">{inner}</{root}>'.encode()


def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.sts", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--lifetime", type=float, help="seconds that leases live, whatever is asked for")
    parser.add_argument("--world", help="a JSON file with accounts, users and roles (sts_world.World)")
    options = parser.parse_args()
    world = World()
    if options.world:
        with open(options.world, "rb") as file:  # noqa: PTH123 - one read
            world = msgspec.json.decode(file.read(), type=World)
    with FakeSts(world, lifetime=options.lifetime, port=options.port) as sts:
        users = {user.name: [user.access_key_id, user.secret] for user in world.users}
        print(json.dumps({"url": sts.url, "users": users, "roles": [role.arn for role in world.roles]}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
