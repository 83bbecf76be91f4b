"""A secret that the kernel keeps for a user: in memory, gone at a reboot, never on a disk.

`keyctl(2)` and `add_key(2)` by their numbers, since libc has no names for them. The user keyring outlives the process,
and a service's session keyring (systemd makes one for each) may not be linked to it: so it is linked to this process.
"""

import ctypes
import errno
import os
import platform

from broker.errors import BrokerError

_USER_KEYRING = -4
_PROCESS_KEYRING = -2
_LINK, _SEARCH, _READ = 8, 10, 11
_TYPE = b"user"
_NUMBERS = {  # add_key, keyctl
    "x86_64": (248, 250),
    "aarch64": (217, 219),
    "riscv64": (217, 219),
    "ppc64le": (269, 271),
    "s390x": (278, 280),
}


def kept(name: str) -> bytes | None:
    """What the kernel keeps under this name for our user, or None. Raises BrokerError where it keeps nothing at all."""
    _, keyctl = _numbers()
    _call(keyctl, _LINK, _USER_KEYRING, _PROCESS_KEYRING)
    try:
        key = _call(keyctl, _SEARCH, _USER_KEYRING, _TYPE, name.encode(), 0)
    except OSError as error:
        if error.errno in {errno.ENOKEY, errno.EKEYEXPIRED, errno.EKEYREVOKED}:
            return None
        raise _useless(error) from None
    room = ctypes.create_string_buffer(256)
    length = _call(keyctl, _READ, key, room, len(room))
    return room.raw[: min(length, len(room))]


def keep(name: str, secret: bytes) -> None:
    """Have the kernel keep this, in place of what it may have under the name. Raises BrokerError."""
    add_key, _ = _numbers()
    _call(add_key, _TYPE, name.encode(), secret, len(secret), _USER_KEYRING)


def _numbers() -> tuple[int, int]:
    if platform.system() != "Linux" or platform.machine() not in _NUMBERS:
        raise BrokerError("this system has no keyring that is known here", code="NoKeyring")
    return _NUMBERS[platform.machine()]


def _call(number: int, *arguments: bytes | int | ctypes.Array[ctypes.c_char]) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    typed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    found = int(library.syscall(ctypes.c_long(number), *typed))
    if found >= 0:
        return found
    error = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if error.errno in {errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EDQUOT, errno.ENOMEM}:
        raise _useless(error)
    raise error


def _useless(error: OSError) -> BrokerError:
    return BrokerError(f"the kernel's keyring cannot be used here ({error.strerror})", code="NoKeyring")
