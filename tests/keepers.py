"""A keeper alone, and what may become of its mints; for tests of the keeper and of its clocks."""

from broker.errors import BrokerError
from broker.events import Event
from broker.keeper import Keeper
from tests.leaping import EPOCH, START
from tests.made import a_minted, a_rendered, a_role, keys

HOUR = 3600.0


def a_keeper(jitter: float = 0.0, **more: str) -> Keeper:
    """A cold one, with this luck."""
    return Keeper(a_rendered(a_role(**more)), START, lambda: jitter)


def minted(
    keeper: Keeper, at: float = START, took: float = 0.0, text: str = "1", lifetime: float = HOUR
) -> tuple[Event, ...]:
    """A mint that begins `at`; what came of it."""
    keeper.begin()
    return keeper.minted(a_minted(keys(text), lifetime), at, at + took, EPOCH + at + took - START)


def failed(keeper: Keeper, error: BrokerError, at: float = START) -> tuple[Event, ...]:
    """A mint that fails at once."""
    keeper.begin()
    return keeper.failed(error, at, at)
