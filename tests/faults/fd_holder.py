"""Who holds both sockets while daemons come and go, as systemd's socket units do: a process of its own.

    python -m tests.faults.fd_holder 127.0.0.1:PORT SOCKET -- COMMAND...

listens, says so by an empty line, and to each line on its input answers one: "start" starts the command with the
listeners (LISTEN_FDS), "stop SIGNUM" ends it and says how it ended.
"""

import os
import signal
import socket
import sys
from pathlib import Path

FIRST = 3
PLACES = 64  # above these numbers nothing of ours is in the way of a child's
NAMES = "worker:control"


def main() -> None:
    """Hold on until the input ends; the command ends with it."""
    address, path, _, *command = sys.argv[1:]
    host, _, port = address.rpartition(":")
    Path(path).unlink(missing_ok=True)
    with socket.create_server((host, int(port)), backlog=4096) as worker, socket.socket(socket.AF_UNIX) as control:
        control.bind(path)
        Path(path).chmod(0o666)
        control.listen(128)
        print(flush=True)
        child = 0
        for line in sys.stdin:
            word, _, number = line.strip().partition(" ")
            if word == "start":
                child = start(command, (worker, control))
                print(child, flush=True)
            else:
                print(end(child, int(number)), flush=True)
                child = 0
        if child:
            end(child, signal.SIGKILL)


def start(command: list[str], listeners: tuple[socket.socket, ...]) -> int:
    """The command with the listeners as its descriptors from 3 on; its pid."""
    if child := os.fork():
        return child
    for place, listener in enumerate(listeners):
        os.dup2(os.dup2(listener.fileno(), PLACES + place), FIRST + place)
    handed = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(listeners)), "LISTEN_FDNAMES": NAMES}
    os.closerange(FIRST + len(listeners), PLACES + len(listeners))
    return os.execvpe(command[0], command, {**os.environ, **handed})  # noqa: S606 - this is what it is for


def end(child: int, signum: int) -> int:
    """Send a signal and see it gone; its exit status."""
    os.kill(child, signum)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main()
