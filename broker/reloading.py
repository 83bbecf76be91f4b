"""Reading the configuration again, for a daemon that serves meanwhile: all of it or nothing.

It changes nothing itself: what it gives is for the daemon to adopt.
"""

from collections.abc import Callable
from pathlib import Path

from broker.config import read
from broker.config.shape import Config, Snapshot
from broker.errors import ConfigError, Mistake
from broker.events import Event, Reloaded
from broker.plan import Book, make_book
from broker.server.threads import Threads
from broker.supervisor import Supervisor

FIXED = (  # what needs a restart
    *("listen", "admin", "socket", "runtime_dir", "minter_socket"),
    *("audit_file", "limits", "log_level", "imds"),
)


class Reloading:
    """Reads the file in a thread, because it may name users, whom a name service has to know."""

    def __init__(self, path: Path | None, note: Callable[[Event], None], supervisor: Supervisor) -> None:
        self._path = path
        self._note = note
        self._supervisor = supervisor
        self._reader = Threads(1, _read, "reading")

    async def read(self, present: Callable[[], Config], by_uid: int | None) -> tuple[Config, Snapshot, Book]:
        """What the file says now. Raises ConfigError, which has then been told."""
        self._supervisor.reloading()
        try:
            config, snapshot = await self._reader.ask(self._path)
            _check_fixed(config, present(), self._path)
            return config, snapshot, make_book(config)
        except ConfigError as error:
            self._note(Reloaded(present().generation, error.advice, by_uid))
            raise
        finally:
            self._supervisor.reloaded()

    def close(self) -> None:
        """Wait for nobody."""
        self._reader.close()


def _read(path: Path | None) -> tuple[Config, Snapshot]:
    if path is None:
        raise ConfigError(Mistake("zero configuration", "there is no file to read again"))
    return read.load(path)


def _check_fixed(config: Config, present: Config, path: Path | None) -> None:
    now, then = config.daemon, present.daemon
    changed = [name for name in FIXED if getattr(now, name) != getattr(then, name)]
    if changed:
        raise ConfigError(*(Mistake(f"{path} [daemon] {name}", "a change here needs a restart") for name in changed))
