"""The ledger: every event to every listener, and none of them can hurt who notes."""

from typing import get_args

from broker.events import Event
from broker.ledger import Ledger
from tests.all_events import EVENTS


class TestLedger:
    def test_every_listener_hears_every_event_in_order(self):
        """Metrics, audit and log tell the same story."""
        one, other = list[Event](), list[Event]()
        ledger = Ledger(one.append, other.append)

        for event in EVENTS:
            ledger.note(event)

        assert tuple(one) == tuple(other) == EVENTS
        assert ledger.lost == 0

    def test_a_listener_that_fails_is_counted_and_passed_over(self):
        """A full disk under the audit must not stop a lease from being served."""
        heard = list[Event]()

        def full(_: Event) -> None:
            raise OSError(28, "No space left on device")

        ledger = Ledger(full, heard.append)
        for event in EVENTS:
            ledger.note(event)

        assert tuple(heard) == EVENTS
        assert ledger.lost == len(EVENTS)

    def test_there_is_one_of_every_event_in_these_tests(self):
        """A new event is tried on all three listeners."""
        assert {type(event) for event in EVENTS} == set(get_args(Event))
