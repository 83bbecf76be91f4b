"""`make bench`: speed and memory beside nginx, in one run of under two minutes that ends by itself.

Interleaved: in each round every way of asking loads the daemon, then nginx, so that what else the machine does falls on
both. Compared is the CPU time of the one process that answers, never the clock on the wall.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from broker.minter.client import IDLE
from tests.bench import kept, processes
from tests.bench.figures import Figures, Footprint, Readiness, Restart, Speed, lines, summary
from tests.bench.herd import Herd
from tests.bench.identity import Cost
from tests.bench.nginx import Nginx
from tests.bench.stage import AWS, COLD, GOOGLE, Broker, Clouds, slow_sts
from tests.bench.wrk import Asking, Server, Shot, Wrk
from tests.clients.stage import ROOT, Cloud

STARTS = 3
START_LATENCY = 0.5
HERD_LATENCY = 1.5
GRACE = 3.0  # over the pool's idle time, until a minter must be gone
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


def main() -> None:
    """Measure everything, then print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--rounds", type=int, default=7, help="of every way of asking (default 7)")
    parser.add_argument("--seconds", type=int, default=1, help="that each shot of a round lasts (default 1)")
    parser.add_argument("--clients", type=int, default=5000, help="in the herd (default 5000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="credbroker-bench-") as folder:
        figures = _measured(Path(folder), options)
    if options.json:
        print(msgspec.json.encode(summary(figures)).decode())
    else:
        print("\n".join(lines(figures)))


def _measured(folder: Path, options: argparse.Namespace) -> Figures:
    with _clouds(folder) as clouds:
        clouds.latency(START_LATENCY)
        ready = tuple(_start(_made(folder / f"start-{number}"), clouds) for number in range(STARTS))
        clouds.latency(0)
        again = tuple(_restarts(_made(folder / "restarts"), clouds))
        credentials = {"train": AWS, "data": GOOGLE, "cold": COLD}
        with Broker(_made(folder / "main"), clouds, credentials) as broker:
            began = time.monotonic()
            _say("speed ...")
            daemon, minters = processes.memory(broker.pid), tuple(map(processes.memory, processes.children(broker.pid)))
            speed, identity = _speeds(folder, broker, options), _identity()
            left = _idled(broker, began + IDLE + GRACE)
            idled = time.monotonic() - began
            _say("the herd ...")
            clouds.latency(HERD_LATENCY)
            before = clouds.calls()
            herd = _herd(broker, options.clients)
            calls = clouds.calls() - before
            footprint = Footprint(daemon, minters, left, idled, processes.memory(broker.pid))
    return Figures(speed, identity, ready, again, herd, calls, HERD_LATENCY, footprint)


@contextlib.contextmanager
def _clouds(folder: Path) -> Iterator[Clouds]:
    with slow_sts() as aws, Cloud("tests.fakes.google_cloud", "--folder", str(folder)) as google:
        yield Clouds(aws, google)


def _start(folder: Path, clouds: Clouds) -> Readiness:
    """A daemon from nothing to ready, with one credential to mint."""
    _say("a start ...")
    with Broker(folder, clouds, {"train": AWS}) as broker:
        return Readiness(broker.took, broker.mint_seconds(), START_LATENCY)


def _restarts(folder: Path, clouds: Clouds) -> Iterator[Restart]:
    """A daemon from nothing to ready, with a thousand leases that the one before it left."""
    before = clouds.calls()
    for number in range(STARTS):
        _say("a restart ...")
        seal = () if number else (kept.seal,)
        with Broker(folder, clouds, kept.credentials(), kept.settings(folder), *seal) as broker:
            yield Restart(broker.took, kept.ROLES, clouds.calls() - before, processes.memory(broker.pid))


def _speeds(folder: Path, broker: Broker, options: argparse.Namespace) -> tuple[Speed, ...]:
    """Every way of asking, in rounds, the daemon and nginx by turns."""
    header, path = broker.token("header"), broker.token("path")
    ways = (
        ("/aws, worker token", "/aws", (("Authorization", header),)),
        ("/aws, uid", "/aws", (("Authorization", "attested"),)),
        ("metadata token, path token", f"/w/{path}{TOKEN_PATH}", (("Metadata-Flavor", "Google"),)),
    )
    askings = [(name, Asking(path, fields, keep)) for name, path, fields in ways for keep in (True, False)]
    wrk = Wrk(folder)
    shots: dict[Asking, list[tuple[Shot, Shot]]] = {asking: [] for _, asking in askings}
    with Nginx(folder, root=os.geteuid() == 0) as nginx:
        for _, path, fields in ways:
            nginx.put(path, broker.get(path, dict(fields)))
        ours, theirs = Server(broker.address, broker.pid), Server(nginx.address, nginx.pid)
        for _ in range(options.rounds):
            for _, asking in askings:
                shots[asking].append(
                    (wrk.shot(ours, asking, options.seconds), wrk.shot(theirs, asking, options.seconds))
                )
    return tuple(
        Speed(name, asking.keep_alive, *map(tuple, zip(*shots[asking], strict=True))) for name, asking in askings
    )


def _identity() -> tuple[Cost, ...]:
    command = [sys.executable, "-m", "tests.bench.identity"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return msgspec.json.decode(done.stdout, type=tuple[Cost, ...])


def _idled(broker: Broker, until: float) -> int:
    """How many minters there are at that moment."""
    time.sleep(max(until - time.monotonic(), 0.0))
    return len(processes.children(broker.pid))


def _herd(broker: Broker, clients: int) -> Herd:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.herd", broker.address, "/aws/cold", str(clients)],
        input=broker.token("header") + "\n",
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return msgspec.json.decode(done.stdout, type=Herd)


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
