"""The thread for what takes its time: one thing after the other, and nobody waits for one that hangs."""

import asyncio
import functools
import threading

import pytest

from broker.errors import BrokerError
from broker.hand import Hand


def raising(error: Exception) -> None:
    raise error


class TestDo:
    def test_it_gives_what_the_work_gives_in_its_order(self):
        """Never two at once."""

        async def main() -> list[object]:
            hand, done = Hand(), list[int]()

            def work(one: int) -> int:
                done.append(one)
                return one

            hand.start()
            results = await asyncio.gather(*(hand.do(functools.partial(work, one)) for one in range(5)))
            hand.stop(None)
            return [results, done]

        assert asyncio.run(main()) == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]

    @pytest.mark.parametrize(
        ("error", "advice"),
        [
            (BrokerError("make room"), "make room"),
            (
                OSError(5, "Input/output error"),
                "the disk failed: Input/output error; look at it and at the kernel's log",
            ),
            (KeyError("a secret"), "it failed inside credbroker (KeyError)"),
        ],
    )
    def test_what_goes_wrong_is_an_answer_too(self, error: Exception, advice: str):
        """And the thread goes on; the text of a bug stays where it is."""

        async def main() -> tuple[object, object]:
            hand = Hand()
            hand.start()
            failed, after = await hand.do(lambda: raising(error)), await hand.do(lambda: 1)
            hand.stop(None)
            return failed, after

        failed, after = asyncio.run(main())

        assert isinstance(failed, BrokerError)
        assert (failed.advice, after) == (advice, 1)

    def test_one_that_hangs_does_not_hold_up_the_end(self):
        """A disk that never answers: the loop ends, and what comes later is nobody's."""
        gate, ended = threading.Event(), threading.Event()

        async def main() -> None:
            hand = Hand()
            hand.start()
            landed = hand.do(lambda: gate.wait(10))
            await asyncio.wait((landed,), timeout=0.01)
            assert not landed.done()
            landed.cancel()
            hand.stop(ended.set)

        asyncio.run(main())
        gate.set()

        assert ended.wait(10)
