"""The kernel's keyring is tidied up after tests: an ordinary user has room for 200 keys."""

import ctypes
from pathlib import Path

from broker.state import keyring, state_key

_UNLINK, _SEARCH, _USER_KEYRING = 9, 10, -4


def forget(state_dir: Path) -> None:
    """As after a reboot: the kernel has no key for this folder."""
    name = state_key.name_of(state_dir)
    if keyring.kept(name) is not None:
        unlink(name)


def unlink(name: str) -> None:
    """Take a key away that is there."""
    _, keyctl = keyring._numbers()
    key = keyring._call(keyctl, _SEARCH, _USER_KEYRING, b"user", name.encode(), 0)
    assert ctypes.CDLL(None).syscall(keyctl, _UNLINK, key, _USER_KEYRING) == 0
