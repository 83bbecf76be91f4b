"""A command at a terminal of its own: what it shows is read, what a person types is written."""

import contextlib
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator

from tests.cli.newcomer import CREDBROKER, PATIENCE, Newcomer

# As the leader of a session, it makes the first terminal that it opens its own.
AT_TERMINAL = """
import os, sys
os.close(os.open(sys.argv[1], os.O_RDWR))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """The keyboard and the screen of a running command."""

    def __init__(self, process: "subprocess.Popen[bytes]", keyboard: int) -> None:
        self.process = process
        self.seen = ""
        self._keyboard = keyboard

    def expect(self, text: str) -> str:
        """Wait until this is shown; gives everything up to there, and forgets it."""
        while text not in self.seen:
            assert self._read(), f"it ended without {text!r}: {self.seen!r}"
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text: str) -> None:
        """Type this."""
        os.write(self._keyboard, text.encode())

    def end(self) -> tuple[int, str]:
        """Its exit status, and the rest of what it showed."""
        while self._read():
            pass
        return self.process.wait(PATIENCE), self.seen

    def _read(self) -> bool:
        assert select.select([self._keyboard], [], [], PATIENCE)[0], f"it goes on, having shown {self.seen!r}"
        try:
            part = os.read(self._keyboard, 4096)
        except OSError:  # EIO: nobody has it open any more
            return False
        self.seen += part.decode().replace("\r\n", "\n")
        return bool(part)


@contextlib.contextmanager
def at_terminal(user: Newcomer, *arguments: str, **more: str | None) -> Iterator[Terminal]:
    """`credbroker` with these arguments, at a terminal."""
    keyboard, screen = pty.openpty()
    command = [sys.executable, "-c", AT_TERMINAL, os.ttyname(screen), *CREDBROKER, *arguments]
    with subprocess.Popen(
        command,
        env=user.variables(TERM="dumb", **more),
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
        cwd=user.home,
    ) as process:
        os.close(screen)
        try:
            yield Terminal(process, keyboard)
        finally:
            process.kill()
            os.close(keyboard)
