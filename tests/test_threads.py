"""Threads whose work may hang: what it gives comes home to the loop, and nobody waits for what does not."""

import asyncio
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.threads import Threads

TREE = Path(__file__).resolve().parents[1]
# One piece of work that never ends; then the program's end.
HANGING = """
import asyncio, threading
from broker.threads import Threads
async def main():
    begun = threading.Event()
    def work():
        begun.set()
        threading.Event().wait()
    threads = Threads(1, "hangs")
    hanging = threads.do(work)
    await asyncio.to_thread(begun.wait)
    threads.close()
asyncio.run(main())
"""


def done(work: Callable[[int], int], pieces: list[int], most: int = 2) -> dict[int, int | BaseException]:
    """What comes home of so many pieces of work, in the order in which it does."""

    async def main() -> dict[int, int | BaseException]:
        home: dict[int, int | BaseException] = {}
        threads = Threads(most, "test")

        async def one(piece: int) -> None:
            try:
                home[piece] = await threads.do(functools.partial(work, piece))
            except ArithmeticError as error:
                home[piece] = error

        async with asyncio.timeout(10):
            await asyncio.gather(*map(one, pieces))
        threads.close()
        return home

    return asyncio.run(main())


class TestDo:
    def test_each_gives_its_own(self):
        """More of them than threads."""
        assert done(lambda number: number * 2, list(range(20))) == {number: number * 2 for number in range(20)}

    def test_one_thread_does_one_thing_after_the_other(self):
        """Never two at once: a disk is written in order."""
        begun: list[int] = []

        def work(number: int) -> int:
            begun.append(number)
            time.sleep(0.001)
            return len(begun)

        assert done(work, list(range(5)), most=1) == {number: number + 1 for number in range(5)}
        assert begun == list(range(5))

    def test_what_is_raised_comes_home_and_the_thread_goes_on(self):
        """Else the next one would wait for ever."""
        home = done(lambda number: 10 // number, [0, 1, 2], most=1)

        assert isinstance(home.pop(0), ZeroDivisionError)
        assert home == {1: 10, 2: 5}

    def test_no_more_threads_are_begun_than_there_may_be(self):
        """Nor more than are needed."""
        seen: set[int] = set()

        def work(number: int) -> int:
            seen.add(threading.get_ident())
            time.sleep(0.001)
            return number

        done(work, list(range(30)), most=3)
        assert len(seen) == 3
        seen.clear()
        done(work, [1], most=3)
        assert len(seen) == 1

    def test_one_that_hangs_holds_up_no_other(self):
        """As long as there is a thread left."""
        gate = threading.Event()

        def work(number: int) -> int:
            if number == 0:
                gate.wait(10)
            else:
                gate.set()
            return number

        assert list(done(work, [0, 1])) == [1, 0]

    def test_who_has_gone_is_not_told(self):
        """He cancelled; the thread is there for the next one."""
        gate, wrong = threading.Event(), list[object]()

        async def main() -> bool:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
            threads = Threads(1, "test")
            threads.do(lambda: gate.wait(10)).cancel()
            gate.set()
            try:
                return await threads.do(lambda: True)
            finally:
                threads.close()

        assert asyncio.run(main())
        assert wrong == []


class TestClose:
    @pytest.mark.parametrize("lasting", [True, False], ids=["the loop runs on", "the loop is closed"])
    def test_what_comes_home_after_the_end_is_nobodys(self, lasting: bool):
        """And breaks nothing, whether the loop still runs or not."""
        gate, ended = threading.Event(), threading.Event()

        async def main() -> list[bool]:
            threads = Threads(1, "test")
            asked = [threads.do(lambda: gate.wait(10)), threads.do(lambda: gate.wait(10))]
            _ = threads.do(ended.set)
            threads.close()
            if lasting:
                gate.set()
                await asyncio.to_thread(ended.wait, 10)
                await asyncio.sleep(0)
            return [one.done() for one in asked]

        assert asyncio.run(main()) == [False, False]
        gate.set()
        assert ended.wait(10)

    def test_what_was_asked_for_before_is_still_done(self):
        """A last write behind one that hangs for a while; then the thread ends."""
        gate, written = threading.Event(), threading.Event()

        async def main() -> None:
            threads = Threads(1, "writes the last")
            _ = threads.do(lambda: gate.wait(10)), threads.do(written.set)
            threads.close()

        asyncio.run(main())
        (thread,) = (one for one in threading.enumerate() if one.name == "writes the last")
        assert not written.is_set()
        gate.set()
        thread.join(10)

        assert (written.is_set(), thread.is_alive()) == (True, False)

    def test_the_end_of_the_process_waits_for_none(self):
        """A directory server that hangs must not keep a daemon from ending."""
        ended = subprocess.run([sys.executable, "-c", HANGING], cwd=TREE, timeout=20, check=False)

        assert ended.returncode == 0
