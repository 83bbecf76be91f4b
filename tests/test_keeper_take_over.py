"""A lease of a process before us, in a keeper: held as if this one had minted it."""

from broker.errors import BrokerError, Denied, Unreachable
from broker.events import Event, LeaseMinted, OlderLease
from broker.keeper import NEVER, Keeper
from tests.leaping import EPOCH, START
from tests.made import a_minted, a_rendered, keys

HOUR = 3600.0


def a_keeper() -> Keeper:
    """Without jitter."""
    return Keeper(a_rendered(), START, lambda: 0.0)


def minted(keeper: Keeper, at: float = START, text: str = "1", lifetime: float = HOUR) -> tuple[Event, ...]:
    """A mint `at` some moment, at once."""
    keeper.begin()
    return keeper.minted(a_minted(keys(text), lifetime), at, at, EPOCH + at - START)


def failed(keeper: Keeper, error: BrokerError) -> None:
    """A mint that brings nothing."""
    keeper.begin()
    keeper.failed(error, START, START)


class TestTakeOver:
    def test_it_is_held_as_if_this_one_had_minted_it(self):
        """Its serial goes on, and the same session handed on again is no newer one."""
        keeper, before = a_keeper(), a_keeper()
        minted(before)
        assert before.lease is not None
        later = START + 600

        assert keeper.take_over(before.lease, later, EPOCH + 600)
        assert keeper.held(later) == before.lease
        assert keeper.due == before.due
        (event,) = minted(keeper, at=later, lifetime=HOUR - 600)
        assert isinstance(event, OlderLease)
        (event,) = minted(keeper, at=later)
        assert isinstance(event, LeaseMinted)
        assert event.serial == 2

    def test_one_that_is_overdue_is_due_now(self):
        """Not in the past, nor spread over the future."""
        keeper, before = a_keeper(), a_keeper()
        minted(before)
        assert before.lease is not None
        keeper.take_over(before.lease, START + HOUR - 60, EPOCH + HOUR - 60)

        assert keeper.due == START + HOUR - 60

    def test_a_mint_in_flight_goes_on(self):
        """And the backoff of one that failed."""
        flying, failing, before = a_keeper(), a_keeper(), a_keeper()
        minted(before)
        assert before.lease is not None
        flying.begin()
        failed(failing, Unreachable("no answer"))
        due = failing.due

        assert flying.take_over(before.lease, START + 1, EPOCH + 1)
        assert flying.due == NEVER
        assert failing.take_over(before.lease, START, EPOCH)
        assert failing.due == due

    def test_what_it_holds_already_or_was_denied_stays(self):
        """Upstream's newer word counts."""
        holding, denied, before = a_keeper(), a_keeper(), a_keeper()
        minted(before)
        minted(holding, text="2")
        failed(denied, Denied("no"))
        assert before.lease is not None
        own = holding.lease

        assert not holding.take_over(before.lease, START + 1, EPOCH + 1)
        assert holding.lease is own
        assert not denied.take_over(before.lease, START + 1, EPOCH + 1)
        assert denied.lease is None

    def test_a_wall_clock_that_runs_ahead_is_seen(self):
        """A pause that no boot clock counted, after the restart as before it."""
        keeper, before = a_keeper(), a_keeper()
        minted(before)
        assert before.lease is not None
        keeper.take_over(before.lease, START + 600, EPOCH + 600)
        assert keeper.ends_at(START + 600, EPOCH + 600) == EPOCH + HOUR == before.ends_at(START + 600, EPOCH + 600)
        keeper.cross_check(START + 700, EPOCH + 1300)
        assert keeper.held(START + 700)
        assert keeper.ends_at(START + 700, EPOCH + 1300) == EPOCH + HOUR
        keeper.cross_check(START + 800, EPOCH + HOUR)

        assert keeper.held(START + 800) is None
        assert a_keeper().ends_at(START, EPOCH) == EPOCH
