"""Network namespaces for tests: hosts of one process each, joined by cables. Needs root."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

# Connects as a uid and says what became of it: "open", or the name of the error.
_CALL = """
import encodings.idna, errno, os, socket, sys  # nothing can be loaded later: another uid may not read it
uid, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
try:
    with socket.create_connection((host, port), 5) as connection:
        print("open" if connection.recv(2) == b"hi" else "closed")
except OSError as error:
    print(errno.errorcode.get(error.errno, "timeout"))
"""
_LISTEN = """
import socket, sys, threading
def serve(listener):
    while True:
        with listener.accept()[0] as caller:
            caller.sendall(b"hi")
for host in sys.argv[1:]:
    for port in (53, 80):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        threading.Thread(target=serve, args=[socket.create_server((host, port), family=family)]).start()
print("listening", flush=True)
"""


class Host:
    """A network (and mount) namespace of its own, which lives as long as the block."""

    def __enter__(self) -> Self:
        # `cat` holds it open, and lets go when its input ends: nothing is left behind by a test that is killed.
        hold = ["unshare", "--net", "--mount", "--", "sh", "-c", "ip link set lo up && echo up && exec cat"]
        self._holder = subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "up\n"
        self._serving: list[subprocess.Popen[str]] = []
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for server in self._serving:
            with server:
                server.kill()
        with self._holder:
            pass  # closes its input

    def command(self, *words: str | Path) -> list[str]:
        """A command in here, for Popen."""
        spaces = [f"--{kind}=/proc/{self._holder.pid}/ns/{name}" for kind, name in (("net", "net"), ("mount", "mnt"))]
        return ["nsenter", *spaces, "--", *map(str, words)]

    def run(self, *words: str | Path) -> str:
        """What a command in here prints; it must end well."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def cable(self, other: "Host", network: int) -> None:
        """A network cable to another host: 10.9.N.1 and fd09:N::1 are this end of it, the same with 2 the other."""
        name = f"to{other._holder.pid}"
        end = f"to{self._holder.pid}"
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", end, "netns", str(other._holder.pid))
        for number, (host, card) in enumerate(((self, name), (other, end)), 1):
            host.run("ip", "address", "add", f"10.9.{network}.{number}/24", "dev", card)
            host.run("ip", "address", "add", f"fd09:{network}::{number}/64", "dev", card, "nodad")
            host.run("ip", "link", "set", card, "up")

    def forward(self) -> None:
        """Pass on what is for others."""
        self.run("sh", "-c", "cd /proc/sys/net && echo 1 >ipv4/ip_forward && echo 1 >ipv6/conf/all/forwarding")

    def default(self, network: int, end: int) -> None:
        """Send what is for others to that end of that cable."""
        self.run("ip", "route", "add", "default", "via", f"10.9.{network}.{end}")
        self.run("ip", "-6", "route", "add", "default", "via", f"fd09:{network}::{end}")

    def serve(self, *addresses: str) -> None:
        """Listen on ports 53 and 80 of addresses that are given to this host."""
        for address in addresses:
            self.run("ip", "address", "add", address, "dev", "lo", "nodad" if ":" in address else "noprefixroute")
        command = self.command(sys.executable, "-c", _LISTEN, *addresses)
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._serving.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"

    def call(self, uid: int, host: str, port: int = 80) -> str:
        """What becomes of a connection that a process of that uid opens: "open", or the name of the error."""
        return self.run(sys.executable, "-c", _CALL, str(uid), host, str(port)).strip()
