"""Keys that are made for one job each: known from their mint on, and ended upstream when the job is over.

It stands between the rounds and the minters, so that a key is known whatever becomes of its keeper. What cannot be
ended now is tried again for an hour, and then told; the source finds by its age what nobody knows of any more.
"""

import asyncio
import contextlib
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from broker import schedule
from broker.desk import granted_again
from broker.errors import BrokerError, NotReady, Unreachable
from broker.events import Event, KeysLeft, KeysRetired, LeasesTakenOver, Note, TokenRevoked
from broker.model import POD, Given, Minted, Value
from broker.plan import Book, Rendered
from broker.rounds import Clock, Rounds
from broker.waiting import Landing

PATIENCE = 3600.0  # for an upstream that cannot end a key now
LAST = 10.0  # and at the end of the daemon
FIRST_SWEEP = 60.0  # from the start to the first look for what others have left; a mint looks too
SWEEP = 3600.0
STOPPED = "the broker has ended before they could be, and their age will end them"
GONE = "the configuration grants nothing any more that could end them: delete them by hand"


class Mints(Protocol):
    """What `minter.asking` offers."""

    async def mint(self, rendered: Rendered, given: Given) -> Minted:
        """A new lease's value."""

    async def retire(self, rendered: Rendered, given: Given) -> None:
        """End the keys that are spent."""


class Errand(msgspec.Struct, eq=False):
    """Keys of one job that are to be ended. On the boot clock."""

    rendered: Rendered
    keys: tuple[str, ...]
    due: float
    until: float
    failures: int = 0
    trouble: str = ""


class Retiring:
    """Ends what was made for jobs. `lives` says of a worker token's id whether the token still lives."""

    def __init__(  # noqa: PLR0913 - the composition root hands over the parts, each by name
        self,
        *,
        mints: Mints,
        rounds: Callable[[], Rounds],
        book: Callable[[], Book],
        lives: Callable[[str], bool],
        note: Note,
        clock: Clock,
    ) -> None:
        self._mints = mints
        self._rounds = rounds
        self._book = book
        self._lives = lives
        self._note = note
        self._clock = clock
        self._made: dict[str, list[tuple[Rendered, str]]] = {}  # by job
        self._errands: list[Errand] = []
        self._aloft: set[Landing] = set()  # mints for jobs
        self._sweep = clock.now() + FIRST_SWEEP
        self._poke = asyncio.Event()

    async def mint(self, rendered: Rendered, given: Given) -> Minted:
        """A new lease's value, as the minters bring it. Raises MintError, and NotReady for a job that is over."""
        if (job := _told(rendered)) is None:
            return await self._mints.mint(rendered, given)
        if not self._lives(job):
            raise NotReady("the job that it is for is over: start it anew", code="JobOver")
        self._aloft.add(aloft := Landing())
        try:
            minted = await self._mints.mint(rendered, given)
            self._know(rendered, minted.facts.principal)
        finally:
            self._aloft.discard(aloft)
            aloft.call_back()
        return minted

    def listen(self, event: Event) -> None:
        """An event of the ledger: a token's end is its job's; leases of the process before us are jobs' too."""
        if isinstance(event, TokenRevoked):
            self._end(event.token_id)
        elif isinstance(event, LeasesTakenOver):
            for keeper in self._rounds().keepers:
                self._know(keeper.rendered, keeper.lease.facts.principal if keeper.lease else None)

    async def run(self) -> None:
        """Until cancelled, end what is to be ended: of each credential one job after the other."""
        while True:
            now = self._clock.now()
            left = self._book().per_job() if now >= self._sweep else ()
            self._sweep = now + SWEEP if now >= self._sweep else self._sweep
            due = _by_label(one for one in self._errands if one.due <= now)
            await asyncio.gather(*map(self._look, left), *map(self._do_all, due))
            until = min((one.due for one in self._errands), default=self._sweep)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(min(until, self._sweep) - self._clock.now(), 0.0)):
                    await self._poke.wait()
            self._poke.clear()

    async def close(self, *, all_over: bool) -> None:
        """The last tries, as far as upstream answers soon; `all_over` where every job ends with this daemon."""
        until, tried = self._clock.now() + LAST, list[Errand]()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                if all_over:
                    self._end_all()
                await asyncio.gather(self._insist(tried, until), *(one.over() for one in self._aloft))
                if all_over:
                    self._end_all()  # what was only being made when this began
                await self._insist(tried, until)
        for errand in self._errands:
            self._leave(errand, BrokerError(STOPPED + errand.trouble, code="Stopped"))

    def _end_all(self) -> None:
        for job in list(self._made):
            self._end(job)

    def _know(self, rendered: Rendered, key: str | None) -> None:
        """A key is there. The job may be over already."""
        job = _told(rendered)
        if job is None or key is None:
            return
        made = self._made.setdefault(job, [])
        if key not in {known for _, known in made}:
            made.append((rendered, key))
        if not self._lives(job):
            self._end(job)

    def _end(self, job: str) -> None:
        self._rounds().release(job)
        made, now = self._made.pop(job, []), self._clock.now()
        for rendered in {one.key: one for one, _ in made}.values():
            keys = tuple(key for one, key in made if one.key == rendered.key)
            self._errands.append(Errand(rendered, keys, now, now + PATIENCE))
        self._poke.set()

    async def _look(self, rendered: Rendered) -> None:
        """For what is left over by others; that it cannot be is counted where upstream is asked, and no news."""
        with contextlib.suppress(Exception):
            await self._mints.retire(rendered, Given(base=await self._base(rendered)))

    async def _do_all(self, errands: list[Errand]) -> None:
        """One after the other, up to the first that fails: an upstream that hangs holds up others for one call only."""
        for errand in errands:
            if not await self._do(errand):
                break

    async def _do(self, errand: Errand) -> bool:
        """One call upstream; whether it is done. Else it stays an errand, unless it is not worth another try."""
        try:
            again = _still(self._book(), errand.rendered)
            await self._mints.retire(again, Given(base=await self._base(again), spent=errand.keys))
        except BrokerError as error:
            self._failed(errand, error)
            return False
        except Exception as bug:  # noqa: BLE001 - it must end neither the daemon nor its orderly end
            self._failed(errand, Unreachable(f"ending them failed inside credbroker ({type(bug).__name__})"))
            return False
        self._errands.remove(errand)
        facts = errand.rendered.facts
        self._note(KeysRetired(errand.rendered.label, facts.caller, facts.job, errand.keys))
        return True

    def _failed(self, errand: Errand, error: BrokerError) -> None:
        now = self._clock.now()
        if again_in := _again_in(errand, error, now):
            errand.failures += 1
            errand.trouble = f"; the last try: {error.advice}"
            errand.due = now + again_in
        else:
            self._errands.remove(errand)
        self._leave(errand, error, again_in)

    def _leave(self, errand: Errand, error: BrokerError, again_in: float | None = None) -> None:
        facts, label = errand.rendered.facts, errand.rendered.label
        self._note(KeysLeft(label, facts.caller, facts.job, errand.keys, error.code, error.advice, again_in))

    async def _insist(self, tried: list[Errand], until: float) -> None:
        """Those that were not yet `tried` so."""
        errands = [one for one in self._errands if one not in tried]
        tried += errands
        await asyncio.gather(*(self._insist_on(one, until) for one in errands))

    async def _insist_on(self, errand: Errand, until: float) -> None:
        """Try at once, and again as long as another try is due in time."""
        errand.due = self._clock.now()
        while errand in self._errands and errand.due < until:
            await asyncio.sleep(max(errand.due - self._clock.now(), 0.0))
            await self._do(errand)

    async def _base(self, rendered: Rendered) -> Value | None:
        """What is held of the credential that it chains from, minted where nothing is. Raises BrokerError."""
        if rendered.base is None:
            return None
        keeper = self._rounds().keeper(rendered.base)
        keeper.asked = self._clock.now()
        if (lease := self._rounds().held(keeper)) is None:
            flight = self._rounds().ask(keeper)
            await flight.over()
            lease = self._rounds().held(keeper)
            if lease is None:
                raise flight.error or BrokerError("what it chains from was gone at once", code="NotReady")
        return lease.value


def _told(rendered: Rendered) -> str | None:
    """The job that it is for, where somebody will say when that is over: of a pod's nobody does."""
    return None if rendered.job is None or rendered.job.startswith(POD) else rendered.job


def _by_label(errands: Iterable[Errand]) -> list[list[Errand]]:
    found = defaultdict[str, list[Errand]](list)
    for errand in errands:
        found[errand.rendered.label].append(errand)
    return list(found.values())


def _still(book: Book, rendered: Rendered) -> Rendered:
    """What ends its keys by the configuration of now, whatever it is called. Raises BrokerError where nothing does."""
    names = (rendered.label, *book.credentials)
    for again in itertools.chain(*(granted_again(book, one, rendered.facts, rendered.audience) for one in names)):
        if again.spec.per_job and _whose(again) == _whose(rendered):
            return again
    raise BrokerError(GONE, code="NotConfigured")


def _whose(rendered: Rendered) -> tuple[str, ...]:
    return rendered.credential.source, *(getattr(rendered.spec, field) for field in rendered.spec.keys_of)


def _again_in(errand: Errand, error: BrokerError, now: float) -> float | None:
    """Seconds until the next try, if there is to be one: what is over by itself is not asked for ever."""
    if error.code == "NotConfigured" or now >= errand.until:
        return None
    if not error.transient:
        return schedule.LONGEST_PATIENCE
    jitter = random.uniform(-1, 1)  # noqa: S311 - spreads load, keeps no secret
    return schedule.retry_in(errand.failures + 1, jitter, error.retry_after)
