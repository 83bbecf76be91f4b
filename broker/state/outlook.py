"""Whether a daemon could keep its leases, by a look at folder and key that changes neither. For `check`.

It sees what the user sees who looks: what a daemon of another account may do, that account has to ask.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.errors import BrokerError
from broker.safefile import absent_step
from broker.state import state_key

STATE_HOME = Path("/var/lib")  # where a unit's StateDirectory= makes folders


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """The folder, where the key is from, and what is wrong; without `wrong`, leases are kept.

    No daemon ends for any of it: it would serve, and keep nothing. `key` is None where none was found here.
    """

    folder: str
    key: str | None
    wrong: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def look(folder: Path, key_file: str | None, environ: Mapping[str, str]) -> Outlook:
    """What a daemon that starts now would meet. Raises nothing."""
    wrong: list[str] = []
    notes: list[str] = []
    key = None
    try:
        absent = absent_step(folder)
        if absent == folder:
            notes.append(f"state_dir: {folder} is not there yet: the daemon makes it")
        elif absent is not None and absent.parent == STATE_HOME:
            notes.append(f"state_dir: {absent} is not there yet: a unit with StateDirectory={absent.name} makes it")
        elif absent is not None:
            wrong.append(f"state_dir: {absent} does not exist, and only the last folder is made; create it")
    except BrokerError as error:
        wrong.append(f"state_dir: {error.advice}")
    try:
        key = state_key.look(folder, key_file, environ)
    except BrokerError as error:
        # What is configured is wrong; what a unit is given, or its account's keyring, does not show here.
        (wrong if key_file else notes).append(f"state_key: {error.advice}")
    return Outlook(folder=str(folder), key=key, wrong=tuple(wrong), notes=tuple(notes))
