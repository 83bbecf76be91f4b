"""The keeper of what is made for one job."""

from broker.errors import Unreachable
from broker.keeper import WAITED_FOR, Keeper
from broker.schedule import SERVE_FLOOR
from tests.keepers import HOUR, failed, minted
from tests.leaping import EPOCH, START
from tests.made import a_lease, a_rendered, an_hmac


def a_keeper() -> Keeper:
    """Of an HMAC key that job 7 has."""
    return Keeper(a_rendered(an_hmac(), job="7"), START, lambda: 0.0)


class TestIdle:
    def test_it_is_never_renewed_unasked(self):
        """The processes of a job have read it, and would not read another."""
        keeper = a_keeper()
        minted(keeper)

        assert keeper.due == START + HOUR - SERVE_FLOOR
        assert keeper.idle(keeper.due)

    def test_nor_is_one_that_was_taken_over(self):
        """By a daemon that was started anew."""
        keeper = a_keeper()

        assert keeper.take_over(a_lease(), START, EPOCH)
        assert keeper.due == START + HOUR - SERVE_FLOOR

    def test_a_mint_that_fails_is_tried_again(self):
        """The job waits for it."""
        keeper = a_keeper()
        failed(keeper, Unreachable("away"))

        assert keeper.due < START + 2
        assert not keeper.idle(keeper.due)

    def test_a_mint_in_flight_is_waited_for(self):
        """It has been made, perhaps."""
        keeper = a_keeper()
        keeper.begin()

        assert not keeper.idle(START)

    def test_but_not_for_ever(self):
        """A pod may be gone, and its key would be nobody's until it is too old."""
        keeper = a_keeper()
        failed(keeper, Unreachable("away"))

        assert not keeper.idle(START + WAITED_FOR)
        assert keeper.idle(START + WAITED_FOR + 1)
