"""The user's own command under `exec`: started as if from his shell, told the signals that we are told, waited for.

It stays in our process group, so the terminal's Ctrl-C, Ctrl-Z and window changes reach it by themselves; only what
was sent to us alone is passed on. No event loop in here: `Running.pidfd` becomes readable when the command has ended.
"""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Self

from broker.errors import BrokerError
from broker.process import Inherited

NOT_FOUND = 127  # as POSIX shells say it
NOT_EXECUTABLE = 126

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_FROM_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
_FORWARDED = (
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGTSTP,
    signal.SIGCONT,
)


def forwarded() -> tuple[signal.Signals, ...]:
    """The signals to handle with `Running.send`; ask before handling any.

    What we were started to ignore (nohup, a shell's background job) stays ignored, in us and in the command.
    """
    return tuple(signum for signum in _FORWARDED if signal.getsignal(signum) is not signal.SIG_IGN)


class Running:
    """A started command."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.pidfd = _end_of(process)

    def send(self, signum: int, *, kept: bool = False) -> None:
        """Pass a signal on that came to us, unless the terminal has given it to the command too; once ended, nothing.

        One that was `kept` came before the command was there to be given any. A stop also stops us, as it would any
        program; the SIGCONT that wakes us is passed on in its turn.
        """
        if kept or signum not in _FROM_TERMINAL or not _in_foreground():
            self._process.send_signal(signum)
        if signum == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    def status(self) -> int:
        """Its exit status, 128+N if signal N ended it. Waits for the end; does not once `pidfd` is readable."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """Give the descriptor back; the command itself is left alone."""
        os.close(self.pidfd)


class Relay:
    """Our signals, for the command. Make one before anything is laid out for it.

    Until `ready` they end us, by way of what has to be cleaned up; from then on they are kept until the command is
    there, so that none is lost while it starts.
    """

    def __init__(self) -> None:
        self._passed_on = forwarded()
        self._kept: list[int] = []
        self._running: Running | None = None
        for signum in self._passed_on:
            if signum in _ENDING:
                signal.signal(signum, _end)

    def ready(self) -> Self:
        """From now on no signal ends us."""
        for signum in self._passed_on:
            signal.signal(signum, self._pass_on)
        return self

    def to(self, running: Running) -> None:
        """The command is there."""
        self._running = running
        while self._kept:
            running.send(self._kept.pop(0), kept=True)

    def _pass_on(self, signum: int, _: FrameType | None) -> None:
        if self._running is None:
            self._kept.append(signum)
        else:
            self._running.send(signum)


def _end(signum: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def look_up(name: str, environment: Mapping[str, str]) -> None:
    """Raises what `start` would for a command that is not there, before anything is done for its sake."""
    folders = [""] if os.sep in name else os.get_exec_path(environment)
    found = [Path(folder, name) for folder in folders]
    if not any(path.is_file() and os.access(path, os.X_OK) for path in found):
        raise _not_started(name, OSError(errno.EACCES if any(map(Path.exists, found)) else errno.ENOENT, ""))


def start(command: Sequence[str], environment: Mapping[str, str], inherited: Inherited | None = None) -> Running:
    """Start the command, with the umask and limits of `inherited`. Raises BrokerError with exit status 126 or 127."""
    with contextlib.ExitStack() as stack:
        if inherited is not None:
            stack.enter_context(_soft_limit(resource.RLIMIT_CORE, inherited.core))
            stack.enter_context(_soft_limit(resource.RLIMIT_NOFILE, inherited.descriptors))
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # or the kernel would throw its exit status away
        try:
            # Popen, not an event loop's way to start a child: uvloop resets the signals that the user ignores.
            process = subprocess.Popen(  # noqa: S603  # running what the user asked for is the point
                list(command),
                env=dict(environment),
                umask=-1 if inherited is None else inherited.umask,
                close_fds=False,  # his are the command's too, as in `exec -- diff <(a) <(b)`; ours close by themselves
            )
        except OSError as error:
            raise _not_started(command[0], error) from None
    return Running(process)


def _not_started(name: str, error: OSError) -> BrokerError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        failure = BrokerError(
            f"{name}: command not found; look at its spelling and at $PATH, and, if it is a script, at its first line",
            code="CommandNotFound",
        )
        failure.exit_status = NOT_FOUND
    else:
        reason = os.strerror(error.errno) if error.errno else "it cannot be started"
        failure = BrokerError(
            f"{name}: cannot be run: {reason}; is it a program, and may you execute it?", code="CommandFailed"
        )
        failure.exit_status = NOT_EXECUTABLE
    return failure


@contextlib.contextmanager
def _soft_limit(limit: int, soft: int) -> Iterator[None]:
    """A soft limit for as long as it takes to start a child: it inherits ours."""
    ours, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(limit, (ours, hard))


def _in_foreground() -> bool:
    """Whether our process group is the one that the terminal sends its signals to.

    A handler is not told who sent a signal, so this is the closest that can be known.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """A descriptor that becomes readable when the process has ended: a pidfd, or a pipe that a thread closes."""
    pidfd_open = getattr(os, "pidfd_open", None)
    if pidfd_open is not None:
        with contextlib.suppress(OSError):  # an old kernel, or a container that forbids it
            return int(pidfd_open(process.pid))
    readable, held = os.pipe()

    def wait() -> None:
        process.wait()
        os.close(held)

    threading.Thread(target=wait, name="waits for the command", daemon=True).start()
    return readable
