"""One request to Oracle's cloud, whatever comes back."""

import pytest
from requests import PreparedRequest

from broker.errors import Denied, Malformed
from broker.secret import Secret
from broker.sources.oci_wire import LONGEST_LIFETIME, Answered, decoded, send, url_mistakes
from tests.fakes.serving import Answer, Call, Served


def answered(text: str = "", **more: float | None) -> Answered:
    values = {"arrived": 1000.0, "date": None} | more
    return Answered(host="oracle.example", status=400, text=Secret(text), **values)  # type: ignore[arg-type]  # floats


class TestAnswered:
    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ('{"error": "invalid_client"}', "invalid_client"),
            ('{"code": "NotAuthenticated", "message": "x"}', "NotAuthenticated"),
            ('{"code": "a secret of somebody"}', None),
            ('{"error": 5}', None),
            ("<html>", None),
        ],
    )
    def test_only_words_are_repeated(self, text: str, word: str | None):
        """Sentences may quote what was sent."""
        assert answered(text).word == word

    def test_its_own_clock_counts_where_it_told_it(self):
        """Else ours does."""
        assert (answered().now, answered().skew) == (1000.0, None)
        assert (answered(date=700.0).now, answered(date=700.0).skew) == (700.0, 300.0)

    @pytest.mark.parametrize(("date", "far"), [(None, False), (700.0, False), (600.0, True), (1400.0, True)])
    def test_clocks_are_told_where_they_are_too_far_apart(self, date: float | None, far: bool):
        """Five minutes, as the services have it."""
        assert (answered(date=date).skewed() is not None) == far

    @pytest.mark.parametrize("ends", [0.0, 1029.0, 1001.0 + LONGEST_LIFETIME])
    def test_what_nobody_could_be_given_is_refused(self, ends: float):
        """Ended, about to, or absurdly late."""
        with pytest.raises(Malformed):
            answered().lifetime(ends)

        assert answered(date=900.0).lifetime(1000.0) == 100.0

    def test_another_form_is_malformed(self):
        """And not quoted."""
        with pytest.raises(Malformed, match=r"something that is no list$"):
            decoded(answered("SECRET"), list[int], "list")


class TestSend:
    def test_a_url_in_the_clear_is_not_asked(self):
        """Whoever built it."""
        with pytest.raises(Denied, match="neither https nor on this machine"):
            send("GET", "http://oracle.example/", {}, None, lambda request: request)

    def test_what_is_signed_is_what_arrives(self):
        """Nothing of ~/.netrc replaces it."""
        seen: list[Call] = []

        def answering(call: Call) -> Answer:
            seen.append(call)
            return Answer(200, b"[1]")

        def sign(request: PreparedRequest) -> PreparedRequest:
            request.headers["Authorization"] = "mine"
            return request

        with Served(answering) as served:
            said = send("POST", f"{served.url}/x?y=1", {"X-A": "b"}, b"body", sign)

        assert (decoded(said, list[int], "list"), said.good) == ([1], True)
        assert (seen[0].fields["authorization"], seen[0].fields["x-a"], seen[0].body) == ("mine", "b", b"body")


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "good"),
        [
            ("https://x.example", True),
            ("http://127.0.0.1:5", True),
            ("http://x.example", False),
            ("http://[", False),
            (None, True),
        ],
    )
    def test_https_or_this_machine(self, url: str | None, good: bool):
        """Secrets travel there."""
        assert (url_mistakes(endpoint_url=url) == ()) == good
