"""The shell around all keepers: one heap, one loop, one flight per lease, bases before what chains from them.

The core's only maker of tasks. It knows when to mint and nothing of how: `mint` is given by the daemon.
"""

import asyncio
import functools
import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from broker.details import MintBegun
from broker.drift import Watch
from broker.errors import BrokerError, Unreachable, again_in, perhaps_mistyped
from broker.events import (
    ClockMoved,
    Note,
)
from broker.keeper import NEVER, Keeper
from broker.model import Given, Lease, Minted
from broker.plan import Rendered
from broker.runway import Runway
from broker.secret import Secret
from broker.waiting import Landing

LONGEST_SLEEP = 15.0  # a suspend, a pause or a step of the clock is noticed within this
SLOTS = 4  # mints at once; the pool has as many minters
RATE = 10.0  # mints a second of one family of sources

Mint = Callable[[Rendered, Given], Awaitable[Minted]]


class Clock(Protocol):
    """What `broker.clock` offers; tests bring their own."""

    def now(self) -> float:
        """Seconds since boot, suspend included."""

    def wall(self) -> float:
        """Seconds since the epoch."""


class Flight(Landing):
    """One mint on its way, shared by all who wait for it."""

    __slots__ = ("error", "keeper", "mfa_code")

    def __init__(self, keeper: Keeper, mfa_code: Secret | None = None) -> None:
        super().__init__()
        self.keeper = keeper
        self.mfa_code = mfa_code
        self.error: BrokerError | None = None

    def land(self, error: BrokerError | None) -> None:
        """The mint is over."""
        self.error = error
        self.call_back()


class Rounds:
    """Makes the rounds of all keepers: what is due is minted, SLOTS at a time and `rate` a second of each family."""

    def __init__(
        self, mint: Mint, note: Note, clock: Clock, jitter: Callable[[], float] | None = None, *, rate: float = RATE
    ) -> None:
        self._mint = mint
        self._note = note
        self._clock = clock
        self._jitter = jitter or (lambda: random.uniform(-1, 1))  # noqa: S311 - spreads load, keeps no secret
        self._keepers: dict[bytes, Keeper] = {}
        self._of_jobs = defaultdict[str, set[bytes]](set)  # which of them are one job's alone
        self._flights: dict[bytes, Flight] = {}
        self._heap: list[tuple[float, int, Keeper]] = []
        self._runway = Runway[Flight](SLOTS, rate)
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._poke = asyncio.Event()

    @property
    def keepers(self) -> tuple[Keeper, ...]:
        """All keepers, oldest first."""
        return tuple(self._keepers.values())

    def keeper(self, rendered: Rendered) -> Keeper:
        """The keeper of this rendering, made cold on first use (it mints when first asked or when `warm`ed)."""
        if (keeper := self._keepers.get(rendered.key)) is None:
            # Let go by one reload and back by the next, its mint may still be in flight: it lands where it began.
            aloft = self._flights.get(rendered.key)
            keeper = aloft.keeper if aloft else Keeper(rendered, self._clock.now(), self._jitter)
            keeper.adopt(rendered)
            keeper.gone = False
            self._keepers[rendered.key] = keeper
            if rendered.job is not None:
                self._of_jobs[rendered.job].add(rendered.key)
        return keeper

    def warm(self, rendereds: Iterable[Rendered]) -> None:
        """Keep these fresh from now on, whether or not anybody asks."""
        for rendered in rendereds:
            keeper = self.keeper(rendered)
            keeper.kept = True
            self._plan(keeper)

    def take_over(self, rendered: Rendered, lease: Lease) -> bool:
        """Serve, and keep fresh, what a process before us held; whether it is held now."""
        keeper = self.keeper(rendered)
        if taken := keeper.take_over(lease, self._clock.now(), self._clock.wall()):
            self._plan(keeper)
        return taken

    def adopt(self, still: Callable[[Keeper], Rendered | None]) -> None:
        """Take on a new plan: `still` gives a keeper's rendering in it, or None where it is gone. Warm leases stay."""
        for key, keeper in list(self._keepers.items()):
            rendered = still(keeper)
            keeper.kept = False  # until the new plan warms it
            if rendered is None or rendered.key != key:
                self._let_go(keeper)
            else:
                keeper.adopt(rendered)

    def release(self, job: str) -> None:
        """A job is over: nobody can ask any more for what was its own."""
        for key in list(self._of_jobs.get(job, ())):
            self._let_go(self._keepers[key])

    def ask(self, keeper: Keeper) -> Flight:
        """The flight that will bring this keeper's next lease.

        Raises the last mint's error, with the seconds until the next try, while that try is not due yet.
        """
        now = self._clock.now()
        if keeper.resting(now) and keeper.error is not None:
            raise again_in(keeper.due - now, keeper.error)
        return self.start(keeper)

    def start(self, keeper: Keeper, mfa_code: Secret | None = None) -> Flight:
        """The flight under way, or a new one at once, due or not."""
        key = keeper.rendered.key
        if (flight := self._flights.get(key)) is None:
            flight = self._flights[key] = Flight(keeper, mfa_code)
            keeper.begin()
            self._board(flight)
        elif mfa_code is not None:
            flight.mfa_code = mfa_code
        return flight

    def held(self, keeper: Keeper) -> Lease | None:
        """What a keeper holds that may be handed out now, by both clocks."""
        now = self._clock.now()
        keeper.cross_check(now, self._clock.wall())
        return keeper.held(now)

    async def run(self) -> None:
        """Mint what falls due until cancelled."""
        watch = Watch(*self._clocks())
        while True:
            self._look(watch)
            self._start_due()
            self._take_off()
            now = self._clock.now()
            pause = min(self._heap[0][0] if self._heap else NEVER, self._runway.opens_at(now)) - now
            try:
                async with asyncio.timeout(max(min(pause, LONGEST_SLEEP), 0)):
                    await self._poke.wait()
            except TimeoutError:
                continue
            self._poke.clear()

    async def close(self) -> None:
        """Let go of all mints, in flight or waiting for a slot."""
        self._runway.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_due(self) -> None:
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            due, _, keeper = heapq.heappop(self._heap)
            # An entry is a note, not an order: the keeper may have moved on, or gone, since it was written.
            if keeper.due != due or self._keepers.get(keeper.rendered.key) is not keeper:
                continue
            if keeper.idle(now):
                self._let_go(keeper)
            else:
                self.start(keeper)

    def _let_go(self, keeper: Keeper) -> None:
        keeper.gone = True
        rendered = keeper.rendered
        del self._keepers[rendered.key]
        if rendered.job is not None:
            self._of_jobs[rendered.job].discard(rendered.key)
            if not self._of_jobs[rendered.job]:
                del self._of_jobs[rendered.job]
        if len(self._heap) > 2 * len(self._keepers) + 64:  # many were let go long before their time
            self._heap = [one for one in self._heap if self._keepers.get(one[2].rendered.key) is one[2]]
            heapq.heapify(self._heap)

    def _look(self, watch: Watch) -> None:
        now, wall, timers = self._clocks()
        if drift := watch.look(now, wall, timers):
            self._note(ClockMoved(drift.asleep, drift.ahead))
            for keeper in self._keepers.values():
                due = keeper.due
                keeper.resumed(now, wall, max(drift.ahead, 0.0))
                if keeper.due != due:
                    self._plan(keeper)

    def _clocks(self) -> tuple[float, float, float]:
        return self._clock.now(), self._clock.wall(), asyncio.get_running_loop().time()

    def _plan(self, keeper: Keeper) -> None:
        if keeper.due < NEVER:
            heapq.heappush(self._heap, (keeper.due, next(self._numbers), keeper))
            self._poke.set()

    def _board(self, flight: Flight) -> None:
        """Queue the flight for a slot, once the lease that it chains from is held."""
        base = flight.keeper.rendered.base
        if base is None:
            return self._queue(flight)
        keeper = self.keeper(base)
        keeper.asked = self._clock.now()
        if self.held(keeper) is not None:
            return self._queue(flight)
        try:
            self.ask(keeper).add(lambda landed: self._base_landed(flight, landed.error))
        except BrokerError as error:
            self._base_landed(flight, error)
        return None

    def _base_landed(self, flight: Flight, error: BrokerError | None) -> None:
        if error is None:
            self._queue(flight)
        else:
            # Landing calls back whoever waits, who may only just be about to: so not before the loop's next turn.
            asyncio.get_running_loop().call_soon(self._land, flight, None, error, self._clock.now(), self._clock.wall())

    def _queue(self, flight: Flight) -> None:
        keeper, now = flight.keeper, self._clock.now()
        held = keeper.held(now)
        family, failing = keeper.rendered.family, keeper.failures > 0
        self._runway.queue(flight, family, now, held.ends if held else None, failing=failing)
        self._take_off()
        self._poke.set()  # it may have to wait for its turn

    def _take_off(self) -> None:
        while (flight := self._runway.next(self._clock.now())) is not None:
            task = asyncio.get_running_loop().create_task(self._fly(flight))
            self._tasks.add(task)
            task.add_done_callback(functools.partial(self._landed, flight.keeper.rendered.family))

    def _landed(self, family: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._runway.landed(family)
        self._take_off()
        self._poke.set()

    async def _fly(self, flight: Flight) -> None:
        rendered, began, wall = flight.keeper.rendered, self._clock.now(), self._clock.wall()
        base = self.held(self.keeper(rendered.base)) if rendered.base else None
        code = flight.mfa_code
        self._note(MintBegun(rendered.label, rendered.facts.caller, with_code=code is not None))
        given = Given(base=base.value if base else None, audience=rendered.audience, mfa_code=code)
        minted: Minted | None = None
        error: BrokerError | None = None
        try:
            minted = await self._mint(rendered, given)
        except BrokerError as refusal:
            error = refusal if code is None else perhaps_mistyped(refusal)
        except Exception as bug:  # noqa: BLE001 - a flight that never lands would leave its lease to die
            error = Unreachable(f"the mint failed inside credbroker ({type(bug).__name__})")
        if error is not None and flight.mfa_code is not code:  # it came while this was in the air
            await self._fly(flight)
        else:
            self._land(flight, minted, error, began, wall)

    def _land(
        self, flight: Flight, minted: Minted | None, error: BrokerError | None, began: float, wall: float
    ) -> None:
        keeper, now, wall_now = flight.keeper, self._clock.now(), self._clock.wall()
        if minted is not None:
            ahead = wall_now - wall - (now - began)
            events = keeper.minted(minted, began, now, wall_now, ahead)
        else:
            events = keeper.failed(error or Unreachable("no answer"), began, now)
        self._flights.pop(keeper.rendered.key, None)
        for event in () if keeper.gone and minted is None else events:  # that it fails is nobody's concern any more
            self._note(event)
        if self._keepers.get(keeper.rendered.key) is keeper:
            self._plan(keeper)
        flight.land(keeper.error)
