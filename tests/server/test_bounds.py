"""How many connections there may be."""

from broker.config.shape import Limits
from broker.server.bounds import ADMIN, RESERVE, Bounds, Room, admin_room, bounds, control_room


class TestBounds:
    def test_they_follow_from_the_descriptor_limit(self):
        """Less a reserve, and what the control plane may take; a user has half of it."""
        left = 65_536 - RESERVE - ADMIN - 65_536 // 8

        assert bounds(65_536, Limits()) == Bounds(left, left // 2, 256)

    def test_a_tiny_limit_still_leaves_some(self):
        """At `ulimit -n 64` the daemon works for a few, and goes on minting for them."""
        assert bounds(64, Limits()).connections == 16

    def test_the_configuration_has_the_last_word(self):
        """All three may be set."""
        assert bounds(65_536, Limits(7, 5, 3)) == Bounds(7, 5, 3)

    def test_all_planes_together_leave_the_reserve(self):
        """Whatever the descriptor limit, if it is not a tiny one."""
        for descriptors in (512, 1024, 4096, 65_536, 1_048_576):
            taken = bounds(descriptors, Limits()).connections + control_room(descriptors).in_all + admin_room().in_all

            assert taken + RESERVE == descriptors


class TestRooms:
    def test_one_user_has_half_of_either(self):
        """So that no one of them can take it all."""
        assert control_room(1024, frozenset({0})) == Room(128, 64, frozenset({0}))
        assert admin_room() == Room(64, 32)
