"""The bytes of a reply as strict readers see them, and the small encodings that every dialect shares."""

import json
import re
from datetime import UTC, datetime

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.wire import Reply, Request, json_body, timestamp, to_bytes

STRICT_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def by_h11(raw: bytes) -> tuple[int, dict[str, str], bytes, bool]:
    """The reply as h11's client reads it: status, headers, body, and whether the connection stays."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    response, body = connection.next_event(), b""
    assert isinstance(response, h11.Response)
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    headers = {name.decode(): value.decode() for name, value in response.headers}
    return response.status_code, headers, body, connection.their_state is h11.DONE


class TestRequest:
    def test_a_parameter_that_comes_twice_is_the_first(self):
        """Nobody in front of us reads it differently, but it must be one of them."""
        request = Request("GET", ("",), (("a", "1"), ("b", ""), ("a", "2")), {}, keep_alive=True)

        assert (request.parameter("a"), request.parameter("b"), request.parameter("c")) == ("1", "", None)


class TestToBytes:
    @given(st.sampled_from([200, 400, 401, 403, 404, 405, 413, 414, 431, 503]), st.binary(), st.booleans())
    def test_a_client_reads_what_was_said(self, status: int, body: bytes, close: bool):
        """A Content-Length always, so that no client waits for the connection to close."""
        reply = Reply(status, body, "text/plain", (("Metadata-Flavor", "Google"), ("Retry-After", "1")))
        read_status, headers, read_body, stays = by_h11(to_bytes(reply, close=close))

        assert (read_status, read_body, stays) == (status, body, not close)
        assert headers == {
            "content-type": "text/plain",
            "content-length": str(len(body)),
            "cache-control": "no-store",
            "metadata-flavor": "Google",
            "retry-after": "1",
        } | ({"connection": "close"} if close else {})

    def test_httptools_reads_it_too(self):
        """The parser that Node and uvloop's world use."""
        read: list[bytes | bool] = []

        class Seen:
            def on_body(self, body: bytes) -> None:
                read.append(body)

            def on_message_complete(self) -> None:
                read.append(parser.should_keep_alive())

        parser = httptools.HttpResponseParser(Seen())
        parser.feed_data(to_bytes(Reply(200, b"{}"), close=False))

        assert (parser.get_status_code(), read) == (200, [b"{}", True])

    def test_the_content_type_of_aws_errors_is_exact(self):
        """Go compares the whole header."""
        assert b"\r\nContent-Type: application/json\r\n" in to_bytes(Reply(403, b"{}"), close=False)

    def test_to_head_the_length_is_told_and_nothing_sent(self):
        """RFC 9110, 9.3.2: as GET would have it."""
        whole = to_bytes(Reply(405, b"{}"), close=True)

        assert to_bytes(Reply(405, b"{}"), close=True, to_head=True) == whole.removesuffix(b"{}")

    def test_a_status_without_a_name_is_still_a_reply(self):
        """The phrase is optional, the space before it is not."""
        assert by_h11(to_bytes(Reply(599, b""), close=True))[0] == 599


class TestJsonBody:
    @given(st.dictionaries(st.text(min_size=1), st.text() | st.integers(0, 2**53) | st.none()))
    def test_any_json_reader_gets_it_back(self, members: dict[str, str | int | None]):
        """Text of any language survives; what is absent is not there, rather than null."""
        assert json.loads(json_body(**members)) == {key: value for key, value in members.items() if value is not None}

    def test_what_is_empty_but_there_is_kept(self):
        """An empty session token must be sent, and 0 is a number."""
        assert json.loads(json_body(a="", b=0, c=None, d=False)) == {"a": "", "b": 0, "d": False}


class TestTimestamp:
    @given(st.floats(0, 253_402_300_799))
    def test_it_is_what_the_strictest_reader_takes_and_never_later(self, seconds: float):
        """No fraction, no offset, a capital Z; a rounded-up expiry would be a lease past its end."""
        text = timestamp(seconds)
        read = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()

        assert STRICT_DATE.fullmatch(text)
        assert 0 <= seconds - read < 1

    @pytest.mark.parametrize(("seconds", "text"), [(0, "1970-01-01T00:00:00Z"), (1790000000.9, "2026-09-21T14:13:20Z")])
    def test_known_times(self, seconds: float, text: str):
        """Pinned by hand, so that writer and reader cannot be wrong together."""
        assert timestamp(seconds) == text
