"""Files of other users, and an ordinary user for tests that root would pass through."""

import contextlib
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SOMEBODY = 4711  # a uid that is neither root's nor ours


def given_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the path somebody else's: really so for root; otherwise `os.stat` and `os.fstat` say so."""
    if os.geteuid() == 0:
        os.chown(path, SOMEBODY, SOMEBODY)
        return
    theirs = path.stat().st_ino
    for name in ("stat", "fstat"):
        monkeypatch.setattr(f"broker.safefile.os.{name}", _telling(getattr(os, name), theirs))


def _telling(look: object, theirs: int) -> object:
    def looked(*given: object, **more: object) -> os.stat_result:
        status = look(*given, **more)  # type: ignore[operator]  # os.stat or os.fstat, whichever was taken
        assert isinstance(status, os.stat_result)
        return os.stat_result([*status[:4], SOMEBODY, *status[5:]]) if status.st_ino == theirs else status

    return looked


@contextlib.contextmanager
def ordinary_place() -> Iterator[Path]:
    """A folder of an ordinary user, whom root becomes meanwhile: root passes over permissions."""
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() != 0:
            yield Path(folder)
            return
        user = pwd.getpwnam("daemon")
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.seteuid(user.pw_uid)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)
