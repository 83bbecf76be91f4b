"""Another user's process that listens where a daemon should, and hears what it is told; starting it needs root."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.other_user import SOMEBODY

_CODE = """
import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print(flush=True)
sys.stdin.read()
"""


_HEARING = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(flush=True)
while True:
    caller, _ = listener.accept()
    caller.settimeout(1)
    try:
        print(repr(caller.recv(65536)), flush=True)
    except OSError:
        pass
    caller.close()
"""


@contextlib.contextmanager
def squatted(path: str) -> Iterator[None]:
    """A socket of SOMEBODY's, in a folder that he may write to."""
    with _somebody(_CODE, path) as process:
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def squatted_port(port: int) -> Iterator[list[str]]:
    """A port of SOMEBODY's on loopback; after the block, all that he was told, one connection after the other."""
    heard: list[str] = []
    with _somebody(_HEARING, str(port)) as process:
        try:
            yield heard
        finally:
            process.kill()
            assert process.stdout is not None
            heard += process.stdout.read().decode().splitlines()


@contextlib.contextmanager
def _somebody(code: str, argument: str) -> "Iterator[subprocess.Popen[bytes]]":
    # Ours may lie in root's home, where he may not go.
    python = next(one for one in ("/usr/bin/python3", "/usr/local/bin/python3", sys.executable) if Path(one).exists())
    with subprocess.Popen(
        [python, "-c", code, argument], user=SOMEBODY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
