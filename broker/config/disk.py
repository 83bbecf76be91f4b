"""Reads the files of a configuration, and refuses those that others could change."""

import glob
import os
import shlex
import stat
import tomllib
from pathlib import Path

from broker.config.place import Notes

LONGEST = 8 * 1024 * 1024
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

Files = tuple[tuple[str, bytes], ...]


def take(path: Path, notes: Notes, reader: int) -> Files:
    """The main file and what it includes, as (absolute path, content); what is wrong with a file itself is noted."""
    main = path.absolute()
    content = _read(main, notes, reader)
    if content is None:
        return ()
    included = ((str(name), _read(name, notes, reader)) for name in _included(main, content))
    return ((str(main), content), *((name, found) for name, found in included if found is not None))


def _included(main: Path, content: bytes) -> list[Path]:
    """What `include` matches, sorted; relative to the main file, which never includes itself."""
    pattern = _pattern(content)
    if pattern is None:
        return []
    names = glob.glob(str(Path(glob.escape(str(main.parent))) / pattern))  # noqa: PTH207 - pathlib's takes no absolute one
    return sorted(Path(name) for name in names if os.path.realpath(name) != os.path.realpath(main))


def _pattern(content: bytes) -> str | None:
    """What `include` says, if the file is sound enough to tell; its reader reports all that is not."""
    if b"include" not in content and b"\\" not in content:  # not even spelt by escapes: thousands of lines take a while
        return None
    try:
        daemon = tomllib.loads(content.decode()).get("daemon")
    except (ValueError, RecursionError):
        return None
    pattern = daemon.get("include") if isinstance(daemon, dict) else None
    return pattern if isinstance(pattern, str) and pattern and "\0" not in pattern else None


def _read(path: Path, notes: Notes, reader: int) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # asked before it is opened: opening a device may do something
            notes.add_file(str(path), "is not a regular file")
            return None
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
            _check(path, os.fstat(file.fileno()), notes, reader)
        for folder in dict.fromkeys((path.parent, path.resolve().parent)):  # behind a link, the file's own folder too
            _check(folder, folder.stat(), notes, reader)
    except FileNotFoundError:
        notes.add_file(str(path), "does not exist")
        return None
    except OSError as error:
        notes.add_file(str(path), f"cannot be read: {error.strerror}")
        return None
    if len(content) > LONGEST:
        notes.add_file(str(path), f"is longer than {LONGEST} bytes")
        return None
    return content


def _check(path: Path, found: os.stat_result, notes: Notes, reader: int) -> None:
    if found.st_mode & _OTHERS_WRITE:
        notes.add_file(str(path), f"can be changed by others; chmod go-w {shlex.quote(str(path))}")
    if found.st_uid not in (0, reader):
        notes.add_file(str(path), "belongs neither to root nor to the account that reads it: its owner could change it")
