"""One request to a JSON API: bounded, single, and never further than it was sent."""

from pathlib import Path

import pytest

from broker.errors import Denied, Malformed, MintError, Throttled, Unreachable
from broker.secret import Secret
from broker.sources import json_api, web
from tests.fakes.serving import Answer, Call, Served

DATE = "Sat, 21 Nov 2026 10:00:00 GMT"


class TestPost:
    def test_members_are_the_body(self):
        """And the body says that it is JSON."""
        seen: list[Call] = []
        with Served(lambda call: seen.append(call) or Answer(200)) as served:  # type: ignore[func-returns-value]  # it notes the call
            json_api.post(f"{served.url}/x", {"Authorization": "Bearer t"}, {"a": 1})

        (call,) = seen
        assert (call.method, call.body) == ("POST", b'{"a":1}')
        assert (call.fields["content-type"], call.fields["authorization"]) == ("application/json", "Bearer t")


class TestSend:
    def test_what_was_sent_arrives_and_what_was_said_comes_back(self):
        """A refusal too: what it means is for who asked."""
        seen: list[Call] = []

        def answer(call: Call) -> Answer:
            seen.append(call)
            return Answer(403, b'{"why":1}', {"Date": DATE})

        with Served(answer) as served:
            answered = json_api.send(
                "POST", f"{served.url}/x", {"Authorization": "Bearer t"}, json_api.encoded({"a": 1})
            )

        (call,) = seen
        assert (call.method, call.path, call.fields["authorization"], call.body) == (
            "POST",
            "/x",
            "Bearer t",
            b'{"a":1}',
        )
        assert (answered.status, answered.text.open(), answered.good) == (403, '{"why":1}', False)

    def test_upstreams_own_time_counts_where_it_tells_it(self):
        """Its timestamps are compared with that."""
        told = json_api.Answered(status=200, text=Secret(""), took=0.1, arrived=1000.0, date=400.0)
        untold = json_api.Answered(status=200, text=Secret(""), took=0.1, arrived=1000.0)

        assert (told.now, told.skew, untold.now, untold.skew) == (400.0, 600.0, 1000.0, None)

    @pytest.mark.parametrize(
        ("answer", "error", "code"),
        [
            (Answer(429, b"", {"Retry-After": "7"}), Throttled, "Http429"),
            (Answer(500), Unreachable, "Http500"),
            (Answer(307, b"", {"Location": "https://example.com/"}), Malformed, "Redirected"),
            (Answer(200, b"x" * (web.LONGEST_ANSWER + 1)), Malformed, "UnusableAnswer"),
        ],
    )
    def test_what_any_api_may_answer_is_an_error_here(self, answer: Answer, error: type[MintError], code: str):
        """A redirect is not followed, a flood is not read."""
        with Served(lambda _: answer) as served, pytest.raises(error) as caught:
            json_api.send("GET", served.url, {})

        assert caught.value.code == code
        assert caught.value.retry_after == (7.0 if code == "Http429" else None)

    def test_a_line_in_netrc_replaces_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The Authorization is the caller's."""
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        with Served(lambda call: Answer(200, call.fields["authorization"].encode())) as served:
            assert json_api.send("GET", served.url, {"Authorization": "Bearer t"}).text.open() == "Bearer t"

    def test_nobody_there_is_told(self):
        """Without the path."""
        with Served(lambda _: Answer(200)) as served:
            pass

        with pytest.raises(Unreachable, match="does not answer"):
            json_api.send("GET", served.url, {})

    def test_a_token_is_not_sent_in_the_clear(self):
        """Whatever a template made of the URL."""
        with pytest.raises(Denied, match="neither https nor on this machine"):
            json_api.send("GET", "http://example.com/", {})
