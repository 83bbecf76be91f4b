"""`credbroker-minter`: one process of the minters as a service of their own, for one connection of the daemon.

systemd starts it (Accept=yes) under a user that alone can read the long-lived identity. It speaks the frames of a child
but is sent no configuration: it reads that itself, and what the daemon says beyond names and facts decides nothing.
Each refusal is a line of audit in its own journal, where the daemon writes nothing.
"""

from broker.process import die_with_peer, grown, harden, limit_memory

harden()

import argparse  # noqa: E402 - nothing else happens before this process is undumpable
import contextlib  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping, MutableMapping  # noqa: E402
from pathlib import Path  # noqa: E402

from broker.audit import Audit, ToLog  # noqa: E402
from broker.config import find, references  # noqa: E402
from broker.config.callers import uid_of  # noqa: E402
from broker.errors import BrokerError, Malformed  # noqa: E402
from broker.events import AskRefused  # noqa: E402
from broker.identity import minter_environment, take_identity  # noqa: E402
from broker.minter import frames  # noqa: E402
from broker.minter.admission import NotAdmitted, admit  # noqa: E402
from broker.minter.child import answer, receive  # noqa: E402
from broker.minter.reading import Reading, say  # noqa: E402
from broker.model import Ask  # noqa: E402
from broker.plan import Book  # noqa: E402
from broker.server.sockets import FIRST_DESCRIPTOR, peer_uid  # noqa: E402

DAEMON = "credbroker"
KEPT = "last-good"
LONGEST_MINT = 45  # seconds; the daemon has hung up long before
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_GENERATION = re.compile(r"[0-9a-f]{64}")


def run() -> None:
    """The console script."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Answer the daemon until it hangs up: 0. Anybody else is not answered: 1. Started wrongly: 2."""
    options = _options(arguments)
    state = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    reading = Reading(Path(options.config).absolute(), Path(state, KEPT) if state else None)
    identity = take_identity(os.environ)
    try:
        allowed, daemon = _uid(options.daemon_user), _connection(os.environ)
    except BrokerError as error:
        say(error.advice)
        return 2
    with daemon, contextlib.suppress(ConnectionError):  # it may hang up at any time, and says nothing then
        return Window(reading, identity, daemon).serve(allowed)
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "credbroker-minter", description="Mints for the credbroker daemon. systemd starts it: see systemd/README.md."
    )
    parser.add_argument("--config", metavar="FILE", default=str(find.SYSTEM), help="default: %(default)s")
    who = "the account of the daemon, which alone may ask: a name or a uid; default: %(default)s"
    parser.add_argument("--daemon-user", metavar="USER", default=DAEMON, help=who)
    return parser.parse_args(arguments)


def _uid(user: str) -> int:
    found = int(user) if user.isdecimal() else uid_of(user)
    if found is None:
        raise BrokerError("--daemon-user names no user of this machine", code="NoSuchUser")
    return found


def _connection(environ: MutableMapping[str, str]) -> socket.socket:
    """The daemon's connection, as systemd hands it over. Raises BrokerError where there is none."""
    handed = (environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", ""))
    for name in ("LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        environ.pop(name, None)
    with contextlib.suppress(OSError):
        if handed == (str(os.getpid()), "1"):
            os.set_inheritable(FIRST_DESCRIPTOR, False)  # noqa: FBT003 it takes no keyword
            found = socket.socket(fileno=FIRST_DESCRIPTOR)
            found.settimeout(None)
            if found.family == socket.AF_UNIX and not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return found
            found.close()
    advice = "systemd starts this for each connection of the daemon: enable credbroker-minter.socket, with Accept=yes"
    raise BrokerError(advice, code="SocketUnavailable")


class Window:
    """Where the daemon's questions come in; each is held against the configuration first."""

    def __init__(self, reading: Reading, identity: Mapping[str, str], daemon: socket.socket) -> None:
        self._reading = reading
        self._identity = identity
        self._daemon = daemon
        self._uid = peer_uid(daemon)
        self._audit = Audit(ToLog(), lambda _: None)
        self._around = dict(os.environ)
        self._settled: Book | None = None

    def serve(self, allowed: int) -> int:
        """Answer until the daemon hangs up; whoever is not of the uid `allowed` is told so, and nothing else."""
        if self._uid != allowed:
            error = NotAdmitted("peer", "the minter service answers the account of the daemon, and this is another")
            self._daemon.sendall(frames.pack(self._refuse(error)))
            return 1
        die_with_peer(self._daemon.fileno())
        limit_memory()
        try:
            while body := self._next():
                signal.alarm(LONGEST_MINT)  # the kernel ends us then, whatever hangs and where
                self._daemon.sendall(frames.pack(self.reply(body)))
                signal.alarm(0)
                if grown():
                    break
        finally:
            self._audit.close()
        return 0

    def _next(self) -> bytes | None:
        try:
            return receive(self._daemon)
        except Malformed as error:  # where the frame after it would begin is not known any more
            self._refuse(error)
            return None

    def reply(self, body: bytes) -> frames.Answer:
        """The answer to one frame, or the refusal, of which a line of audit tells."""
        ask: Ask | None = None
        generation: str | None = None
        try:
            question = frames.unpack_call(body)
            generation, ask = question.generation, question.ask if isinstance(question, frames.Call) else None
            book = self._reading.book(generation)
            admit(book, question)
        except BrokerError as error:
            return self._refuse(error, ask, generation)
        if book is not self._settled:
            self._settle(book)
        return answer(book, body)

    def _settle(self, book: Book) -> None:
        """The same environment as a child's: nothing in it changes what runs, or leads back to our own listeners."""
        own = [(address.host, address.port) for address in book.config.daemon.listen]
        named = references.variables(book.config.credentials)
        identity = {**self._identity} | {name: self._around[name] for name in named if name in self._around}
        settled = minter_environment(identity, self._around, own)
        os.environ.clear()
        os.environ.update(settled)
        self._settled = book

    def _refuse(self, error: BrokerError, ask: Ask | None = None, generation: str | None = None) -> frames.Failed:
        reason = error.reason if isinstance(error, NotAdmitted) else "frame"
        self._audit.listen(
            AskRefused(
                reason,
                self._uid,
                credential=_shown(_NAME, ask.credential if ask else None),
                caller=_shown(_NAME, ask.facts.caller if ask else None),
                generation=_shown(_GENERATION, generation),
            )
        )
        return frames.from_error(error)


def _shown(form: re.Pattern[str], text: str | None) -> str | None:
    """A text of the daemon's, where it can be what it should: somebody else may have written it."""
    return text if text is not None and form.fullmatch(text) else None


if __name__ == "__main__":
    run()
