"""A server that gives one answer to everything, at a Unix path or a TCP address."""

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Iterator
from typing import Any


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives the same answer to everything and remembers what was asked."""

    status = 200
    body = b"{}"

    def log_message(self, *_: Any) -> None:
        """Fakes are quiet."""

    def address_string(self) -> str:
        """A Unix socket has none."""
        return ""

    def _answer(self) -> None:
        server: Any = self.server
        server.asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the standard library's names


@contextlib.contextmanager
def answering(where: str | tuple[str, int], status: int = 200, body: bytes = b"{}") -> Iterator[Any]:
    """A server at a Unix path, or a TCP address, that answers so."""
    handler = type("Handler", (Answers,), {"status": status, "body": body})
    kind: Any = socketserver.UnixStreamServer if isinstance(where, str) else socketserver.TCPServer
    with kind(where, handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
