"""A node and two pods, each a network of its own: `unshare --net python -m tests.faults.podnet FOLDER`, as root.

The node has a daemon on 169.254.170.23 and fd00:ec2::23, as deploy/kubernetes gives it; the pods reach that by their
default route and nothing of the node's loopback. Prints what was seen as a line of JSON. Everything ends with it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.clients.stage import CREDBROKER, Cloud
from tests.faults.podclients import Pod
from tests.faults.podstage import PodStage, staged

NODE = "10.1.0.1"  # on the first pod's cable
PLANES = {"ipv4": "169.254.170.23:9911", "ipv6": "[fd00:ec2::23]:9911"}
LOOPBACK = "127.0.0.1:9911"
# Prints the status of one request, or that there is nobody to ask.
_ASK = """\
import http.client, sys
host, path, shown = sys.argv[1:]
try:
    connection = http.client.HTTPConnection(host, timeout=3)
    shown = {"Authorization": shown} if shown else {"Metadata-Flavor": "Google"}
    connection.request("GET", path, headers=shown)
    print(connection.getresponse().status)
except OSError:
    print("refused")
"""
_SWAP = """\
import http.client, json, sys
host, token = sys.argv[1:]
connection = http.client.HTTPConnection(host, timeout=5)
connection.request("PUT", "/worker-token", headers={"Authorization": token})
print(json.load(connection.getresponse())["token"])
"""
# Shows one token after the other, each of which needs a review, on eight connections, until it is ended.
_FLOOD = """\
import http.client, itertools, sys, threading
host, token = sys.argv[1:]
signed, numbers = token.rpartition(".")[0], itertools.count()
def flood():
    while True:
        connection = http.client.HTTPConnection(host, timeout=30)
        try:
            while True:
                connection.request("GET", "/aws", headers={"Authorization": f"{signed}.{next(numbers):08d}"})
                connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass
threads = [threading.Thread(target=flood) for _ in range(8)]
for thread in threads:
    thread.start()
while next(numbers) < 300:
    pass
print("begun", flush=True)
"""


def main(folder: Path) -> None:
    """Build both, look, tell."""
    _ip("link set lo up", "addr add 169.254.170.23/32 dev lo", "addr add fd00:ec2::23/128 dev lo")
    google_folder, pod_folder = folder / "google", folder / "pod"
    for made in (google_folder, pod_folder):
        made.mkdir()
    with (
        Cloud("tests.fakes.google_cloud", "--folder", str(google_folder)) as google,
        staged(folder, google, (LOOPBACK, *PLANES.values())) as stage,
        _pod_network(0) as enter,
        _pod_network(1) as other,
    ):
        told = _clients(stage, google, pod_folder, enter) | _strangers(stage, enter)
        told |= _neighbours(stage, enter, other)
        handed = [line for line in stage.audit() if line["event"] == "LeaseHanded" and "pod" in line]
        told["pods in the audit"] = sorted({line["pod"]["name"] for line in handed})
    print(json.dumps(told))


def _clients(stage: PodStage, google: Cloud, folder: Path, enter: tuple[str, ...]) -> dict[str, Any]:
    told: dict[str, Any] = {"aws there": stage.aws.put("node/in.bin"), "google there": google.put("node/in.bin")}
    s3, gcs = (_relayed(str(cloud.facts[name])) for cloud, name in ((stage.aws, "s3"), (google, "gcs")))
    for family, plane in PLANES.items():
        own = folder / family
        own.mkdir()
        pod = Pod(own, plane, enter)
        pod.mount(stage.token())
        told[f"boto3 {family}"] = pod.boto3(stage.aws, s3, "node").sha256
        told[f"google-auth {family}"] = pod.google_auth(google, gcs, "node").sha256
    return told


def _strangers(stage: PodStage, enter: tuple[str, ...]) -> dict[str, Any]:
    environment = {**os.environ, "CREDBROKER_SOCKET": str(stage.folder / "broker.sock")}
    issue = [*CREDBROKER, "token", "issue", "--caller", "trainer"]
    token = subprocess.run(issue, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    shown = {"nothing": "", "attested": "attested", "a worker token": token}
    plane = PLANES["ipv4"]
    return {
        "refused in the pod": {
            name: _ask(enter, plane, text) for name, text in {**shown, "Bearer": "Bearer x"}.items()
        },
        "refused on the node": {name: _ask((), plane, text) for name, text in shown.items()},
        "the worker token on loopback": _ask((), LOOPBACK, token),
        "loopback from the pod": _ask(enter, LOOPBACK, token),
    }


def _neighbours(stage: PodStage, enter: tuple[str, ...], other: tuple[str, ...]) -> dict[str, Any]:
    """What one pod gets by what is another's, and while that one floods the broker."""
    path = _swapped(enter, PLANES["ipv4"], stage.token())
    places = {"its pod": enter, "its neighbour": other, "the node": ()}
    told: dict[str, Any] = {"a path token": {name: _ask(one, PLANES["ipv4"], "", path) for name, one in places.items()}}
    told["a path token"]["the node's loopback"] = _ask((), LOOPBACK, "", path)
    neighbour = stage.api.cluster.run("ml", "trainer", "worker-1")
    for family, plane in PLANES.items():
        flood = [*enter, sys.executable, "-c", _FLOOD, plane, stage.token()]
        with subprocess.Popen(flood, stdout=subprocess.PIPE) as flooding:
            assert flooding.stdout is not None
            flooding.stdout.readline()  # it has begun
            told[f"beside a flood {family}"] = [
                _ask(other, plane, stage.api.cluster.token(neighbour, "credbroker", jti=f"{family}-{number}"))
                for number in range(5)
            ]
            flooding.kill()
    return told


def _swapped(enter: tuple[str, ...], host: str, token: str) -> str:
    command = [*enter, sys.executable, "-c", _SWAP, host, token]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return f"/w/{text}/computeMetadata/v1/instance/service-accounts/default/token"


def _ask(enter: tuple[str, ...], host: str, shown: str, path: str = "/aws") -> int | str:
    command = [*enter, sys.executable, "-c", _ASK, host, path, shown]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return int(said) if said.isdecimal() else said


@contextlib.contextmanager
def _pod_network(number: int) -> Iterator[tuple[str, ...]]:
    """A network beside the node's, joined to it by one cable; gives how a command enters it."""
    holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        holder.stdout.readline()  # it answers from its own network
        enter = ("nsenter", "--target", str(holder.pid), "--net")
        cable, net, net6 = f"pod{number}", f"10.1.{number}", f"fd00:{number + 1}:"
        _ip(f"link add {cable} type veth peer name eth0 netns {holder.pid}", f"link set {cable} up")
        _ip(f"addr add {net}.1/24 dev {cable}", f"addr add {net6}:1/64 dev {cable} nodad")
        _ip("link set lo up", "link set eth0 up", enter=enter)
        _ip(f"addr add {net}.7/24 dev eth0", f"addr add {net6}:7/64 dev eth0 nodad", enter=enter)
        _ip(f"route add default via {net}.1", f"-6 route add default via {net6}:1", enter=enter)
        yield enter
        holder.stdin.close()


def _ip(*commands: str, enter: tuple[str, ...] = ()) -> None:
    for command in commands:
        subprocess.run([*enter, "ip", *command.split()], check=True)


def _relayed(url: str) -> str:
    """A store of the node's loopback where the pod can reach it."""
    port = int(url.rpartition(":")[2])
    listener = socket.create_server((NODE, port))

    def serve() -> None:
        while True:
            theirs, _ = listener.accept()
            ours = socket.create_connection(("127.0.0.1", port))
            for source, target in ((theirs, ours), (ours, theirs)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://{NODE}:{port}"


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
