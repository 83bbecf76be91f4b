"""Digests of live worker tokens kept in a file: off the loop, at most once a second, and at stop.

A file that cannot be written, or not be believed, is told once; the tokens of this process are good all the same.
"""

import asyncio
import threading
from pathlib import Path
from typing import Self

from broker.callers.worker_token import Kept, WorkerTokens
from broker.clock import boot
from broker.errors import BrokerError
from broker.events import Note, TokensDropped, WriteFailed, WriteHealed
from broker.rounds import Clock
from broker.state.kept_file import KeptFile, Stamp

PAUSE = 1.0
NAME = "tokens"
_NOTHING = -1


class KeptTokens:
    """Keeps a table of tokens in a file; without one, it keeps nothing."""

    def __init__(self, tokens: WorkerTokens, file: KeptFile[Kept] | None, note: Note, clock: Clock) -> None:
        self._tokens = tokens
        self._file = file
        self._note = note
        self._clock = clock
        self._saved = tokens.changes
        self._last = float("-inf")
        self._failures = 0
        self._alone = asyncio.Lock()
        self._writing = threading.Lock()

    @classmethod
    def of(cls, tokens: WorkerTokens, folder: Path | None, owner: str, note: Note, clock: Clock) -> Self:
        """The tokens of the daemon whose control socket is `owner`, with what the one before it left."""
        stamp = Stamp(owner=owner, boot=boot(), booted=clock.wall() - clock.now())
        kept = cls(tokens, KeptFile(folder / NAME, Kept, stamp) if folder else None, note, clock)
        kept.load()
        return kept

    def load(self) -> None:
        """Take back what the daemon before us left."""
        if self._file is None:
            return
        try:
            self._tokens.load(self._file.load(), self._clock.now(), self._clock.wall())
            self._saved = self._tokens.changes
        except BrokerError as error:
            self._saved = _NOTHING  # what stands there is not worth another warning
            self._note(TokensDropped(error.advice))

    async def run(self) -> None:
        """Until cancelled, save what has changed."""
        while True:
            await self.flush()
            await asyncio.sleep(PAUSE)

    async def flush(self) -> None:
        """Returns once everything up to now is saved, or could not be."""
        async with self._alone:
            if self._file is None or self._saved == self._tokens.changes:
                return
            await asyncio.sleep(max(self._last + PAUSE - self._clock.now(), 0.0))
            changes, kept = self._tokens.changes, self._tokens.dump()
            self._done(await asyncio.to_thread(self._write, changes, kept))

    def close(self) -> None:
        """The last save, at once."""
        if self._file is not None and self._saved != self._tokens.changes:
            changes = self._tokens.changes
            self._done(self._write(changes, self._tokens.dump()))

    def _write(self, changes: int, kept: tuple[Kept, ...]) -> BrokerError | None:
        """In a thread; at stop one that was given up may come later than the last save, and must not undo it."""
        assert self._file is not None
        with self._writing:
            if changes < self._saved:
                return None
            try:
                self._file.save(kept)
            except BrokerError as error:
                return error
            self._saved = changes
        return None

    def _done(self, error: BrokerError | None) -> None:
        self._last = self._clock.now()
        if error is not None:
            self._failures += 1
            self._note(WriteFailed(NAME, error.advice, first=self._failures == 1))
        elif self._failures:
            self._note(WriteHealed(NAME, self._failures))
            self._failures = 0
