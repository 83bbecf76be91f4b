"""Which configuration file is meant. Looks at names only; `read` opens what is found here."""

import os
from collections.abc import Mapping
from pathlib import Path

from broker.errors import ConfigError, Mistake

SYSTEM = Path("/etc/credbroker/config.toml")


def locate(explicit: str | None, environ: Mapping[str, str], system: Path = SYSTEM) -> Path | None:
    """--config, else $CREDBROKER_CONFIG, else the user's file, else the system's; None means zero configuration.

    Raises ConfigError where a file that was named does not exist: another one is never taken in its stead.
    """
    for place, name in (("--config", explicit), ("$CREDBROKER_CONFIG", environ.get("CREDBROKER_CONFIG") or None)):
        if name is not None:
            return _named(place, Path(name))
    return next((path for path in (*_of_user(environ), system) if _exists(path)), None)


def _named(place: str, path: Path) -> Path:
    if not _exists(path):
        raise ConfigError(Mistake(place, "names a file that does not exist; correct it or leave it out"))
    return path.absolute()


def _of_user(environ: Mapping[str, str]) -> tuple[Path, ...]:
    # The XDG base directory specification has relative values ignored.
    for folder in (Path(environ.get("XDG_CONFIG_HOME", "")), Path(environ.get("HOME", ""), ".config")):
        if folder.is_absolute():
            return (folder / "credbroker" / "config.toml",)
    return ()


def _exists(path: Path) -> bool:
    """Whether anything has that name. A forbidden or dangling one counts: it is to be reported, not skipped."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError:
        return True
    return True
