"""wrk, the load generator: 64 connections that ask without pause, and what a server spent on answering them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from tests.bench import processes

CONNECTIONS = 64
_SCRIPT = """\
done = function(summary, latency, requests)
    local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format('{"requests": %d, "seconds": %f, "refused": %d, "lost": %d, "p50": %f, "p99": %f}\\n',
        summary.requests, summary.duration / 1e6, summary.errors.status, lost,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


class Server(msgspec.Struct, frozen=True):
    """Who is asked, and the process whose CPU time counts."""

    address: str
    pid: int


class Asking(msgspec.Struct, frozen=True):
    """What is asked: a path and header fields; a new connection for each request, or the same for all."""

    path: str
    fields: tuple[tuple[str, str], ...]
    keep_alive: bool


class Shot(msgspec.Struct, frozen=True):
    """One run of wrk. `cpu` is the server's, in microseconds a request; latencies are in milliseconds."""

    cpu: float
    per_second: float
    p50: float
    p99: float


class Wrk:
    """Runs wrk, whose script is kept in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._script = folder / "wrk.lua"
        self._script.write_text(_SCRIPT)

    def shot(self, server: Server, asking: Asking, seconds: float) -> Shot:
        """Load the server for that long. Anything but 200, and any connection lost, is an error of the bench."""
        fields = asking.fields if asking.keep_alive else (*asking.fields, ("Connection", "close"))
        headers = [argument for name, value in fields for argument in ("-H", f"{name}: {value}")]
        before = processes.cpu(server.pid)
        said = self._run(f"http://{server.address}{asking.path}", headers, seconds)
        spent = processes.cpu(server.pid) - before
        assert not said["refused"], f"{said} at {asking.path.partition('/w/')[0]}"
        assert not said["lost"], f"{said}"
        return Shot(spent / said["requests"] * 1e6, said["requests"] / said["seconds"], said["p50"], said["p99"])

    def _run(self, url: str, headers: list[str], seconds: float) -> dict[str, Any]:
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(self._script), *headers, url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
        last: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return last
