"""The key that leases are sealed with, from wherever it is: never beside them. Knows nothing of what is sealed.

A file that the configuration names decides alone. Else a systemd credential, else the kernel keeps one for this user,
made on first use; it is lost at a reboot, and with it what was sealed.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from broker.errors import BrokerError
from broker.safefile import read_private
from broker.secret import Secret
from broker.state import keyring

LENGTH = 32
LONGEST = 4096
KEYRING = "the kernel's keyring"
CREDENTIAL = "state-key"  # LoadCredentialEncrypted=state-key:...
_MAKE = f"make one by `head -c {LENGTH} /dev/urandom`, or `systemd-creds encrypt` of that"


class Found(msgspec.Struct, frozen=True):
    """A key, in hexadecimal, and where it came from, for people."""

    key: Secret
    origin: str


def find(state_dir: Path, file: str | None, environ: Mapping[str, str]) -> Found:
    """The key for this folder. Raises BrokerError, saying what to do, where there is none."""
    return _find(state_dir, file, environ, _from_keyring)


def look(state_dir: Path, file: str | None, environ: Mapping[str, str]) -> str:
    """Where `find` would have it from. Raises as it does, and makes none."""
    return _find(state_dir, file, environ, _in_keyring).origin


def _find(state_dir: Path, file: str | None, environ: Mapping[str, str], keyring_: Callable[[Path], Found]) -> Found:
    if file is not None:
        return _from_file(Path(file), state_dir, f"the key file {file}")
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if folder and Path(folder, CREDENTIAL).exists():
        return _from_file(Path(folder, CREDENTIAL), state_dir, f"the systemd credential {CREDENTIAL}")
    try:
        return keyring_(state_dir)
    except BrokerError as error:
        advice = f"{error.advice}: set state_key, or give the unit LoadCredentialEncrypted={CREDENTIAL}:..."
        raise BrokerError(advice, code="NoStateKey") from None


def _from_file(path: Path, state_dir: Path, origin: str) -> Found:
    if path.resolve().is_relative_to(state_dir.resolve()):
        raise BrokerError(f"{path} lies in state_dir: keep the key elsewhere", code="NoStateKey")
    key = read_private(path, LONGEST, secret=True)
    if len(key) != LENGTH:
        raise BrokerError(f"{path} must hold exactly {LENGTH} bytes; {_MAKE}", code="NoStateKey")
    if len(set(key)) == 1:
        raise BrokerError(f"{path} holds no random key; {_MAKE}", code="NoStateKey")
    return Found(Secret(key.hex()), origin)


def name_of(state_dir: Path) -> str:
    """What the kernel keeps a folder's key under: whoever holds the folder's lock is the only one who makes it."""
    return f"credbroker:{hashlib.sha256(os.fsencode(state_dir)).hexdigest()[:32]}"


def _in_keyring(state_dir: Path) -> Found:
    """What is there, be it nothing yet."""
    key = keyring.kept(name_of(state_dir))
    return Found(Secret((key or b"").hex()), KEYRING)


def _from_keyring(state_dir: Path) -> Found:
    name = name_of(state_dir)
    key = keyring.kept(name)
    if key is None or len(key) != LENGTH:
        key = secrets.token_bytes(LENGTH)
        keyring.keep(name, key)
        if keyring.kept(name) != key:
            raise BrokerError("the kernel's keyring does not give back what it was given", code="NoKeyring")
    return Found(Secret(key.hex()), KEYRING)
