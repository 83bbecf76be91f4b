"""How many connections there may be."""

from broker.config.shape import Limits
from broker.server.bounds import RESERVE, Bounds, bounds


class TestBounds:
    def test_they_follow_from_the_descriptor_limit(self):
        """Less a reserve for everything else; a user has half of it."""
        assert bounds(65_536, Limits()) == Bounds(65_536 - RESERVE, (65_536 - RESERVE) // 2, 256)

    def test_a_tiny_limit_still_leaves_some(self):
        """At `ulimit -n 64` the daemon works for a few, and goes on minting for them."""
        assert bounds(64, Limits()).connections == 16

    def test_the_configuration_has_the_last_word(self):
        """All three may be set."""
        assert bounds(65_536, Limits(7, 5, 3)) == Bounds(7, 5, 3)
