"""HTTP as the worker plane knows it: a request without a body, a reply, and the reply's bytes. Pure."""

import functools
import http
from datetime import UTC, datetime

import msgspec

_encode = msgspec.json.Encoder().encode
NOT_PLAIN = ("//",)


class Request(msgspec.Struct, frozen=True):
    """One parsed request head.

    `segments` are the path's parts between slashes, undecoded ("/aws/train" -> ("aws", "train"), "/" -> ("",)); a
    trailing slash is an empty last segment, and a path that is not plain is NOT_PLAIN, which nothing can be named.
    `query` holds the parameters, percent-decoded, in order. `fields` are the header fields, names in lower
    case, each at most once.
    """

    method: str
    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    fields: dict[str, str]
    keep_alive: bool

    def parameter(self, name: str) -> str | None:
        """The first query parameter of that name."""
        for key, value in self.query:
            if key == name:
                return value
        return None


class Reply(msgspec.Struct, frozen=True):
    """One reply. `headers` are added to Content-Type, Content-Length and Cache-Control, which every reply has."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def json_body(**members: object) -> bytes:
    """A flat JSON object; members that are None are left out."""
    if None in members.values():
        members = {name: member for name, member in members.items() if member is not None}
    return _encode(members)


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as every client reads them: RFC 3339, UTC, a capital Z; a fraction is dropped."""
    return _timestamp(int(seconds))


@functools.lru_cache(maxsize=1024)  # one lease is shown many times
def _timestamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00") + "Z"


def to_bytes(reply: Reply, *, close: bool, to_head: bool = False) -> bytes:
    """The reply as HTTP/1.1 with a Content-Length, never chunked or compressed; to a HEAD request without its body."""
    head = _head(reply.status, reply.content_type, reply.headers + _CLOSE if close else reply.headers)
    return b"%b%d\r\n\r\n%b" % (head, len(reply.body), b"" if to_head else reply.body)


@functools.lru_cache(maxsize=256)  # replies differ in their bodies and in little else
def _head(status: int, content_type: str, headers: tuple[tuple[str, str], ...]) -> bytes:
    """All that stands before the number of Content-Length, which comes last."""
    fields = (("Content-Type", content_type), ("Cache-Control", "no-store"), *headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {_STATUS_LINE.get(status) or f'{status} '}\r\n{lines}Content-Length: ".encode("ascii")


_CLOSE = (("Connection", "close"),)
_STATUS_LINE = {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
