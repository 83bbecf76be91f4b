"""The minter service as systemd runs it, without a systemd at PID 1: systemd-socket-activate starts its processes."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from broker.config.shape import Snapshot
from broker.minter import frames
from broker.minter.client import Launch

PATIENCE = 10.0
SERVICE = (sys.executable, "-P", "-m", "broker.minter.service")


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with room for a socket's name, which has 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="cbm") as folder:
        yield Path(folder)


def in_folder(launch: Launch, folder: Path) -> Launch:
    """The same configuration, its main file really there."""
    ((_, content),) = launch.snapshot.files
    path = folder / "config.toml"
    path.write_bytes(content)
    path.chmod(0o600)
    return msgspec.structs.replace(launch, snapshot=Snapshot(((str(path), content),)))


def waited(true: Callable[[], bool]) -> bool:
    """Whether it becomes true in time."""
    ends = time.monotonic() + PATIENCE
    while not (found := true()) and time.monotonic() < ends:
        time.sleep(0.01)
    return found


class Activated:
    """A listening socket with the service behind it; `launch` is what its processes should read and have.

    `command` starts one of them; `around` is put before the program that listens.
    """

    def __init__(
        self,
        folder: Path,
        launch: Launch,
        *,
        daemon_user: str | int | None = None,
        command: Sequence[str] = SERVICE,
        around: Sequence[str] = (),
        state: Path | None = None,
    ) -> None:
        self.folder = folder
        self.launch = launch
        self.socket = folder / "minter.sock"
        self._log = folder / "minter.log"
        environment: Mapping[str, str] = {**launch.environment, **({"STATE_DIRECTORY": str(state)} if state else {})}
        options = [f"--setenv={name}={value}" for name, value in environment.items()]
        activate = [*around, "systemd-socket-activate", "--accept", f"--listen={self.socket}", *options]
        user = os.geteuid() if daemon_user is None else daemon_user
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*activate, *command, "--config", str(folder / "config.toml"), "--daemon-user", str(user)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        assert waited(lambda: "Listening on" in self.log), self.log

    @property
    def log(self) -> str:
        """What it and its processes have said."""
        return self._log.read_text()

    def audit(self, count: int = 1) -> list[dict[str, Any]]:
        """The lines of audit, once there are as many."""
        waited(lambda: len(self._audit()) >= count)
        return self._audit()

    def _audit(self) -> list[dict[str, Any]]:
        lines = [line for line in self.log.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]
        return [json.loads(line) for line in lines]

    def pids(self, count: int) -> tuple[int, ...]:
        """Its processes, once there are as many."""
        waited(lambda: len(self._children()) == count)
        return self._children()

    def _children(self) -> tuple[int, ...]:
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                state, parent = path.read_text().rpartition(")")[2].split()[:2]
                if int(parent) == self._process.pid and state not in {"Z", "X"}:
                    found.append(int(path.parent.name))
        return tuple(sorted(found))

    def status(self, pid: int) -> int:
        """The exit status of one of its processes, or the number of the signal that ended it."""
        said = re.compile(rf"Child {pid} died with code ([0-9]+)\n")
        waited(lambda: bool(said.search(self.log)))
        return int(said.findall(self.log)[0])

    def close(self) -> None:
        """Listen no more. Its processes end with their connections, and not with this."""
        self._process.terminate()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Connection:
    """A connection to it, of anybody who may open one."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(2 * PATIENCE)
        self._socket.connect(str(path))

    def send(self, frame: bytes) -> None:
        """Whatever it is."""
        self._socket.sendall(frame)

    def answer(self) -> frames.Answer:
        """The next frame. Raises EOFError where there is none."""
        head = self._socket.recv(frames.HEAD.size, socket.MSG_WAITALL)
        if not head:
            raise EOFError
        return frames.unpack_answer(self._socket.recv(frames.length(head), socket.MSG_WAITALL))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
