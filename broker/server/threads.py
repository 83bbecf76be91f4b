"""Threads for questions that may hang, as those to a name service: neither loop nor process waits for them at its end.

The executors of the standard library are joined when the interpreter ends, so one hung look-up would hold that up.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Threads(Generic[Q, A]):
    """Puts questions to `answer` in at most `most` threads, begun as they are needed; answers come home to the loop."""

    def __init__(self, most: int, answer: Callable[[Q], A], name: str) -> None:
        self._most = most
        self._answer = answer
        self._name = name
        self._questions: queue.SimpleQueue[tuple[Q, Callable[[Q, A | Exception], None]] | None] = queue.SimpleQueue()
        self._begun = 0
        self._busy = 0
        self._closed = False

    def put(self, question: Q, answered: Callable[[Q, A | Exception], None]) -> None:
        """Ask; `answered` is called in the loop that runs now, with the answer or the error, unless we close before."""
        self._busy += 1
        self._questions.put((question, answered))
        if self._busy > self._begun < self._most:
            self._begun += 1
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._run, args=[loop], name=self._name, daemon=True).start()

    async def ask(self, question: Q) -> A:
        """The answer, for who can wait for it; raises what was raised there."""
        asked: asyncio.Future[A] = asyncio.get_running_loop().create_future()

        def answered(_: Q, answer: A | Exception) -> None:
            if asked.done():
                return  # who asked has gone
            if isinstance(answer, Exception):
                asked.set_exception(answer)
            else:
                asked.set_result(answer)

        self.put(question, answered)
        return await asked

    def close(self) -> None:
        """Wait for nobody: idle threads end now, busy ones when they come home or with the process."""
        self._closed = True
        for _ in range(self._begun):
            self._questions.put(None)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while (item := self._questions.get()) is not None and not self._closed:
            question, answered = item
            answer: A | Exception
            try:
                answer = self._answer(question)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, who asked is told, and the thread goes on
                answer = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._home, answered, question, answer)

    def _home(self, answered: Callable[[Q, A | Exception], None], question: Q, answer: A | Exception) -> None:
        self._busy -= 1
        if not self._closed:
            answered(question, answer)
