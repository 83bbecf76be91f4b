"""Sealed leases for the tests of this room."""

from pathlib import Path
from typing import Any

import msgspec

from broker.model import CallerFacts, Facts, Lease
from broker.secret import Secret
from broker.state.life import Moment
from broker.state.sealed import Content, Label
from broker.state.state_key import Found
from broker.state.vault import Entry, Loaded, Vault
from tests.leaping import EPOCH, START
from tests.made import keys

KEY, OTHER = Secret(bytes(range(32)).hex()), Secret(bytes(range(1, 33)).hex())
HOUR = 3600.0
NOW = Moment(now=START, wall=EPOCH, boot="one", host="here", synchronised=True)
FACTS = CallerFacts(caller="trainer", uid="1000", user="alice")


def a_moment(later: float = 0.0, **more: Any) -> Moment:
    """Some seconds after everything was sealed."""
    return msgspec.structs.replace(NOW, **({"now": START + later, "wall": EPOCH + later} | more))


def a_lease(text: str = "1", serial: int = 1, lifetime: float = HOUR) -> Lease:
    """A lease that began when the clocks started."""
    return Lease(keys(text), serial, EPOCH, EPOCH + lifetime, START, START + lifetime, Facts(arn="arn"))


def a_content(lifetime: float = HOUR) -> Content:
    """As it is sealed at once."""
    return Content(a_lease(lifetime=lifetime), EPOCH, EPOCH + lifetime)


def a_label(**more: Any) -> Label:
    """The label of such a lease."""
    plain: dict[str, Any] = {"kind": "lease", "credential": "train", "facts": FACTS, "audience": None}
    return Label(**(plain | {"boot": "one", "booted": EPOCH - START, "host": "here", "number": 1} | more))


def an_entry(cache_key: bytes = b"spec", text: str = "1", serial: int = 1, **more: Any) -> Entry:
    """What a vault is given."""
    lease = more.pop("lease", None) or a_lease(text, serial)
    plain: dict[str, Any] = {"cache_key": cache_key, "credential": "train", "facts": FACTS, "audience": None}
    plain["ends_at"] = EPOCH + HOUR
    return Entry(**(plain | more), lease=lease)


class Place:
    """A vault's folders; each `vault` is another start of the daemon, whose predecessor must be closed."""

    def __init__(self, folder: Path) -> None:
        self.state, self.seen = folder / "state", folder / "run" / "sealed"

    def vault(self, later: float = 0.0, key: Secret = KEY, **more: Any) -> Vault:
        """One that opens the folder."""
        return Vault(self.state, lambda: Found(key, "a test"), self.seen, a_moment(later, **more))

    def put(self, *entries: Entry, later: float = 0.0) -> None:
        """Seal these, and be gone."""
        vault = self.vault(later)
        vault.load(lambda _: [entry.cache_key for entry in entries])
        for entry in entries:
            vault.write(entry, START + later, EPOCH + later)
        vault.tell(EPOCH + later)
        vault.close()

    def take(self, *cache_keys: bytes, later: float = 0.0, key: Secret = KEY, **more: Any) -> Loaded:
        """What the next start finds."""
        vault = self.vault(later, key, **more)
        try:
            return vault.load(lambda _: cache_keys or (b"spec",))
        finally:
            vault.close()

    @property
    def files(self) -> list[Path]:
        """The sealed files, or what stands there."""
        return sorted(self.state.iterdir())


def codes(loaded: Loaded) -> list[str]:
    """Why nothing was believed."""
    assert loaded.opened == ()
    return [one.code for one in loaded.dropped]
