"""Files of secrets that any user of this machine may read: said by `check`, which looks at modes and never inside."""

import stat
from collections.abc import Iterable
from pathlib import Path

from broker.cli.words import warn
from broker.config import references
from broker.config.shape import Credential


def warn_of_exposed(credentials: Iterable[Credential]) -> None:
    """A warning for each: a worker that can read what is minted from needs no broker."""
    for path in dict.fromkeys(path for one in credentials for path in references.files(one)):
        if _is_open_to_all(path):
            warn(f"anybody on this machine may read {path}: chmod 600 it")


def _is_open_to_all(path: str) -> bool:
    """Whether its own mode and that of each folder above it let everybody in; what we cannot look at tells nothing."""
    try:
        file = Path(path).resolve()
        reached = all(one.stat().st_mode & stat.S_IXOTH for one in file.parents)
        return reached and bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
