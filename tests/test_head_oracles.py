"""Two strangers beside the head parser: what h11 or httptools refuses it refuses, what it accepts they read alike.

Heads are made by mutating valid ones (bytes, whole lines, CR and LF) and from scratch, of pieces that matter.
"""

from urllib.parse import parse_qsl

import h11
import httptools
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import Refused
from broker.head import parse
from broker.wire import NOT_PLAIN, Request
from tests.head_rows import ACCEPTED, BOTO3, GOOGLE, IMDS, ROWS, head


class Reading(msgspec.Struct, frozen=True):
    """How a reader understood one head without a body."""

    method: str
    target: str
    fields: dict[str, str]
    keep_alive: bool


def by_h11(raw: bytes) -> Reading | None:
    """What h11 reads, or None where it refuses, waits for more, or sees a body or a second request."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(raw)
        request, end = connection.next_event(), connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(request, h11.Request) or not isinstance(end, h11.EndOfMessage) or connection.trailing_data[0]:
        return None
    connection.send(h11.Response(status_code=400, headers=[("Content-Length", "0")]))  # which declines any upgrade
    connection.send(h11.EndOfMessage())
    fields = {name.decode(): value.decode("latin-1") for name, value in request.headers}
    return Reading(request.method.decode(), request.target.decode(), fields, connection.our_state is h11.DONE)


class Seen:
    """The callbacks of httptools, as far as one head goes."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.messages = 0
        self.keep_alive = False
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.messages += 1
        self.keep_alive = self.parser.should_keep_alive()


def by_httptools(raw: bytes) -> Reading | None:
    """What httptools reads, or None; it complains of a declined upgrade only once the message is whole."""
    seen = Seen()
    try:
        seen.parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    if seen.messages != 1 or seen.body:
        return None
    fields = {name.decode("latin-1").lower(): value.decode("latin-1").strip(" ") for name, value in seen.fields}
    # Under HTTP/1.0 it would keep a connection that says so; closing one is never wrong.
    keep_alive = seen.parser.get_http_version() == "1.1" and seen.keep_alive
    return Reading(seen.parser.get_method().decode(), seen.target.decode("latin-1"), fields, keep_alive)


def ours(raw: bytes) -> Request | None:
    """What the parser reads, or None."""
    try:
        return parse(raw)
    except Refused:
        return None


def compare(raw: bytes) -> Request | None:
    """Hold the parser to both oracles; what it read."""
    request = ours(raw)
    if request is not None:
        for reading in (by_h11(raw), by_httptools(raw)):
            assert reading is not None
            assert (reading.method, reading.fields) == (request.method, request.fields)
            assert reading.keep_alive == request.keep_alive
            path, _, query = reading.target.partition("?")
            assert request.segments in {NOT_PLAIN, tuple(path[1:].split("/"))}
            assert request.query == tuple(parse_qsl(query, keep_blank_values=True))
    return request


# Not among them: Proxy-Connection, which httptools obeys as Connection and the RFC has nobody send to an origin server.
PIECES = [
    b"\r", b"\n", b"\r\n", b"\n\r", b"\r\n\r\n", b" ", b"  ", b"\t", b"\0", b"\x7f", b"\x80", b"\xff", b"\xc0\xaf",
    b":", b";", b",", b"?", b"#", b"%", b"%41", b"%zz", b"+", b"&", b"=", b"/", b"//", b"/..", b"\\", b'"', b"(", b"{",
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"http://a/", b"*", b"POST", b"PUT", b"CONNECT", b"0", b"close", b"Close",
    b"Host: a\r\n", b"Host : a\r\n", b"host:\r\n", b" folded\r\n", b"X\r\n", b"X: \r\n", b": a\r\n",
    b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Content-Length: +0\r\n", b"content-length:0 \r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Expect: 100-continue\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive, CLOSE\r\n", b"Connection: ,close,\r\n",
    b"Connection: closed\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Keep-Alive: timeout=5\r\n",
]  # fmt: skip
VALID = [BOTO3, GOOGLE, IMDS, *(raw for raw, _ in ACCEPTED.values() if len(raw) < 1000)]
NAMES = ["Accept", "Connection", "Upgrade", "Content-Length", "X-a_b", "Via", "TE", "Authorization", "Trailer", "Host"]
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid head with up to four edits; a little damage is worth more than noise."""
    raw = draw(st.sampled_from(VALID))
    for _ in range(draw(st.integers(1, 4))):
        lines = [0, *(found + 1 for found, byte in enumerate(raw) if byte == ord("\n"))]
        at = draw(st.one_of(st.sampled_from(lines), st.integers(0, len(raw))))
        piece = draw(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=1) | st.just(b""))
        raw = raw[:at] + piece + raw[at + draw(st.sampled_from([0, 0, 0, 1, 1, 2, 5])) :]
    return raw


@st.composite
def wild(draw: st.DrawFn) -> bytes:
    """A head from scratch, of pieces that go together or not."""
    method = draw(st.sampled_from(["GET", "GET", "GET", "PUT", "HEAD", "CONNECT", "OPTIONS", "get", "FOO"]))
    target = draw(st.sampled_from(["/", "/aws", "/worker-token", "*", "a:1", "http://a/"]) | TEXT.map("/".__add__))
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2"]))
    values = st.sampled_from(["close", "keep-alive", "upgrade", "Upgrade, close", "TE,close", "0", "h2c"]) | TEXT
    fields = draw(st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4))
    space = draw(st.sampled_from(["", " ", "   "]))
    return head(f"{method} {target} {version}", *(f"{name}:{space}{value}" for name, value in fields))


@st.composite
def good(draw: st.DrawFn) -> bytes:
    """A head that nobody may refuse."""
    path = draw(st.from_regex(r"(/[0-9A-Za-z_~@:-][0-9A-Za-z._~@:-]{0,9}){1,6}/?", fullmatch=True))
    query = draw(st.from_regex(r"(\?([a-z0-9&=+;/?:@!$'()*,._~-]|%[2-6][0-9A-Fa-f]|%C3%A9){0,20})?", fullmatch=True))
    version = draw(st.sampled_from(["HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]))
    names = st.from_regex(r"[xX]-[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", fullmatch=True)
    fields = draw(st.dictionaries(names.map(str.lower), TEXT, max_size=5))
    connection = draw(st.sampled_from([[], ["CONNECTION: x, close"], ["connection:Keep-Alive"]]))
    return head(f"GET {path}{query} {version}", *(f"{name}: {value}" for name, value in fields.items()), *connection)


class TestOracles:
    @settings(max_examples=1500, deadline=None)
    @given(mutated())
    def test_a_damaged_head_is_refused_or_read_alike(self, raw: bytes):
        """Two readers who disagree about a head are how requests are smuggled."""
        compare(raw)

    @settings(max_examples=800, deadline=None)
    @given(wild())
    def test_a_head_from_scratch_is_refused_or_read_alike(self, raw: bytes):
        """Combinations that no list of bad inputs thinks of."""
        compare(raw)

    @settings(max_examples=500, deadline=None)
    @given(good())
    def test_a_good_head_is_accepted_and_read_alike(self, raw: bytes):
        """A parser that refused everything would agree with nobody."""
        assert compare(raw) is not None

    @pytest.mark.parametrize("name", ROWS)
    def test_every_row_of_the_table_is_refused_or_read_alike(self, name: str):
        """The table's own verdicts are held to the oracles too."""
        compare(ROWS[name][0])

    @pytest.mark.parametrize("name", ACCEPTED)
    def test_what_the_table_accepts_both_oracles_accept(self, name: str):
        """Stricter than both, never looser than either."""
        assert compare(ACCEPTED[name][0]) is not None

    def test_the_oracles_refuse_what_is_smuggled(self):
        """An oracle that accepts everything would prove nothing."""
        both = head("GET /aws HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked")

        assert by_httptools(both) is None
        assert by_h11(both) is None
