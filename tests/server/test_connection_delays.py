"""Answers that are held back: for who guesses, and for who asks too much. Nobody else waits for anything."""

import time

from broker.events import Limited, RequestDenied
from broker.server.limiter import DELAY, MOST_FAILURES
from tests.server.plane import ALICE, Answer, Wire, Work, at_work, turns, until

GUESS = "cbw_" + "x" * 43


async def worn(work: Work) -> None:
    """Have the uid fail as often as it may."""
    for number in range(MOST_FAILURES):
        assert (await work.ask(work.request("/aws", Authorization=f"cbw_{number:043}"))).status == 401


async def late(work: Work, head: bytes, *more: bytes) -> tuple[float, Answer, Wire]:
    """How long an answer took, and the connection that it came by."""
    wire = await work.connect()
    began = time.monotonic()
    await wire.send(head + b"".join(more))
    answer = await wire.answer()
    return time.monotonic() - began, answer, wire


class TestGuesses:
    def test_over_the_limit_they_wait_and_end_their_connection(self):
        """With the same words, but for the request's id: nothing of them is kept."""

        async def main(work: Work) -> tuple[float, int, bytes, str]:
            await worn(work)
            noted = len(work.noted(RequestDenied))
            took, answer, wire = await late(work, work.request("/aws", Authorization=GUESS))
            rest = await wire.rest()
            wire.close()
            assert len(work.noted(RequestDenied)) == noted == MOST_FAILURES
            return took, answer.status, rest, answer.json["message"]

        took, status, rest, message = at_work(main)

        assert (status, rest, "not kept" in message) == (401, b"", True)
        assert took > DELAY * 0.9

    def test_what_is_sent_behind_one_is_not_read(self):
        """A thousand guesses on a connection are one guess."""

        async def main(work: Work) -> tuple[int, int]:
            await worn(work)
            guess = work.request("/aws", Authorization=GUESS)
            before = work.metrics.requests["aws", 401]
            _, answer, wire = await late(work, guess, *[guess] * 20)
            await wire.rest()
            wire.close()
            return answer.status, work.metrics.requests["aws", 401] - before

        assert at_work(main) == (401, 1)

    def test_a_good_caller_of_the_same_uid_waits_for_nothing(self):
        """By its token, or by that very uid."""

        async def main(work: Work) -> list[tuple[int, bool]]:
            await work.warm()
            await worn(work)
            guessing = [await work.connect() for _ in range(20)]
            for wire in guessing:
                await wire.send(work.request("/aws", Authorization=GUESS))
            await turns()
            found = []
            for head in (
                work.attested("/aws/train"),
                work.request("/aws/train", Authorization=work.token(uid=ALICE)),
                work.request("/"),
            ):
                took, answer, wire = await late(work, head)
                wire.close()
                found.append((answer.status, took < DELAY / 2))
            for wire in guessing:
                wire.close()
            return found

        assert at_work(main) == [(200, True)] * 3

    def test_who_hangs_up_waits_no_more(self):
        """And is counted no more."""

        async def main(work: Work) -> None:
            await worn(work)
            wire = await work.connect()
            await wire.send(work.request("/aws", Authorization=GUESS))
            await until(lambda: bool(work.plane.delays._waiting))
            wire.close()
            await until(lambda: not work.plane.delays._waiting)

        at_work(main)

    def test_once_a_window_they_are_told(self):
        """With their number."""

        async def main(work: Work) -> list[Limited]:
            await worn(work)
            for _ in range(3):
                _, _, wire = await late(work, work.request("/aws", Authorization=GUESS))
                wire.close()
            work.clock.pass_time(10.0)
            work.plane.sweep()
            return work.noted(Limited)

        assert at_work(main) == [Limited("failures", 3, ALICE)]


class TestFloods:
    def test_over_its_bucket_a_caller_waits_for_a_503(self):
        """With Retry-After; its connection stays, and its next request is answered when the bucket has filled."""

        async def main(work: Work) -> tuple[list[int], float, str, int]:
            await work.warm()
            work.reception._limiter._burst = 3
            work.reception._limiter._spent.clear()
            wire = await work.connect()
            statuses = []
            for _ in range(3):
                await wire.send(work.attested("/aws/train"))
                statuses.append((await wire.answer()).status)
            began = time.monotonic()
            await wire.send(work.attested("/aws/train"))
            answer = await wire.answer()
            took = time.monotonic() - began
            work.clock.pass_time(1.0)
            work.plane.sweep()
            await wire.send(work.attested("/aws/train"))
            again = (await wire.answer()).status
            wire.close()
            return [*statuses, answer.status], took, answer.fields["retry-after"], again

        statuses, took, patience, again = at_work(main)

        assert (statuses, patience, again) == ([200, 200, 200, 503], "1", 200)
        assert took > DELAY * 0.9

    def test_a_cold_lease_takes_one_request_out_of_the_bucket(self):
        """However often it is looked at until it has come."""

        async def main(work: Work) -> tuple[int, dict[object, int]]:
            work.upstream.gate.clear()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train"))
            await until(lambda: bool(work.upstream.asked))
            work.upstream.gate.set()
            status = (await wire.answer()).status
            wire.close()
            return status, dict(work.reception._limiter._spent)

        assert at_work(main) == (200, {ALICE: 1})

    def test_probes_are_held_back_likewise(self):
        """By the uid of their connection."""

        async def main(work: Work) -> list[int]:
            work.reception._limiter._burst = 1
            return [(await work.ask(work.request("/"))).status for _ in range(2)]

        assert at_work(main) == [200, 503]
