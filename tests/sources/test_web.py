"""The wire that judges nothing: bounds, redirects, transport errors."""

import pytest
import requests
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import ProxyError, SSLError

from broker.errors import Malformed, MintError, Throttled, Unreachable
from broker.secret import Secret
from broker.sources.web import LONGEST_ANSWER, Heard, is_safe, listening, unreachable
from tests.fakes.serving import Answer, Served


def heard(answer: Answer) -> Heard:
    """What is heard of one answer."""
    with Served(lambda _: answer) as served, listening() as (session, ear):
        session.get(served.url, timeout=5, allow_redirects=False)
    return ear.heard[-1]


class TestEar:
    def test_it_keeps_what_came_and_when(self):
        """By upstream's clock where it told it."""
        one = heard(Answer(400, b"no", {"Date": "Thu, 01 Jan 1970 00:10:00 GMT", "Retry-After": "9"}))

        assert (one.host, one.status, one.text, one.now, one.retry_after) == (
            "127.0.0.1",
            400,
            Secret("no"),
            600.0,
            9.0,
        )
        assert one.skew == one.arrived - 600

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (Answer(200, b"x" * (LONGEST_ANSWER + 1)), "UnusableAnswer"),
            (Answer(307, b"", {"Location": "/"}), "Redirected"),
        ],
    )
    def test_no_end_and_no_elsewhere(self, answer: Answer, code: str):
        """A body is bounded, and a secret goes only where it was sent."""
        with pytest.raises(Malformed) as caught:
            heard(answer)

        assert caught.value.code == code

    def test_no_netrc_takes_the_place_of_what_was_written(self):
        """Requests would put its line into Authorization."""
        with listening() as (session, _):
            request = session.prepare_request(
                requests.Request("GET", "http://127.0.0.1/", headers={"Authorization": "x"})
            )

        assert request.headers["Authorization"] == "x"


class TestTransient:
    @pytest.mark.parametrize(
        ("status", "kind"), [(429, Throttled), (408, Unreachable), (500, Unreachable), (400, None), (200, None)]
    )
    def test_a_status_says_whether_to_try_again(self, status: int, kind: type[MintError] | None):
        """Everything else is its family's matter."""
        error = Heard(host="h", status=status, text=Secret(""), arrived=0.0, retry_after=3.0).transient()

        assert (None if error is None else (type(error), error.retry_after)) == (None if kind is None else (kind, 3.0))


class TestUnreachable:
    @pytest.mark.parametrize(
        ("error", "code"),
        [(ProxyError(), "ProxyUnreachable"), (SSLError(), "TlsFailed"), (NoConnection(), "ConnectionFailed")],
    )
    def test_it_says_what_to_check(self, error: Exception, code: str):
        """And names the host."""
        found = unreachable("login.example", error)

        assert (found.code, "login.example" in found.advice) == (code, True)


class TestIsSafe:
    @pytest.mark.parametrize(
        ("url", "safe"),
        [
            ("https://login.example", True),
            ("http://127.0.0.1:80", True),
            ("http://localhost", True),
            ("http://[::1]:80", True),
            ("http://login.example", False),
            ("http://10.0.0.1", False),
            ("ftp://127.0.0.1", False),
            ("http://[", False),
            ("https://", False),
        ],
    )
    def test_a_secret_goes_over_tls_or_stays_here(self, url: str, safe: bool):
        """Loopback is for tests and tunnels."""
        assert is_safe(url) == safe
