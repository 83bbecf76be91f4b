"""How connections of the worker plane end when the daemon does."""

import asyncio
import contextlib

from broker.events import LeaseHanded
from tests.server.plane import Answer, Wire, Work, at_work, turns, until


async def served(work: Work) -> Wire:
    """A connection that has had its answer."""
    wire = await work.connect()
    await turns()
    work.clock.pass_time(0.001)
    await wire.send(work.request("/"))
    await wire.answer()
    return wire


class TestDrained:
    def test_what_is_owed_is_answered_and_everything_else_closed(self):
        """A stop in the middle of a mint costs no client its answer."""

        async def main(work: Work) -> tuple[Answer, bytes, bytes]:
            work.upstream.gate.clear()
            idle, waiting = await served(work), await work.connect()
            await waiting.send(work.attested("/aws/train") * 2)
            await until(lambda: bool(work.upstream.asked))
            async with asyncio.TaskGroup() as group:
                group.create_task(work.plane.drained())
                rest = await idle.rest()
                newcomer = await work.connect()
                assert await newcomer.rest() == b""
                work.upstream.gate.set()
                answer = await waiting.answer()
            behind = await waiting.rest()
            for wire in (idle, waiting, newcomer):
                wire.close()
            return answer, rest, behind

        answer, rest, behind = at_work(main)

        assert (answer.status, answer.fields["connection"]) == (200, "close")
        assert (rest, behind) == (b"", b"")

    def test_who_came_too_late_to_be_refused_is_answered(self):
        """He was accepted as the end began: nobody else will hear his request."""

        async def main(work: Work) -> tuple[Answer, Answer]:
            half, new = await work.connect(), await work.connect()
            head = work.attested("/aws/train")
            await half.send(head[:20])
            async with asyncio.TaskGroup() as group:
                group.create_task(work.plane.drained())
                await turns()
                await half.send(head[20:])
                await new.send(head)
                answers = await half.answer(), await new.answer()
            for wire in (half, new):
                wire.close()
            return answers

        answers = at_work(main)

        assert [(answer.status, answer.fields["connection"]) for answer in answers] == [(200, "close")] * 2

    def test_with_nobody_connected_it_is_over_at_once(self):
        """There is nothing to wait for."""

        async def main(work: Work) -> bool:
            await work.plane.drained()
            return work.plane.draining

        assert at_work(main)

    def test_what_is_cut_is_gone_whatever_it_was_owed(self):
        """The daemon's patience has an end, and a client that never reads would outlast it."""

        async def main(work: Work) -> tuple[bytes, list[LeaseHanded]]:
            work.upstream.gate.clear()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train"))
            await until(lambda: bool(work.upstream.asked))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await work.plane.drained()
            work.plane.cut()
            rest = await wire.rest()
            wire.close()
            work.upstream.gate.set()
            await turns()
            return rest, work.noted(LeaseHanded)

        assert at_work(main) == (b"", [])
