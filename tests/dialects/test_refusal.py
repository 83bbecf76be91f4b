"""What all dialects share when they say no."""

from broker.dialects.refusal import message, plain, retry_after, status_for_aws
from broker.errors import NotReady, Refused
from tests.dialects.leases import REQUEST_ID, decoded


class TestMessage:
    def test_the_hint_is_for_who_is_not_identified(self):
        """Whoever is known needs no advice on how to become so."""
        assert message(Refused(401, "A", "advice"), "7", "hint") == "advice; hint (request 7)"
        assert message(Refused(403, "A", "advice"), "7", "hint") == "advice (request 7)"


class TestStatusForAws:
    def test_only_429_is_told_in_another_way(self):
        """AWS's endpoints never give it, and Java gives up on it."""
        statuses = (400, 401, 403, 404, 429, 503)

        assert [status_for_aws(Refused(one, "A", "advice")) for one in statuses] == [400, 401, 403, 404, 503, 503]


class TestRetryAfter:
    def test_it_goes_with_patience_alone(self):
        """On other statuses clients do not expect it."""
        refused = Refused(403, "A", "advice")
        refused.retry_after = 3.0

        assert retry_after(refused) == ()
        assert retry_after(NotReady("later", retry_after=2.5)) == (("Retry-After", "3"),)


class TestPlain:
    def test_it_is_flat_json(self):
        """A program reads the code, a person the message."""
        reply = plain(Refused(404, "NotFound", "no such path", reason="inner"), REQUEST_ID)

        assert reply.status == 404
        assert decoded(reply) == {
            "error": "NotFound",
            "message": f"no such path (request {REQUEST_ID})",
            "request": REQUEST_ID,
        }

    def test_a_method_that_is_refused_hears_which_is_not(self):
        """HTTP wants it so."""
        assert plain(Refused(405, "MethodNotAllowed", "only GET"), REQUEST_ID).headers == (("Allow", "GET"),)
