"""The worker plane and the manners of its clients: half-closed, gone, reading nothing, sending without end."""

import asyncio
import socket
import struct
from collections.abc import Callable

import pytest

from tests.server.plane import Wire, Work, at_work, turns, until

MANY = 40_000


class TestClients:
    @pytest.mark.parametrize("cold", [True, False])
    def test_one_that_sends_no_more_gets_what_it_is_owed(self, cold: bool):
        """`nc` and simple clients close their half at once."""

        async def main(work: Work) -> list[int]:
            if cold:
                work.upstream.gate.clear()
            else:
                await work.warm()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train") * 3)
            wire.finish()
            await until(lambda: bool(work.upstream.asked))
            await turns()
            work.upstream.gate.set()
            statuses = [(await wire.answer()).status for _ in range(3)]
            assert await wire.rest() == b""
            wire.close()
            return statuses

        assert at_work(main) == [200, 200, 200]

    @pytest.mark.parametrize("hang_up", [Wire.close, Wire.reset])
    def test_one_that_hangs_up_cancels_nothing(self, hang_up: Callable[[Wire], None]):
        """The next one finds the lease that the first had asked for."""

        async def main(work: Work) -> tuple[int, list[str]]:
            work.upstream.gate.clear()
            impatient, patient = await work.connect(), await work.connect()
            for wire in (impatient, patient):
                await wire.send(work.attested("/aws/train"))
            await until(lambda: bool(work.upstream.asked))
            hang_up(impatient)
            await turns()
            work.upstream.gate.set()
            status = (await patient.answer()).status
            patient.close()
            await work.connected(0)
            return status, work.upstream.asked

        assert at_work(main) == (200, ["train"])

    def test_one_that_is_gone_before_it_was_accepted_is_no_mishap(self):
        """A port scanner leaves no traceback in the log."""

        async def main(work: Work) -> int:
            end = socket.create_connection(("127.0.0.1", work.port))
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()  # before the loop has turned
            await turns()
            return (await work.ask(work.request("/"))).status

        assert at_work(main) == 200

    def test_one_that_does_not_read_is_not_answered_until_it_does(self):
        """Its replies pile up in the kernel and a little here, never without bound; then none is missing."""

        async def main(work: Work) -> set[int]:
            await work.warm()
            wire = await work.connect()
            sent = await _stuffed(work, wire)
            before = sum(work.metrics.requests.values())
            await turns(200)
            assert sum(work.metrics.requests.values()) == before
            statuses = {(await wire.answer()).status for _ in range(sent)}
            wire.close()
            return statuses

        assert at_work(main) == {200}

    def test_one_that_never_reads_is_let_go(self):
        """Or it would keep its descriptor and its buffers for ever: a reply that nobody takes is given up."""

        async def main(work: Work) -> None:
            await work.warm()
            wire = await work.connect()
            await _stuffed(work, wire)
            for _ in range(2):
                work.clock.pass_time(76.0)
                work.plane.sweep()
                await turns()
            await work.connected(0)
            wire.close()

        at_work(main)

    def test_one_that_pipelines_without_end_and_does_not_read_is_closed(self):
        """More than so many requests are not queued, whatever they wait for."""

        async def main(work: Work) -> None:
            await work.warm()
            wire = await work.connect()
            sending = asyncio.gather(wire.send(work.attested("/aws/train") * MANY), return_exceptions=True)
            await turns(200)
            await wire.rest()
            await work.connected(0)
            await sending
            wire.close()

        at_work(main)

    def test_a_bug_of_ours_ends_one_connection_alone(self, monkeypatch: pytest.MonkeyPatch):
        """The others are answered."""

        async def main(work: Work) -> tuple[bytes, int]:
            with monkeypatch.context() as patch:
                patch.setattr(work.reception, "answer", _bug)
                wire = await work.connect()
                await wire.send(work.request("/"))
                rest = await wire.rest()
                wire.close()
            assert isinstance(work.mishaps.pop()["exception"], ZeroDivisionError)
            return rest, (await work.ask(work.request("/"))).status

        assert at_work(main) == (b"", 200)


def _bug(*_: object) -> None:
    raise ZeroDivisionError


async def _stuffed(work: Work, wire: Wire) -> int:
    """Send requests, a few at a time, until they are no longer answered; how many were sent."""
    few, sent = work.attested("/aws/train") * 8, 0
    done = -1
    while done != (done := sum(work.metrics.requests.values())):
        await wire.send(few)
        await turns(5)
        sent += 8
    return sent
