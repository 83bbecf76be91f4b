"""A node and a pod, each a network of its own: `unshare --net python -m tests.faults.podnet FOLDER`, as root.

The node has a daemon on 169.254.170.23 and fd00:ec2::23, as deploy/kubernetes gives it; the pod reaches that by its
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

NODE, POD = "10.1.0.1", "10.1.0.7"
NODE6, POD6 = "fd00:1::1", "fd00:1::7"
PLANES = {"ipv4": "169.254.170.23:9911", "ipv6": "[fd00:ec2::23]:9911"}
LOOPBACK = "127.0.0.1:9911"
# Prints the status of one request, or that there is nobody to ask.
_ASK = """\
import http.client, sys
host, path, shown = sys.argv[1:]
try:
    connection = http.client.HTTPConnection(host, timeout=3)
    connection.request("GET", path, headers={"Authorization": shown} if shown else {})
    print(connection.getresponse().status)
except OSError:
    print("refused")
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
        _pod_network() as enter,
    ):
        told = _clients(stage, google, pod_folder, enter) | _strangers(stage, enter)
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


def _ask(enter: tuple[str, ...], host: str, shown: str) -> int | str:
    command = [*enter, sys.executable, "-c", _ASK, host, "/aws", shown]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return int(said) if said.isdecimal() else said


@contextlib.contextmanager
def _pod_network() -> Iterator[tuple[str, ...]]:
    """A network beside the node's, joined to it by one cable; gives how a command enters it."""
    holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write(b"\n")
        holder.stdin.flush()
        holder.stdout.readline()  # it answers from its own network
        enter = ("nsenter", "--target", str(holder.pid), "--net")
        _ip(f"link add pod0 type veth peer name eth0 netns {holder.pid}", "link set pod0 up")
        _ip(f"addr add {NODE}/24 dev pod0", f"addr add {NODE6}/64 dev pod0 nodad")
        _ip("link set lo up", "link set eth0 up", enter=enter)
        _ip(f"addr add {POD}/24 dev eth0", f"addr add {POD6}/64 dev eth0 nodad", enter=enter)
        _ip(f"route add default via {NODE}", f"-6 route add default via {NODE6}", enter=enter)
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
