"""Which connections are taken: loopback from loopback, and anybody's on the two addresses for pods."""

import asyncio
from typing import Any

import pytest

from broker.server.bounds import Bounds
from broker.server.connection import Connection
from broker.server.worker import Plane
from tests.server.pods import Office
from tests.server.test_reception_pods import at_work


class Wire(asyncio.Transport):
    """A transport that only knows whether it was cut off."""

    def __init__(self, accepted_on: str, peer: str) -> None:
        super().__init__({"sockname": (accepted_on, 9911), "peername": (peer, 40_000)})
        self.aborted = False

    def abort(self) -> None:
        """Cut off."""
        self.aborted = True


def taken(wires: list[Wire], **bounds: int) -> list[bool]:
    """Which of these connections are taken, one after the other."""

    async def main(office: Office) -> list[bool]:
        limits: Any = {"connections": 100, "per_uid": 50, "unidentified_per_uid": 10, **bounds}
        plane = Plane(office.reception, lambda *_: None, Bounds(**limits))
        for wire in wires:
            plane.connection().connection_made(wire)
        return [not wire.aborted for wire in wires]

    return at_work(main)


class TestConnection:
    @pytest.mark.parametrize(
        ("accepted_on", "peer"),
        [
            ("169.254.170.23", "10.1.0.7"),
            ("169.254.170.23", "169.254.170.23"),
            ("169.254.170.23", "127.0.0.1"),
            ("fd00:ec2::23", "fd00::7"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
        ],
    )
    def test_pods_come_from_anywhere_to_their_own_address(self, accepted_on: str, peer: str):
        """And so does the host itself, which gets as much there as any pod: nothing without a pod's token."""
        assert taken([Wire(accepted_on, peer)]) == [True]

    @pytest.mark.parametrize(
        ("accepted_on", "peer"),
        [
            ("127.0.0.1", "10.1.0.7"),
            ("::1", "fd00::7"),
            ("10.0.0.1", "10.1.0.7"),
            ("10.0.0.1", "127.0.0.1"),
            ("169.254.169.254", "10.1.0.7"),
            ("::ffff:169.254.170.23", "::ffff:10.1.0.7"),
        ],
    )
    def test_nobody_else_is_listened_to(self, accepted_on: str, peer: str):
        """Not even where systemd hands a socket that takes them."""
        assert taken([Wire(accepted_on, peer)]) == [False]

    def test_one_pod_does_not_take_the_connections_of_another(self):
        """They count by address, as processes do by uid."""
        one, other = "10.1.0.7", "10.1.0.8"
        peers = [one, one, one, other, other, one]

        assert taken([Wire("169.254.170.23", peer) for peer in peers], per_uid=2) == [
            *(True, True, False, True, True, False)
        ]

    def test_a_connection_that_ends_makes_room(self):
        """For the same pod."""

        async def main(office: Office) -> list[bool]:
            plane = Plane(office.reception, lambda *_: None, Bounds(100, 1, 10))
            first, second, third = (Wire("169.254.170.23", "10.1.0.7") for _ in range(3))
            connection: Connection = plane.connection()
            connection.connection_made(first)
            plane.connection().connection_made(second)
            connection.connection_lost(None)
            plane.connection().connection_made(third)
            return [wire.aborted for wire in (first, second, third)]

        assert at_work(main) == [False, True, False]
