"""Which connections are taken, and whose they are for limits."""

import pytest

from broker.server.link import Link, Peer

POD, HOST = "10.1.0.7", 9911


def a_link(accepted_on: str, peer: str | None, uid: int | None = None) -> Link:
    return Link((accepted_on, HOST), uid, peer=peer)


class TestIsOurs:
    @pytest.mark.parametrize(
        ("accepted_on", "peer"),
        [
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "127.8.8.8"),
            ("::1", "::1"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
            ("169.254.170.23", POD),
            ("fd00:ec2::23", "fd00::7"),
        ],
    )
    def test_loopback_from_loopback_and_pods_from_anywhere(self, accepted_on: str, peer: str):
        """Each on its own listener."""
        assert a_link(accepted_on, peer).is_ours

    @pytest.mark.parametrize(
        ("accepted_on", "peer"),
        [
            ("127.0.0.1", POD),
            ("::1", "fd00::7"),
            (POD, "127.0.0.1"),
            ("169.254.169.254", POD),
            ("::ffff:169.254.170.23", POD),
            ("127.0.0.1", None),
        ],
    )
    def test_nothing_else_is(self, accepted_on: str, peer: str | None):
        """Not where kube-proxy's route_localnet brings a neighbour to loopback."""
        assert not a_link(accepted_on, peer).is_ours


class TestCountedAs:
    @pytest.mark.parametrize(
        ("link", "peer"),
        [
            (a_link("169.254.170.23", POD), POD),
            (a_link("fd00:ec2::23", "fd00::7"), "fd00::7"),
            (a_link("127.0.0.1", "127.0.0.1", 1000), 1000),
            (a_link("127.0.0.1", "127.0.0.1"), None),
        ],
    )
    def test_a_pod_counts_by_its_address_and_a_process_by_its_uid(self, link: Link, peer: Peer):
        """On loopback every address is the same, and on the pods' plane no uid is known."""
        assert link.counted_as == peer
