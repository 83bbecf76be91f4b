"""moto server as a process of its own: AWS (STS, S3, IAM) for tests and the demo. It enforces no expiry and no trust.

`with Moto() as moto: ... moto.url`. The process serves until its standard input closes, so that it ends with its
starter however that ends.
"""

import logging
import subprocess
import sys
import threading
from typing import Self
from urllib.request import Request, urlopen

STARTING = 60.0  # seconds; importing moto takes a few on a slow machine


class Moto:
    """A running moto server on a free port of loopback."""

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        hopeless = threading.Timer(STARTING, self._process.kill)
        hopeless.start()
        assert self._process.stdout
        line = self._process.stdout.readline().strip()
        hopeless.cancel()
        if not line:
            self.stop()
            raise RuntimeError("moto server did not start; its own words are above")
        self.url = line

    def reset(self) -> None:
        """Forget everything, as between two tests."""
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST"), timeout=10).close()

    def stop(self) -> None:
        """Nothing answers any more when this returns."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(port: int) -> None:
    """Serve, having said where, until standard input closes."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", port, DomainDispatcherApplication(create_backend_app), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
