"""The limits of the worker plane: deadlines by the sweep, and how many connections whoever may have."""

import asyncio

import pytest

from broker.server.bounds import Bounds
from broker.server.connection import HEAD_DEADLINE, IDLE_DEADLINE
from tests.server.plane import ALICE, BOB, Wire, Work, at_work, turns, until


def sweep_after(work: Work, seconds: float) -> None:
    """Time passes, and the daemon's next tick comes."""
    work.clock.pass_time(seconds)
    work.plane.sweep()


async def served(work: Work) -> Wire:
    """A connection that has had its answer."""
    wire = await work.connect()
    await turns()
    work.clock.pass_time(0.001)
    await wire.send(work.request("/"))
    await wire.answer()
    return wire


class TestHeadDeadline:
    @pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
    def test_a_client_that_does_not_finish_its_head_is_closed(self, sent: bytes):
        """Slowloris, and those who connect and say nothing."""

        async def main(work: Work) -> tuple[bool, bytes]:
            wire = await work.connect()
            await wire.send(sent)
            await work.connected(1)
            sweep_after(work, HEAD_DEADLINE - 0.1)
            kept = await wire.quiet()
            sweep_after(work, 0.2)
            rest = await wire.rest()
            wire.close()
            return kept, rest

        assert at_work(main) == (True, b"")

    def test_a_byte_now_and_then_does_not_put_it_off(self):
        """The deadline is for the whole head."""

        async def main(work: Work) -> bytes:
            wire = await work.connect()
            for byte in b"GET /":
                await wire.send(bytes([byte]))
                await turns()
                sweep_after(work, HEAD_DEADLINE / 4)
            rest = await wire.rest()
            wire.close()
            return rest

        assert at_work(main) == b""

    def test_a_later_head_has_the_same_time(self):
        """From its own first byte, however long the connection was quiet before."""

        async def main(work: Work) -> tuple[int, bytes]:
            wire = await served(work)
            sweep_after(work, IDLE_DEADLINE - 1)
            head = work.request("/")
            await wire.send(head[:20])
            await turns()
            sweep_after(work, HEAD_DEADLINE - 0.1)
            await wire.send(head[20:])
            status = (await wire.answer()).status
            await wire.send(head[:20])
            await turns()
            sweep_after(work, HEAD_DEADLINE + 0.1)
            rest = await wire.rest()
            wire.close()
            return status, rest

        assert at_work(main) == (200, b"")


class TestIdleDeadline:
    def test_a_connection_may_be_idle_for_so_long(self):
        """Each answer begins the time anew."""

        async def main(work: Work) -> tuple[bool, bytes]:
            wire = await served(work)
            sweep_after(work, IDLE_DEADLINE - 1)
            await wire.send(work.request("/"))
            await wire.answer()
            sweep_after(work, IDLE_DEADLINE - 1)
            kept = await wire.quiet()
            sweep_after(work, 2)
            rest = await wire.rest()
            wire.close()
            return kept, rest

        assert at_work(main) == (True, b"")

    def test_one_that_waits_for_a_cold_lease_is_not_idle(self):
        """It is owed an answer, and has a time limit of its own."""

        async def main(work: Work) -> int:
            work.upstream.gate.clear()
            wire = await work.connect()
            await wire.send(work.attested("/aws/train"))
            await until(lambda: bool(work.upstream.asked))
            sweep_after(work, IDLE_DEADLINE + 1)
            work.upstream.gate.set()
            status = (await wire.answer()).status
            wire.close()
            return status

        assert at_work(main) == 200


class TestConnections:
    def test_what_is_one_too_many_is_closed_and_the_others_stay(self):
        """And there is room again when one has gone."""

        async def main(work: Work) -> tuple[bytes, list[int]]:
            work.plane.bounds = Bounds(connections=3, per_uid=10, unidentified_per_uid=10)
            wires = [await served(work) for _ in range(3)]
            extra = await work.connect()
            rest = await extra.rest()
            extra.close()
            wires.pop().close()
            await work.connected(2)
            wires.append(await served(work))
            statuses = []
            for wire in wires:
                await wire.send(work.request("/"))
                statuses.append((await wire.answer()).status)
                wire.close()
            return rest, statuses

        assert at_work(main) == (b"", [200, 200, 200])

    def test_one_user_cannot_take_the_place_of_another(self):
        """The limit is for each uid; the kernel says which."""

        async def main(work: Work) -> tuple[bytes, int]:
            work.plane.bounds = Bounds(connections=10, per_uid=2, unidentified_per_uid=10)
            wires = [await served(work) for _ in range(2)]
            extra = await work.connect()
            rest = await extra.rest()
            work.uid = BOB
            wires.append(await served(work))
            for wire in (extra, *wires):
                wire.close()
            await work.connected(0)
            return rest, work.plane.per_peer.total()

        assert at_work(main) == (b"", 0)

    def test_the_oldest_silent_ones_of_a_user_are_closed_beyond_the_limit(self):
        """Those who have said who they are, other users, and newcomers of the last second stay."""

        async def main(work: Work) -> list[bool]:
            work.plane.bounds = Bounds(connections=20, per_uid=20, unidentified_per_uid=2)
            known = await work.connect()
            await known.send(work.attested("/computeMetadata/v1/"))
            await known.answer()
            probes = []
            for _ in range(3):
                probes.append(await served(work))
                work.clock.pass_time(0.1)
            work.uid = BOB
            others = [await served(work) for _ in range(2)]
            work.uid = ALICE
            work.clock.pass_time(1.0)
            newcomers = [await served(work) for _ in range(3)]
            work.plane.sweep()
            wires = [known, *probes, *others, *newcomers]
            kept = [await wire.quiet() for wire in wires]
            for wire in wires:
                wire.close()
            return kept

        assert at_work(main) == [True, False, True, True, True, True, True, True, True]

    @pytest.mark.parametrize(("lag", "kept"), [(0.0, False), (3.0, True)])
    def test_a_loop_that_was_held_up_takes_nobody_for_silent(self, lag: float, kept: bool):
        """What he has sent may lie unread for as long as the loop was late."""

        async def main(work: Work) -> bool:
            work.plane.bounds = Bounds(connections=20, per_uid=20, unidentified_per_uid=0)
            wire = await served(work)
            work.clock.pass_time(2.0)
            work.plane.sweep(lag)
            found = await wire.quiet()
            wire.close()
            return found

        assert at_work(main) == kept

    @pytest.mark.parametrize(
        ("accepted_on", "peer"),
        [("127.0.0.1", "10.1.2.3"), ("::1", "fe80::1"), ("::ffff:127.0.0.1", "::ffff:10.1.2.3")],
    )
    def test_a_peer_that_is_not_local_has_nothing_to_look_for_on_loopback(self, accepted_on: str, peer: str):
        """Kube-proxy's route_localnet brings such packets."""

        async def main(work: Work) -> bool:
            transport = _Transport(accepted_on, peer)
            work.plane.connection().connection_made(transport)
            assert not work.plane.connections
            return transport.aborted

        assert at_work(main)


class _Transport(asyncio.Transport):
    """One whose two ends are where a test says."""

    def __init__(self, accepted_on: str, peer: str) -> None:
        super().__init__({"sockname": (accepted_on, 911), "peername": (peer, 40_000)})
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True
