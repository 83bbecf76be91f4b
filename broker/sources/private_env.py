"""`private-env`: secrets of any kind, dispensed under the names that programs read them by. Mints nothing."""

from typing import Annotated, ClassVar

from msgspec import Meta

from broker import variables
from broker.model import Facts, Given, Kind, Minted, Reference, Spec, Value, Variables
from broker.sources import references
from broker.sources.handing import REREAD, Reread, handed
from broker.sources.source import Source


class PrivateEnv(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`private-env`: secrets of any kind under names of your own, given at `/env/NAME` and by `exec` and `env`."""

    kind: ClassVar[Kind] = Kind.ENV
    short_lived: ClassVar[bool] = False

    secrets: Annotated[
        dict[str, Reference],
        Meta(min_length=1, max_length=64, description="names of variables and where each secret is read"),
    ]
    reread: Reread = REREAD

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """Names that are none, or not for a credential to set."""
        faults = ((name, variables.fault(name)) for name in self.secrets)
        return tuple(("secrets", f"one of its names {fault}") for _, fault in faults if fault)


def mint(spec: PrivateEnv, _: Given) -> Minted:
    """The secrets as they stand now, all of them, of one moment."""
    found = references.read_together(spec.secrets, lines=True)
    return handed(Variables(tuple(found.items())), Facts(), spec.reread)


def who(_: PrivateEnv, __: Value) -> Facts:
    """Nobody can be asked whose they are."""
    return Facts()


SOURCES = (Source(name="private-env", spec=PrivateEnv, mint=mint, who=who),)
