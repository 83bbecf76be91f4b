"""Listening sockets: TCP, Unix and those that systemd hands over; and who holds the other end or a port.

Everything here blocks for no longer than a system call; it is for the start of the daemon and for the command line.
"""

import contextlib
import errno
import fcntl
import os
import re
import socket
import stat
import struct
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from broker.callers.peer import overflow_uid
from broker.config.shape import Address
from broker.errors import BrokerError

FIRST_DESCRIPTOR = 3  # sd_listen_fds(3)
_LONGEST_PATH = 103 if sys.platform == "darwin" else 107  # sun_path less its final NUL
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_LISTEN_STATE = "0A"  # TCP_LISTEN in /proc/net/tcp
_NO_UID = 0xFFFF_FFFF


def listen_tcp(address: Address, backlog: int) -> socket.socket:
    """A non-blocking listener. Raises BrokerError, which says what to do, where it cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise _no_tcp(address, error) from None
    listener.settimeout(0)
    return listener


def _no_tcp(address: Address, error: OSError) -> BrokerError:
    match error.errno:
        case errno.EADDRINUSE:
            how = f"another credbroker or program holds it; `ss -ltnp 'sport = :{address.port}'` shows which"
            return BrokerError(f"{address} is taken: {how}", code="AddressInUse")
        case errno.EACCES:
            how = "ports under 1024 need root, CAP_NET_BIND_SERVICE or a systemd socket unit; or choose a higher port"
            return BrokerError(f"may not listen on {address}: {how}", code="AddressDenied")
        case errno.EADDRNOTAVAIL:
            how = "no interface of this machine has that address; `ip address` lists them"
            return BrokerError(f"cannot listen on {address}: {how}", code="AddressUnavailable")
    return BrokerError(f"cannot listen on {address}: {error.strerror}", code="AddressUnavailable")


def listen_unix(path: str, mode: int, backlog: int = 128) -> socket.socket:
    """A non-blocking listener at `path`; `mode` 0o666 where any user may ask and is known by his uid.

    A dead socket is replaced; a live one, and anything that is not a socket, never. Raises BrokerError.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise _no_unix(path, f"the path is longer than the system's {_LONGEST_PATH} bytes", "choose a shorter one")
    try:
        _check_folder(path)
        with _alone_at(path):
            _remove_dead(path)
            return _bound(path, mode, backlog)
    except OSError as error:
        raise _no_unix(path, error.strerror or "it cannot be bound", "check the folder and its owner") from None


def _no_unix(path: str, what: str, advice: str) -> BrokerError:
    return BrokerError(f"cannot listen on {path}: {what}; {advice}", code="SocketUnavailable")


def _check_folder(path: str) -> None:
    """Whoever may write to the folder could put his own socket in our place."""
    folder = Path(path).parent
    try:
        found = folder.stat()
    except FileNotFoundError:
        raise _no_unix(path, f"{folder} does not exist", "create it, mode 0755 or stricter") from None
    if found.st_uid not in {0, os.geteuid()}:
        advice = "it must belong to root or to the daemon's user"
        raise _no_unix(path, f"{folder} belongs to uid {found.st_uid}", advice)
    if found.st_mode & _OTHERS_WRITE:
        raise _no_unix(path, f"others may write to {folder}", f"chmod go-w {folder}")


@contextlib.contextmanager
def _alone_at(path: str) -> Iterator[None]:
    """Between looking at an old socket and binding ours no other daemon may do the same."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    lock = os.open(f"{path}.lock", flags, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _no_unix(path, "another credbroker is starting there", "see `credbroker status`") from None
        yield
    finally:
        os.close(lock)


def _remove_dead(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _no_unix(path, "a file that is not a socket stands there", "move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(0)
        outcome = caller.connect_ex(path)
    if outcome == errno.ECONNREFUSED:  # the only answer of a socket that nobody listens on
        Path(path).unlink()
    elif outcome != errno.ENOENT:
        raise _no_unix(path, "another credbroker or program listens there", "see `credbroker status`, or stop it first")


def _bound(path: str, mode: int, backlog: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        Path(path).chmod(mode)  # nobody can connect before listen()
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    listener.settimeout(0)
    return listener


def systemd_sockets(environ: MutableMapping[str, str]) -> dict[str, tuple[socket.socket, ...]]:
    """The listeners that systemd handed over, by FileDescriptorName; the variables are taken out of `environ`.

    Nothing where there are none for this very process. Raises BrokerError for what is not a listening stream socket.
    Several may share a name.
    """
    names = environ.pop("LISTEN_FDNAMES", "")
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_PIDFDID", None)
    if pid != str(os.getpid()):
        return {}
    if not re.fullmatch(r"[0-9]{1,4}", count):
        advice = "LISTEN_FDS is not a number of descriptors: start the daemon by its socket unit"
        raise BrokerError(advice, code="SocketUnavailable")
    descriptors = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    labels = names.split(":") if names else ["unknown"] * len(descriptors)
    if len(labels) != len(descriptors):
        advice = "LISTEN_FDNAMES does not name each of LISTEN_FDS: start the daemon by its socket unit"
        raise BrokerError(advice, code="SocketUnavailable")
    found: dict[str, tuple[socket.socket, ...]] = {}
    with contextlib.ExitStack() as closing:
        for label, descriptor in zip(labels, descriptors, strict=True):
            handed = closing.enter_context(_handed(descriptor, label))
            found[label] = (*found.get(label, ()), handed)
        closing.pop_all()
    return found


def _handed(descriptor: int, label: str) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 it takes no keyword
        handed = socket.socket(fileno=descriptor)
        listens = handed.type == socket.SOCK_STREAM and handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        advice = f"descriptor {descriptor} ({label}) of LISTEN_FDS is no socket: {error.strerror}"
        raise BrokerError(advice, code="SocketUnavailable") from None
    if not listens:
        handed.close()
        advice = f"descriptor {descriptor} ({label}) of LISTEN_FDS does not listen: use ListenStream= and Accept=no"
        raise BrokerError(advice, code="SocketUnavailable")
    handed.settimeout(0)
    return handed


def peer_uid(connection: socket.socket) -> int | None:
    """The effective uid that connected a Unix socket; None where the kernel cannot name it in this user namespace."""
    if sys.platform == "darwin":  # LOCAL_PEERCRED of SOL_LOCAL gives struct xucred: a version, then the uid
        uid: int = struct.unpack_from("=II", connection.getsockopt(0, 1, 76))[1]
        return uid
    _pid, uid, _gid = struct.unpack("=iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return None if uid in {overflow_uid(), _NO_UID} else uid


def peer_session(connection: socket.socket) -> int | None:
    """The session of the process that connected a Unix socket, while it lives; None where that is not to be known."""
    if sys.platform == "darwin":
        return None
    (pid,) = struct.unpack_from("=i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        return os.getsid(pid) if pid > 0 else None  # 0: of another pid namespace
    except OSError:
        return None


def tcp_listener_owner(address: Address) -> int | None:
    """The uid of the listener that a connection to a loopback address would reach; None if there is none, or in doubt.

    Also None where there is no /proc/net, as on macOS: there only the peer of the control socket can vouch for a port.
    """
    for table, host in _candidates(address.host):
        owners = _listeners(table, host, address.port)
        if owners:
            uid = owners.pop()
            return None if owners or uid == overflow_uid() else uid
    return None


def _candidates(host: str) -> tuple[tuple[str, str], ...]:
    """Where the kernel looks for a listener, nearest first: the address, then any. IPv6 listeners may take IPv4."""
    if ":" in host:
        return ("tcp6", host), ("tcp6", "::")
    return ("tcp", host), ("tcp6", f"::ffff:{host}"), ("tcp", "0.0.0.0"), ("tcp6", "::")  # noqa: S104 looked for, not bound


def _listeners(table: str, host: str, port: int) -> set[int]:
    """The owners of the listeners at exactly this address in /proc/net/`table`."""
    local = f"{_as_kernel_writes(host)}:{port:04X}"
    try:
        with Path("/proc/net", table).open(encoding="ascii") as rows:
            split = (row.split() for row in rows)
            return {int(row[7]) for row in split if row[1] == local and row[3] == _LISTEN_STATE}
    except OSError:
        return set()


def _as_kernel_writes(host: str) -> str:
    """An address as in /proc/net/tcp: 32-bit words of the machine's byte order, in hexadecimal."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    return "".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", packed))
