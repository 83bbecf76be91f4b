"""The fake Google as one HTTP server on loopback: every endpoint, faults on demand, and a count of calls."""

import collections
import contextlib
import http.server
import threading
import time
from collections.abc import Callable
from typing import Self

from tests.fakes.google.iam import PATH, IamCredentials
from tests.fakes.google.metadata import Metadata
from tests.fakes.google.oauth import OAuth
from tests.fakes.google.registry import Registry, key_of
from tests.fakes.google.sts import Sts
from tests.fakes.google.wire import Answer, Call, Fault, Refusal, json_answer

_LONGEST_BODY = 1_000_000


class FakeGoogle:
    """A strict Google. Use as a context manager; `url` is its only origin.

    Endpoints by name, for `fail`, `heal` and `calls`: token, tokeninfo, certs, sts, oauthtoken, generateAccessToken,
    generateIdToken, metadata, subject.
    """

    def __init__(self, port: int = 0, lifetime: int = 3600) -> None:
        self.ahead = 0.0  # seconds that this Google's clock is ahead of ours
        self.registry = Registry(lambda: time.time() + self.ahead, lifetime)
        self.calls: collections.Counter[str] = collections.Counter()
        self.seen: list[Call] = []
        self.subject_token = ""  # what the `subject` endpoint gives a URL-sourced external account
        self.stopping = threading.Event()
        self._faults: dict[str, Fault] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.google = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.oauth = OAuth(self.registry, self.url, key_of("Google itself"))
        self.sts = Sts(self.registry)
        self.iam = IamCredentials(self.registry, self.oauth)
        self.metadata = Metadata(self.registry, self.oauth)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._paths: dict[str, tuple[str, Callable[[Call], Answer]]] = {
            "/token": ("token", self.oauth.token),
            "/tokeninfo": ("tokeninfo", self.oauth.tokeninfo),
            "/oauth2/v3/certs": ("certs", self.oauth.certs),
            "/v1/token": ("sts", self.sts.exchange),
            "/v1/oauthtoken": ("oauthtoken", self.sts.refresh),
            "/subject": ("subject", self._subject),
        }

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def come_back(self) -> None:
        """Listen again where it did, after its end, with everything it knew."""
        self.stopping.clear()
        self._server = _Server(("127.0.0.1", self._server.server_port), _Handler)
        self._server.google = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def fail(self, endpoint: str, fault: Fault) -> None:
        """From now on, that endpoint misbehaves."""
        with self._lock:
            self._faults[endpoint] = fault

    def heal(self, endpoint: str) -> None:
        """It behaves again."""
        with self._lock:
            self._faults.pop(endpoint, None)

    def answer(self, call: Call) -> Answer:
        """Route one call, through its fault if it has one."""
        name, function = self._route(call.path)
        with self._lock:
            self.calls[name] += 1
            self.seen.append(call)
            fault = self._faults.get(name)
            if fault is not None and fault.times is not None:
                left = fault.times - 1
                self._faults[name] = Fault(
                    status=fault.status, body=fault.body, fields=fault.fields, delay=fault.delay, times=left
                )
                if left <= 0:
                    del self._faults[name]
        if fault is not None and fault.delay:
            self.stopping.wait(fault.delay)
        if fault is not None and fault.status is not None:
            return Answer(fault.status, fault.body, fault.fields)
        try:
            return function(call)
        except Refusal as refusal:
            return refusal.answer

    def _route(self, path: str) -> tuple[str, Callable[[Call], Answer]]:
        if matched := PATH.fullmatch(path):
            generate = self.iam.access_token if matched["verb"] == "generateAccessToken" else self.iam.id_token
            return matched["verb"], generate
        if path == "/" or path.startswith("/computeMetadata/"):
            return "metadata", self.metadata.answer
        return self._paths.get(path, ("unknown", lambda _: json_answer(404, error="not_found")))

    def _subject(self, call: Call) -> Answer:
        if call.fields.get("x-identity") != "workload":
            return json_answer(403, error="forbidden")
        return json_answer(200, value=self.subject_token)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    google: FakeGoogle

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no error of the fake's."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ESF"
    sys_version = ""
    timeout = 30
    server: _Server

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        fields = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(min(length, _LONGEST_BODY))
        answer = self.server.google.answer(Call(self.command, self.path, fields, body))
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            for name, value in answer.fields:
                self.send_header(name, value)
            if "Content-Length" in dict(answer.fields):  # a fault that promises more than it sends
                self.close_connection = True
            else:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

    do_GET = _handle  # noqa: N815 - the name that the standard library calls
    do_POST = _handle  # noqa: N815 - likewise
    do_PUT = _handle  # noqa: N815 - likewise

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date field, by the fake Google's clock."""
        return super().date_time_string(self.server.google.registry.clock() if timestamp is None else timestamp)

    def log_message(self, *_: object) -> None:
        """Quiet."""
