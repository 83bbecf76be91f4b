"""nginx with one worker process, as Debian configures it, serving files: what the daemon is measured against.

No access log, and as many requests on a connection as a client likes, since the daemon has neither a log nor a limit.
"""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench import processes
from tests.clients.stage import free_address

PATIENCE = 10.0
_CONFIG = """\
daemon off;
worker_processes 1;
{user}
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    sendfile on;
    tcp_nopush on;
    access_log off;
    default_type application/json;
    keepalive_requests 1000000000;
    client_body_temp_path temp;
    proxy_temp_path temp;
    fastcgi_temp_path temp;
    uwsgi_temp_path temp;
    scgi_temp_path temp;
    server {{ listen {address} backlog=4096; root files; }}
}}
"""


class Nginx:
    """The server, running between enter and exit. `pid` is its worker's."""

    def __init__(self, folder: Path, *, root: bool) -> None:
        self.address = free_address()
        self._folder = folder / "nginx"
        self._files = self._folder / "files"
        self._files.mkdir(parents=True)
        config = self._folder / "nginx.conf"
        config.write_text(_CONFIG.format(address=self.address, user="user root;" if root else ""))
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert program is not None, "nginx is not installed: see tests/system-packages"
        self._process = subprocess.Popen([program, "-e", "stderr", "-p", str(self._folder), "-c", str(config)])

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        (worker,) = processes.children(self._process.pid)
        return worker

    def put(self, path: str, body: bytes) -> None:
        """Serve these bytes at that path."""
        file = self._files / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)

    def __enter__(self) -> Self:
        host, _, port = self.address.rpartition(":")
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection((host, int(port))).close()
            except OSError:
                assert time.monotonic() < ends, "nginx does not listen"
                assert self._process.poll() is None, "nginx has ended"
                time.sleep(0.02)
            else:
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._process:
            self._process.terminate()
