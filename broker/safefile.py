"""Private files: read with suspicion, written whole or not at all. Knows nothing of what stands in them.

Whoever can write to a file or its folder decides what a broker believes or a worker uses, so a write is refused where
another user could have prepared the place, and a read where another user could have written. Every error is a
BrokerError that names the path and says what to do.
"""

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from broker.errors import BrokerError

Where = str | os.PathLike[str]

_OTHERS_MAY_WRITE = 0o022
_OTHERS_MAY_READ = 0o007
_ANYBODY_ELSE = 0o077
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ON_THE_WAY = _FOLDER | getattr(os, "O_PATH", 0)  # some may only be passed through, not read
_LEFTOVER = r"\.{name}\.credbroker-[0-9a-f]{{16}}"
_ADVICE = {
    errno.ENOENT: "create it, or correct the path",
    errno.EACCES: "give this user access to it",
    errno.EPERM: "give this user access to it",
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in this user's quota",
    errno.EROFS: "choose a place that can be written",
    errno.ENOTDIR: "remove what stands there: a folder is needed, and no symbolic link",
    errno.ELOOP: "remove the symbolic link",
}


def write_private(path: Where, data: bytes, *, sync: bool = False, sweep: bool = True) -> None:
    """Replace the file by one of mode 0600 that holds `data`: readers see the old or the new whole file, never a part.

    What an earlier crash left beside it is removed, unless `sweep` is off: a folder of many files is better swept once.
    `sync` also waits for the disk, so that a power cut keeps the promise too.
    """
    path = Path(path).absolute()
    name = path.name
    with _told("write", path), _folder_of(path) as folder:
        _refuse_target(path, folder, name)
        if sweep:
            _sweep(folder, re.escape(name))
        _replace(folder, name, data, sync=sync)


def read_private(path: Where, limit: int, *, secret: bool = False) -> bytes:
    """The content of a regular file of at most `limit` bytes that nobody but its owner, us or root, may write.

    A `secret` one nobody else may read either; of root's own, a group may.
    """
    # O_NONBLOCK: a FIFO would otherwise wait for a writer. Symbolic links are followed: Kubernetes mounts tokens
    # through them, and it is the file behind one that is looked at.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    with _told("read", path), _opened(path, flags) as descriptor:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused("read", path, "it is not a regular file", "name a file")
        if status.st_uid not in {0, os.geteuid()}:
            raise _refused("read", path, "it belongs to another user", "chown it to this user or root")
        if status.st_mode & _OTHERS_MAY_WRITE:
            raise _refused("read", path, "others may write to it", "chmod go-w it")
        if secret and status.st_mode & (_OTHERS_MAY_READ if status.st_uid == 0 else _ANYBODY_ELSE):
            raise _refused("read", path, "others may read it", "chmod 600 it")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    if len(data) > limit:
        raise _refused("read", path, f"it is longer than {limit} bytes", "name the right file")
    return data


def private_folder(path: Where) -> None:
    """Make the folder with mode 0700, or make sure that the one that stands there is ours, and ours alone."""
    path = Path(path).absolute()
    name = path.name
    with _told("use the folder", path), _folder_of(path) as parent:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
            os.chmod(name, 0o700, dir_fd=parent)  # an odd umask takes bits away
        with _opened(name, _FOLDER | os.O_NOFOLLOW, parent) as folder:
            status = os.fstat(folder)
        if status.st_uid != os.geteuid():
            raise _refused("use the folder", path, "it belongs to another user", "remove it, or choose another")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise _refused("use the folder", path, "others may enter it", "chmod 700 it")


def straight_folder(path: Where) -> int:
    """The folder, open: ours alone, made where it is absent, and no other user could lead the way to another one.

    No step of the way is a symbolic link, belongs to another user but root, or may be written by others. Who holds it
    holds a lock on it: another process is refused.
    """
    path = Path(path).absolute()
    folder = os.open("/", _ON_THE_WAY)
    for step in _steps(path):
        above = folder
        try:
            if step == path:
                _make(above, step)
            folder = _step(above, step, last=step == path)
        finally:
            os.close(above)
    if _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
        return folder
    os.close(folder)
    raise _refused("use the folder", path, "another process uses it", "give each daemon one of its own")


def absent_step(path: Where) -> Path | None:
    """The first step of the way that is not there, None if all are. Nothing is made and no lock is taken.

    Raises BrokerError where `straight_folder` would refuse what is there, or could not make the last step.
    """
    path = Path(path).absolute()
    folder = os.open("/", _ON_THE_WAY)
    try:
        for step in _steps(path):
            if not _is_there(folder, step):
                if step == path and not _may_write(folder):
                    raise _refused("make", step, "this user may not write above it", "make it, or choose another")
                return step
            above, folder = folder, _step(folder, step, last=step == path)
            os.close(above)
    finally:
        os.close(folder)
    return None


def _steps(path: Path) -> Iterator[Path]:
    return (Path(*path.parts[:count]) for count in range(2, len(path.parts) + 1))


def _is_there(parent: int, path: Path) -> bool:
    with _told("use the folder", path):
        try:
            os.stat(path.name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
    return True


def _may_write(folder: int) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=effective)


def _make(parent: int, path: Path) -> None:
    with _told("use the folder", path), contextlib.suppress(FileExistsError):
        os.mkdir(path.name, 0o700, dir_fd=parent)
        os.chmod(path.name, 0o700, dir_fd=parent)  # an odd umask takes bits away


def _step(parent: int, path: Path, *, last: bool) -> int:
    with _told("use the folder", path):
        if stat.S_ISLNK(os.stat(path.name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise _refused("use the folder", path, "it is a symbolic link", "name the folder that it leads to")
        folder = os.open(path.name, (_FOLDER if last else _ON_THE_WAY) | os.O_NOFOLLOW, dir_fd=parent)
        status = os.fstat(folder)
        try:
            if status.st_uid not in ({os.geteuid()} if last else {0, os.geteuid()}):
                raise _refused("use the folder", path, "it belongs to another user", "choose a folder of this user")
            if last and stat.S_IMODE(status.st_mode) & 0o077:
                raise _refused("use the folder", path, "others may enter it", f"chmod 700 {path}")
            if status.st_mode & _OTHERS_MAY_WRITE and not status.st_mode & stat.S_ISVTX:
                raise _refused("use the folder", path, "others may write to it", f"chmod go-w {path}")
        except BrokerError:
            os.close(folder)
            raise
    return folder


def sweep_folder(folder: int) -> None:
    """Remove what crashed writers of any name left in an open folder."""
    _sweep(folder, r"[^/]+")


@contextlib.contextmanager
def _folder_of(path: Path) -> Iterator[int]:
    """The folder that the path stands in, open, once it is known that no other user can meddle in it."""
    parent = path.parent
    with _opened(parent, _FOLDER) as folder:
        status = os.fstat(folder)
        if status.st_uid not in {0, os.geteuid()}:
            raise _refused("use", path, f"{parent} belongs to another user", "choose a folder of this user")
        if status.st_mode & _OTHERS_MAY_WRITE and not status.st_mode & stat.S_ISVTX:
            raise _refused("use", path, f"others may write to {parent}", f"chmod go-w {parent}")
        yield folder


@contextlib.contextmanager
def _opened(path: Where, flags: int, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, flags, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _refuse_target(path: Path, folder: int, name: str) -> None:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        raise _refused("write", path, "it is a symbolic link", "remove it, or name the file itself")
    if not stat.S_ISREG(status.st_mode):
        raise _refused("write", path, "it is not a regular file", "remove it, or name another")
    if status.st_uid != os.geteuid():
        raise _refused("write", path, "it belongs to another user", "remove it, or name another")
    if status.st_nlink > 1:
        raise _refused("write", path, "it has a second name (a hard link)", "remove it, or name another")


def _replace(folder: int, name: str, data: bytes, *, sync: bool) -> None:
    temporary, descriptor = _temporary(folder, name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)  # the lock is held until here
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    if sync:
        os.fsync(folder)


def _temporary(folder: int, name: str) -> tuple[str, int]:
    """A new empty file beside the target, 0600 whatever the umask, locked so that no sweep takes it."""
    while True:
        temporary = f".{name}.credbroker-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
        os.fchmod(descriptor, 0o600)
        _lock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # a sweep came between opening and locking


def _sweep(folder: int, names: str) -> None:
    """Remove what crashed writers of these names, a pattern, left: a living one holds a lock on its file."""
    pattern = re.compile(_LEFTOVER.format(name=names))
    for leftover in filter(pattern.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError):
            descriptor = os.open(leftover, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    os.unlink(leftover, dir_fd=folder)
            finally:
                os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except OSError:  # held by a living writer, or a file system without locks: then leftovers stay
        return False
    return True


@contextlib.contextmanager
def _told(verb: str, path: Where) -> Iterator[None]:
    """An OSError in here becomes a BrokerError that names the path."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "look at the disk and the kernel's log")
        reason = os.strerror(error.errno) if error.errno else "it failed"
        raise BrokerError(f"cannot {verb} {os.fspath(path)}: {reason}; {advice}", code="FileFailed") from None


def _refused(verb: str, path: Where, reason: str, advice: str) -> BrokerError:
    return BrokerError(f"will not {verb} {os.fspath(path)}: {reason}; {advice}", code="UnsafePath")
