"""What stands around an unchanged client: the fake clouds, the daemon, and the command line that starts programs.

Everything is a process of its own, as in life. Nothing of the environment that the tests run in reaches any of them.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
CREDBROKER = (sys.executable, "-P", "-m", "broker.cli")
READY_PATIENCE = 30.0
SIZE = 100_000  # bytes of the object that each program reads


def clients_python() -> Path:
    """The interpreter of the clients' own environment."""
    python = Path(os.environ.get("CREDBROKER_CLIENTS_PYTHON", ROOT / ".venv-clients" / "bin" / "python"))
    if not python.exists():
        raise FileNotFoundError(f"{python} does not exist: run `make clients`, or set CREDBROKER_CLIENTS_PYTHON")
    return python


def bare(home: Path, **more: str) -> dict[str, str]:
    """An environment with nothing in it but what a shell gives; the clients' own commands come first."""
    return {
        "PATH": f"{clients_python().parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        # gcsfs asks Google over gRPC, with TLS, what kind of bucket it has; the fake store does not speak that.
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        **more,
    }


class Seen(msgspec.Struct, frozen=True):
    """What a program printed about its work."""

    sha256: str
    operations: int
    identities: list[str]


class Cloud:
    """A fake cloud in its own process: see `tests.fakes.steered`."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts: dict[str, Any] = self._answer()

    def put(self, name: str) -> str:
        """A new object; its SHA-256."""
        return str(self.ask("put", self.facts["bucket"], name, str(SIZE))["sha256"])

    def sha256(self, name: str) -> str:
        """Of the object that is there now."""
        return str(self.ask("sha256", self.facts["bucket"], name)["sha256"])

    def answered(self, folder: str) -> dict[str, int]:
        """Who asked for something in that folder, and how often."""
        return dict(self.ask("tally")["answered"].get(folder, {}))

    def ask(self, *words: str) -> dict[str, Any]:
        """One command, one answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


class Daemon:
    """`credbroker serve`, ready when this is entered. Its words go to a file beside its configuration."""

    def __init__(
        self, config: Path, admin: str, environment: Mapping[str, str], program: Sequence[str] = CREDBROKER
    ) -> None:
        self._log = config.with_name("daemon.log")
        self._admin = admin
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*program, "serve", "--config", str(config)], env=environment, stderr=log, stdin=subprocess.DEVNULL
            )

    def __enter__(self) -> Self:
        ends = time.monotonic() + READY_PATIENCE
        while not self.ready():
            if time.monotonic() > ends or self._process.poll() is not None:
                self.__exit__(None, None, None)
                raise AssertionError(f"the daemon did not get ready:\n{self._log.read_text()}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._process:
            self._process.send_signal(signal.SIGTERM)

    def metric(self, name: str, credential: str, **labels: str) -> float:
        """A counter of that credential; 0 while it has not moved."""
        with urllib.request.urlopen(f"http://{self._admin}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        text = ",".join(f'{label}="{value}"' for label, value in sorted({"credential": credential, **labels}.items()))
        wanted = f"credbroker_{name}{{{text}}} "
        return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))

    def ready(self) -> bool:
        """Whether it holds all that is required."""
        try:
            with urllib.request.urlopen(f"http://{self._admin}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False


class Stage:
    """Two clouds, one daemon, and programs started before them."""

    def __init__(self, aws: Cloud, google: Cloud, daemon: Daemon, folder: Path) -> None:
        self.aws = aws
        self.google = google
        self.daemon = daemon
        self.folder = folder

    def cloud(self, program: str) -> Cloud:
        """The one whose store that program reads."""
        return self.aws if program.endswith(("_s3", "_cli.sh")) else self.google

    def command(self, program: str, folder: str) -> list[str]:
        """How a program is started, without any broker."""
        cloud = self.cloud(program)
        path = (
            [str(PROGRAMS / program)]
            if program.endswith(".sh")
            else [str(clients_python()), f"{PROGRAMS / program}.py"]
        )
        return [*path, str(cloud.facts["s3" if cloud is self.aws else "gcs"]), str(cloud.facts["bucket"]), folder]

    def refused(self) -> dict[str, int]:
        """What both stores have refused so far, by reason."""
        return {**self.aws.ask("tally")["refused"], **self.google.ask("tally")["refused"]}

    def broker(self, environment: Mapping[str, str], *arguments: str) -> str:
        """The output of a `credbroker` command that must succeed."""
        return succeeded(self.start(environment, [*CREDBROKER, *arguments]))

    def under_exec(self, environment: Mapping[str, str], command: list[str], *options: str) -> subprocess.Popen[str]:
        """Start a command under `credbroker exec`."""
        return self.start(environment, [*CREDBROKER, "exec", *options, "--", *command])

    def with_env(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment after `eval "$(credbroker env)"`."""
        said = json.loads(self.broker(environment, "env", "--format", "json"))
        kept = {name: value for name, value in environment.items() if name not in said["unset"]}
        return {**kept, **said["set"]}

    def start(self, environment: Mapping[str, str], command: list[str]) -> subprocess.Popen[str]:
        """Start a command as its user would."""
        found = dict(environment) | {"CREDBROKER_SOCKET": str(self.folder / "broker.sock")}
        return subprocess.Popen(command, env=found, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def succeeded(process: subprocess.Popen[str], patience: float = 90.0) -> str:
    """What a process wrote; it must have ended well."""
    with process:
        out, err = process.communicate(timeout=patience)
    assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err}"
    return out


def seen(process: subprocess.Popen[str], patience: float = 90.0) -> Seen:
    """What a program saw; it must have ended well."""
    return msgspec.json.decode(succeeded(process, patience).splitlines()[-1], type=Seen)


def free_address() -> str:
    """A loopback address that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"
