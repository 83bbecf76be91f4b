"""A made-up upstream for the rounds, and the rounds running against it on a leaping loop."""

import asyncio
import itertools
from collections.abc import Callable
from types import TracebackType
from typing import Self

import msgspec

from broker.errors import BrokerError
from broker.events import Event
from broker.keeper import Keeper
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Value
from broker.plan import Rendered
from broker.rounds import RATE, Flight, Rounds
from tests.leaping import FakeClock
from tests.made import a_minted, a_token, an_id_token, keys


class Asked(msgspec.Struct, frozen=True):
    """One mint that was asked for, and when."""

    label: str
    key: bytes
    at: float
    base: str | None
    given: Given


class Upstream:
    """Mints whatever is asked in `took` seconds, for `lifetime`; or raises what `trouble` gives for a label."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.took = 0.2
        self.lifetime = 3600.0
        self.facts = Facts()
        self.trouble: Callable[[Rendered], Exception | None] = lambda _: None
        self.asked: list[Asked] = []
        self.aloft: set[bytes] = set()
        self.most = 0
        self._numbers = itertools.count(1)

    @property
    def labels(self) -> list[str]:
        """What was asked for, in order."""
        return [one.label for one in self.asked]

    async def mint(self, rendered: Rendered, given: Given) -> Minted:
        """As the daemon gives it to the rounds."""
        assert rendered.key not in self.aloft, "two mints of one rendering at once"
        base = given.base.access_key_id if isinstance(given.base, AwsKeys) else None
        self.asked.append(Asked(rendered.label, rendered.key, self.clock.now(), base, given))
        self.aloft.add(rendered.key)
        self.most = max(self.most, len(self.aloft))
        try:
            await asyncio.sleep(self.took)
        finally:
            self.aloft.discard(rendered.key)
        if (trouble := self.trouble(rendered)) is not None:
            raise trouble
        return a_minted(self._value(rendered), self.lifetime, self.clock.wall(), facts=self.facts)

    def _value(self, rendered: Rendered) -> Value:
        text = f"{rendered.label}-{next(self._numbers)}"
        if rendered.audience is not None:
            return an_id_token(text, rendered.audience)
        return keys(text) if rendered.spec.kind is Kind.AWS else a_token(text)


class Running:
    """`async with Running(clock) as play`: the rounds make their rounds until the block ends."""

    def __init__(self, clock: FakeClock, jitter: Callable[[], float] | None = lambda: 0.0, rate: float = RATE) -> None:
        self.clock = clock
        self.upstream = Upstream(clock)
        self.events: list[Event] = []
        self.rounds = Rounds(self.upstream.mint, self.events.append, clock, jitter, rate=rate)

    async def __aenter__(self) -> Self:
        self._running = asyncio.get_running_loop().create_task(self.rounds.run())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        self._running.cancel()
        (outcome,) = await asyncio.gather(self._running, return_exceptions=True)
        await self.rounds.close()
        assert isinstance(outcome, asyncio.CancelledError), outcome

    def keep(self, *rendereds: Rendered) -> list[Keeper]:
        """Keep these fresh from now on."""
        self.rounds.warm(rendereds)
        return [self.rounds.keeper(rendered) for rendered in rendereds]

    def noted(self, kind: type[Event]) -> list[Event]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


async def landed(flight: Flight) -> BrokerError | None:
    """Wait for a flight as a caller does: by a callback."""
    event = asyncio.Event()
    flight.add(lambda _: event.set())
    await event.wait()
    return flight.error


async def until(true: Callable[[], bool]) -> None:
    """Let time pass, a second at a time, until something is so."""
    while not true():  # noqa: ASYNC110 - it is time that is waited for
        await asyncio.sleep(1)


def gaps(moments: list[float]) -> list[float]:
    """The pauses between moments."""
    return [after - before for before, after in itertools.pairwise(moments)]
