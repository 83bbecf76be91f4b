"""Recent denials, found by the id that their senders were told."""

import pytest

from broker.errors import BrokerError, Denied, Refused
from broker.events import RequestDenied
from broker.server.denials import MOST_OF_ONE, MOST_UIDS, Denial, Denials, Sender, denied
from tests.all_events import DENIED, EVENTS
from tests.leaping import EPOCH
from tests.made import a_caller


def a_denial(request_id: str, uid: int | None = 1000, peer: str | None = None) -> RequestDenied:
    """One of a uid's, or of a pod's."""
    return RequestDenied("not-granted", 403, request_id, uid=uid, peer=peer)


class TestDenials:
    def test_one_is_found_with_its_time(self):
        """Which the audit line has too."""
        denials = Denials(lambda: EPOCH)
        for event in EVENTS:
            denials.listen(event)

        assert denials.find(DENIED.request_id) == Denial(EPOCH, DENIED)
        assert denials.find("another") is None

    def test_the_oldest_of_a_uid_make_room(self):
        """Memory is bounded; the audit has them all."""
        denials = Denials(lambda: EPOCH)
        for number in range(MOST_OF_ONE + 1):
            denials.listen(a_denial(str(number)))

        assert (denials.find("0"), denials.find("1") is not None) == (None, True)

    @pytest.mark.parametrize("flooding", [1001, None])
    def test_no_uid_pushes_out_another_s(self, flooding: int | None):
        """Who floods loses his own alone."""
        denials = Denials(lambda: EPOCH)
        denials.listen(a_denial("ours"))
        for number in range(10 * MOST_OF_ONE):
            denials.listen(a_denial(str(number), flooding))

        assert denials.find("ours") is not None

    def test_pods_are_told_apart_by_their_addresses(self):
        """They have no uid."""
        denials = Denials(lambda: EPOCH)
        denials.listen(a_denial("ours", None, peer="10.0.0.1"))
        for number in range(2 * MOST_OF_ONE):
            denials.listen(a_denial(str(number), None, peer="10.0.0.2"))

        assert denials.find("ours") is not None

    def test_of_very_many_uids_the_one_longest_not_denied_goes(self):
        """Uids are bounded too, since a user namespace has 65,536 of them."""
        denials = Denials(lambda: EPOCH)
        for uid in (*range(MOST_UIDS), 0, MOST_UIDS):
            denials.listen(a_denial(f"of {uid}", uid))

        assert [denials.find(f"of {uid}") is not None for uid in (0, 1, 2, MOST_UIDS)] == [True, False, True, True]


class TestDenied:
    @pytest.mark.parametrize(
        ("error", "reason", "status"),
        [
            (Refused(403, "AccessDenied", "not granted", reason="unrenderable"), "unrenderable", 403),
            (Denied("the role does not trust us", code="AccessDenied"), "upstream-denied", 403),
        ],
    )
    def test_it_is_our_reason_and_never_upstream_s(self, error: BrokerError, reason: str, status: int):
        """A label of a metric is made of it."""
        event = denied(error, "r", Sender(uid=1, dialect="aws"), a_caller(token_id="t1"), "train")

        assert event == RequestDenied(reason, status, "r", 1, "trainer", "t1", "aws", credential="train")

    def test_who_is_not_known_is_not_named(self):
        """Nor is what nobody asked for."""
        event = denied(Refused(401, "Unauthorized", "who?"), "r", Sender(uid=None))

        assert (event.reason, event.caller, event.token_id, event.credential) == ("Unauthorized", None, None, None)
