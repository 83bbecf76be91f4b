"""Another user's process that listens where a daemon should; starting it needs root."""

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


@contextlib.contextmanager
def squatted(path: str) -> Iterator[None]:
    """A socket of SOMEBODY's, in a folder that he may write to."""
    # Ours may lie in root's home, where he may not go.
    python = next(one for one in ("/usr/bin/python3", "/usr/local/bin/python3", sys.executable) if Path(one).exists())
    with subprocess.Popen(
        [python, "-c", _CODE, path], user=SOMEBODY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/"
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()
