"""Leases kept for the next start: what the rounds hold goes to a vault, and what a vault has is held again at a start.

All that touches the disk runs in a thread of its own, one thing after the other. A disk that is slow, full or broken is
told once and tried again: no lease waits for it, and nothing here can end the daemon.
"""

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from broker.config.shape import DaemonSettings
from broker.desk import granted_again
from broker.errors import BrokerError
from broker.events import (
    Event,
    LeaseEvicted,
    LeaseMinted,
    LeasesTakenOver,
    Note,
    Reloaded,
    SealedDropped,
    StateOff,
    WriteFailed,
    WriteHealed,
)
from broker.model import Lease
from broker.plan import Book, Rendered
from broker.rounds import Clock, Rounds
from broker.state import life, state_key
from broker.state.sealed import Label
from broker.state.vault import MOST_FAILURES, Entry, Loaded, Vault, spread
from broker.threads import Threads

PATIENCE = 2.0  # for the disk, at the start and at the end
GATHER = 0.05  # leases that come together are written together
RETRY = 5.0
AGAIN = 30.0  # until a folder or key that was refused is looked at again
LONGEST = 60.0  # until what was let go without a word is noticed
NAME, SEEN = "state", "sealed"
OFF = "off: no state_dir is configured"

T = TypeVar("T")
Opening = tuple[Vault, Loaded, dict[bytes, Rendered]]


class Batch(msgspec.Struct, frozen=True):
    """What is to be written and removed, and what has been; the first trouble on the way, if any."""

    entries: tuple[Entry, ...]
    gone: tuple[tuple[bytes, Lease], ...]
    trouble: BrokerError | None = None


class KeptLeases:
    """Keeps what `rounds` holds in `settings.state_dir`; without one, it keeps nothing."""

    def __init__(  # noqa: PLR0913 - the composition root hands over the parts, each by name
        self,
        *,
        settings: DaemonSettings,
        runtime_dir: str,
        rounds: Rounds,
        book: Callable[[], Book],
        note: Note,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._seen = Path(runtime_dir) / SEEN
        self._rounds = rounds
        self._book = book
        self._note = note
        self._clock = clock
        self._vault: Vault | None = None
        self._saved: dict[bytes, Lease] = {}
        self._changed = asyncio.Event()
        self._disk = Threads(1, "disk")
        self._opening: asyncio.Future[Opening | BrokerError] | None = None
        self._why: str | None = None
        self._failures = 0

    @property
    def state(self) -> str:
        """Whether leases are kept, under which key, or why not: for people."""
        if self._settings.state_dir is None:
            return OFF
        if self._vault is None:
            return f"off: {self._why or 'the disk has not answered yet'}"
        trouble = f", but it cannot be written: {self._why}" if self._why else ""
        return f"on, {len(self._saved)} sealed in {self._vault.path} under {self._vault.origin}{trouble}"

    def listen(self, event: Event) -> None:
        """An event of the ledger: something may be there to write."""
        if isinstance(event, LeaseMinted | LeaseEvicted | Reloaded):
            self._changed.set()

    async def start(self) -> None:
        """Hold again what was kept, as far as the disk gives it soon; what comes later is held later."""
        if self._settings.state_dir is not None:
            self._opening = self._open()
            await asyncio.wait((self._opening,), timeout=PATIENCE)

    async def run(self) -> None:
        """Until cancelled, keep what is held."""
        if self._settings.state_dir is None:
            return
        while True:
            if self._vault is None and (self._opening is None or self._opening.done()):
                self._opening = self._open()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._changed.wait()
            await asyncio.sleep(RETRY if self._failures else GATHER)
            self._changed.clear()
            await self._flush()

    async def close(self) -> None:
        """The last writes, as far as the disk takes them soon."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._flush()
        if self._vault:
            _ = self._disk.do(self._vault.close)
        self._disk.close()

    def _pause(self) -> float:
        if self._failures:
            return 0.0
        return LONGEST if self._vault else AGAIN

    def _open(self) -> "asyncio.Future[Opening | BrokerError]":
        began, book = self._clock.now(), self._book()
        moment = life.here(began, self._clock.wall())
        folder = Path(self._settings.state_dir or "")

        def work() -> Opening:
            find = functools.partial(state_key.find, folder, self._settings.state_key, os.environ)
            vault, known = Vault(folder, find, self._seen, moment), dict[bytes, Rendered]()
            return vault, vault.load(functools.partial(_keys, book, known)), known

        opening = self._disk.do(functools.partial(_tried, work))
        opening.add_done_callback(lambda landed: self._opened(landed, began))
        return opening

    def _opened(self, landed: "asyncio.Future[Opening | BrokerError]", began: float) -> None:
        if landed.cancelled():
            return
        opened = landed.result()
        if isinstance(opened, BrokerError):
            if self._why != opened.advice:
                self._why = opened.advice
                self._note(StateOff(opened.advice))
            return
        self._why = None
        self._vault, loaded, known = opened
        self._take_over(loaded, known, began)

    def _take_over(self, loaded: Loaded, known: dict[bytes, Rendered], began: float) -> None:
        count = 0
        for believed in loaded.opened:
            if self._rounds.take_over(known[believed.cache_key], believed.lease):
                count += 1
                if believed.as_is:
                    self._saved[believed.cache_key] = believed.lease
        for one, number, credentials in spread(loaded.dropped):
            self._note(SealedDropped(one.code, one.why, number, credentials))
        if count:
            self._note(LeasesTakenOver(count, self._clock.now() - began))
        self._changed.set()

    async def _flush(self) -> None:
        vault, batch = self._vault, self._batch()
        if vault is None or not (batch.entries or batch.gone):
            return
        now, wall = self._clock.now(), self._clock.wall()
        done = await self._disk.do(functools.partial(_tried, lambda: _written(vault, batch, now, wall)))
        if isinstance(done, BrokerError):
            done = Batch((), (), done)
        self._saved |= {entry.cache_key: entry.lease for entry in done.entries}
        for cache_key, _ in done.gone:
            self._saved.pop(cache_key, None)
        self._tell(done.trouble)

    def _batch(self) -> Batch:
        """The difference between what is held and what is saved."""
        now, wall = self._clock.now(), self._clock.wall()
        held, entries = set(), []
        for keeper in self._rounds.keepers:
            lease, rendered = keeper.held(now), keeper.rendered
            if lease is None or not rendered.spec.short_lived:  # what somebody else keeps for good is not copied
                continue
            held.add(rendered.key)
            if not _same(self._saved.get(rendered.key), lease):
                entries.append(
                    Entry(
                        cache_key=rendered.key,
                        credential=rendered.label,
                        facts=rendered.facts,
                        audience=rendered.audience,
                        lease=lease,
                        ends_at=keeper.ends_at(now, wall),
                    )
                )
        gone = ((cache_key, lease) for cache_key, lease in self._saved.items() if cache_key not in held)
        return Batch(tuple(entries), tuple(gone))

    def _tell(self, trouble: BrokerError | None) -> None:
        if trouble is not None:
            self._failures += 1
            self._why = trouble.advice
            self._note(WriteFailed(NAME, trouble.advice, first=self._failures == 1))
        elif self._failures:
            self._note(WriteHealed(NAME, self._failures))
            self._failures, self._why = 0, None


def _tried(work: Callable[[], T]) -> T | BrokerError:
    """In the thread: what `work` gives, or why it gave nothing."""
    try:
        return work()
    except BrokerError as error:
        return error
    except OSError as error:
        return BrokerError(f"the disk failed: {error.strerror}; look at it and at the kernel's log", code="FileFailed")
    except Exception as bug:  # noqa: BLE001 - whoever waits must hear of it
        return BrokerError(f"it failed inside credbroker ({type(bug).__name__})", code="Bug")


def _written(vault: Vault, batch: Batch, now: float, wall: float) -> Batch:
    """In the thread: what of the batch is done, and the first trouble."""
    entries: list[Entry] = []
    gone: list[tuple[bytes, Lease]] = []
    troubles: list[BrokerError] = []
    for one, lease in batch.gone:
        with _noted(troubles):
            vault.remove(one, wall + max(lease.left(now), 0.0))
            gone.append((one, lease))
    for entry in batch.entries:
        if len(troubles) >= MOST_FAILURES:
            break
        with _noted(troubles):
            vault.write(entry, now, wall)
            entries.append(entry)
    with _noted(troubles):
        vault.tell(wall)
    return Batch(tuple(entries), tuple(gone), troubles[0] if troubles else None)


@contextlib.contextmanager
def _noted(troubles: list[BrokerError]) -> Iterator[None]:
    try:
        yield
    except BrokerError as error:
        troubles.append(error)


def _same(saved: Lease | None, lease: Lease) -> bool:
    """Whether a lease is on the disk; one that a reload gave other settings still is."""
    return saved is not None and (saved.serial, saved.ends) == (lease.serial, lease.ends)


def _keys(book: Book, known: dict[bytes, Rendered], label: Label) -> Iterator[bytes]:
    """The cache keys that a label may stand for now; what has them is `known` from then on."""
    for again in granted_again(book, label.credential, label.facts, label.audience):
        known[again.key] = again
        yield again.key
