"""HTTP/1.1 for the fake stores: a call in, an answer out, on a loopback port, a thread a connection.

It knows no store. What an answering function raises ends that connection and is printed by the standard library.
"""

import http.server
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import msgspec


class Call(msgspec.Struct, frozen=True):
    """One request. `path` and `raw_query` as they stood on the wire, field names in lower case."""

    method: str
    path: str
    raw_query: str
    fields: dict[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The parameters, decoded; one without a value is there with an empty one."""
        return dict(parse_qsl(self.raw_query, keep_blank_values=True))


class Answer(msgspec.Struct, frozen=True):
    """One answer; Content-Length is added."""

    status: int
    body: bytes = b""
    fields: dict[str, str] = {}


class Served:
    """A running server of one answering function; stopping it cuts the connections that are open."""

    def __init__(self, answer: Callable[[Call], Answer], port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Server(answer, port)
        if tls is not None:  # the handshake is left to the connection's own thread
            listener = self._server.socket
            self._server.socket = tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nothing is answered any more when this returns."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Call], Answer], port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End every connection that is still open."""
        for request in list(self._open):
            self.shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may hang up or refuse our certificate, and so may `cut`; anything else is a mistake in the fake."""
        if request in self._open and not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one segment
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        """Fakes are quiet."""

    def handle_expect_100(self) -> bool:
        """AWS's clients wait a second for it."""
        going = super().handle_expect_100()
        self.wfile.flush()
        return going

    def _serve(self) -> None:
        path, _, raw_query = self.path.partition("?")
        fields = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answer(Call(self.command, path, raw_query, fields, self._body()))
        self.send_response_only(answer.status)
        for name, value in {"Date": self.date_time_string(), **answer.fields}.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().partition(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815 - the standard library's names
