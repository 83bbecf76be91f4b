"""Threads whose questions may hang: answers come home to the loop, and nobody waits for one that does not."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from broker.server.threads import Threads

TREE = Path(__file__).resolve().parents[2]
# One question that never comes home; then the program's end.
HANGING = """
import asyncio, threading
from broker.server.threads import Threads
async def main():
    asked = threading.Event()
    def ask(_):
        asked.set()
        threading.Event().wait()
    threads = Threads(1, ask, "hangs")
    threads.put(0, print)
    await asyncio.to_thread(asked.wait)
    threads.close()
asyncio.run(main())
"""


def answers(ask: Callable[[int], int], questions: list[int], most: int = 2) -> dict[int, int | Exception]:
    """What comes home of so many questions."""

    async def main() -> dict[int, int | Exception]:
        home: dict[int, int | Exception] = {}
        threads: Threads[int, int] = Threads(most, ask, "test")
        for question in questions:
            threads.put(question, home.__setitem__)
        async with asyncio.timeout(10):
            while len(home) < len(questions):  # noqa: ASYNC110 - threads bring it about
                await asyncio.sleep(0)
        threads.close()
        return home

    return asyncio.run(main())


class TestThreads:
    def test_each_question_has_its_answer(self):
        """More of them than threads."""
        assert answers(lambda number: number * 2, list(range(20))) == {number: number * 2 for number in range(20)}

    def test_an_error_is_an_answer_and_the_thread_goes_on(self):
        """Else the next one would wait for ever."""

        def ask(number: int) -> int:
            return 10 // number

        home = answers(ask, [0, 1, 2], most=1)

        assert isinstance(home.pop(0), ZeroDivisionError)
        assert home == {1: 10, 2: 5}

    def test_no_more_threads_are_begun_than_there_may_be(self):
        """Nor more than are needed."""
        seen: set[int] = set()

        def ask(number: int) -> int:
            seen.add(threading.get_ident())
            time.sleep(0.001)
            return number

        answers(ask, list(range(30)), most=3)
        assert len(seen) == 3
        seen.clear()
        answers(ask, [1], most=3)
        assert len(seen) == 1

    def test_one_that_hangs_holds_up_no_other(self):
        """As long as there is a thread left."""
        gate = threading.Event()

        def ask(number: int) -> int:
            if number == 0:
                gate.wait(10)
            else:
                gate.set()
            return number

        assert list(answers(ask, [0, 1])) == [1, 0]

    def test_what_comes_home_after_the_end_is_nobodys(self):
        """And breaks nothing, whether the loop still runs or not."""
        home: list[object] = []
        gate = threading.Event()

        async def main() -> None:
            threads: Threads[int, bool] = Threads(1, lambda _: gate.wait(10), "test")
            threads.put(0, lambda *answer: home.append(answer))
            threads.put(1, lambda *answer: home.append(answer))
            threads.close()
            gate.set()
            await asyncio.sleep(0.01)

        asyncio.run(main())
        assert home == []

    def test_the_end_of_the_process_waits_for_none(self):
        """A directory server that hangs must not keep a daemon from ending."""
        ended = subprocess.run([sys.executable, "-c", HANGING], cwd=TREE, timeout=20, check=False)

        assert ended.returncode == 0
