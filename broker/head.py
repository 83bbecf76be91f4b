"""The strict head parser: the bytes of one request head in, a Request out, or Refused.

It accepts exactly the grammar that the worker plane needs, a subset of RFC 9112 in which no two readers can disagree;
h11 and httptools are the oracles of its tests. Pure: no socket, no clock, no policy.

Refusals come in the order of the contract: 400 (malformed, ambiguous, no Host), 431 and 414 (too long), 413 (a body is
announced), 405 (method). A path that is not plain is no error here: it becomes NOT_PLAIN, which no dialect knows, so
that its sender learns nothing (404) before he is identified.

Every quantifier is possessive, so that a head is read once from left to right, however hostile it is.
"""

import codecs
import re

from broker.errors import Refused
from broker.wire import NOT_PLAIN, Request

END = b"\r\n\r\n"
LONGEST_HEAD = 16 * 1024
LONGEST_TARGET = 4 * 1024
MOST_FIELDS = 100

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105  # the token of RFC 9110, not a secret
_FIELDS = rf"(?:{_TOKEN}:[ -~]*+\r\n)*+"
_HEAD = re.compile(rf"({_TOKEN}) (/[0-9A-Za-z._~@:/-]*+|)([!-~]*+) HTTP/1\.([01])\r\n({_FIELDS})\r\n")
_UNFINISHED_LINE = re.compile(rf"{_TOKEN} /[!-~]*+")
_NEVER_VALID = re.compile(rb"[^ -~\r\n]|\r(?=[^\n])|(?<!\r)\n")
_AUTHORITY = re.compile(r"[0-9A-Za-z.:\[\]-]++")
_QUERY_TEXT = r"[0-9A-Za-z._~!$&'()*+,;=:@/?-]*+"
_QUERY = re.compile(rf"{_QUERY_TEXT}(?:%[0-9A-Fa-f]{{2}}{_QUERY_TEXT})*+")

_unescape = codecs.getdecoder("unicode_escape")

_BODY_FIELDS = frozenset({"content-length", "transfer-encoding", "expect"})
_PUT_PATHS = frozenset({("latest", "api", "token"), ("worker-token",)})


def find_end(buffer: bytes | bytearray, begin: int = 0, seen: int = 0) -> int:
    """Where the head that begins at `begin` ends, just past its blank line, or -1 while more is needed.

    `seen` is how many of its bytes an earlier call has looked at, so that a head that trickles in is still read once.
    Raises Refused where no further byte can make it a valid head: 400, 414 or 431.
    """
    end = buffer.find(END, begin + max(seen - 3, 0) if seen else begin, begin + LONGEST_HEAD)
    if end >= 0:
        return end + len(END)
    if _NEVER_VALID.search(buffer, begin + seen - 1 if seen else begin, begin + LONGEST_HEAD):
        raise _malformed()
    if len(buffer) - begin >= LONGEST_HEAD:
        raise _overlong(buffer[begin : begin + LONGEST_HEAD])
    return -1


def parse(head: bytes) -> Request:
    """The request that `head` says, which ends with its blank line. Raises Refused."""
    if len(head) > LONGEST_HEAD:
        raise _overlong(head[:LONGEST_HEAD])
    match = _HEAD.fullmatch(head.decode("latin-1"))
    if match is None:
        raise _malformed()
    method, path, rest, minor, block = match.groups()
    fields = _fields(block)
    body = not _BODY_FIELDS.isdisjoint(fields) and _announces_body(fields)
    segments = _segments(method, path, rest)
    query = _parameters(rest.partition("?")[2]) if "?" in rest else ()
    allowed = method == "GET" or (method == "PUT" and segments in _PUT_PATHS)
    if body or not allowed or len(fields) > MOST_FIELDS or len(path) + len(rest) > LONGEST_TARGET:
        raise _first_in_order(len(path) + len(rest), len(fields), body=body)
    connection = fields.get("connection")
    keep_alive = minor == "1" and (connection is None or connection == "keep-alive" or not _closes(connection))
    return Request(method, segments, query, fields, keep_alive)


def _fields(block: str) -> dict[str, str]:
    """The fields by lower-case name. A name that comes twice, or no Host, is malformed."""
    lines = block.splitlines()
    fields = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip(" ")
    if len(fields) != len(lines):
        raise Refused(400, "BadRequest", "a header field came twice; send each one once")
    if "host" not in fields:
        raise Refused(400, "BadRequest", "there is no Host field; send one, under HTTP/1.0 too")
    return fields


def _announces_body(fields: dict[str, str]) -> bool:
    """Whether a body would follow; raises 400 where two readers could disagree about it."""
    length = fields.get("content-length", "0")
    if not length.isdecimal() or ("content-length" in fields and "transfer-encoding" in fields):
        raise Refused(400, "BadRequest", "the length of the body is ambiguous; send no body")
    return length != "0" or "transfer-encoding" in fields or "expect" in fields


def _segments(method: str, path: str, rest: str) -> tuple[str, ...]:
    """The parts of a plain path: without escapes, `;`, `//` or a segment that begins with a dot.

    Raises 400 for an absolute-form target. Those of CONNECT and OPTIONS pass: it is the method that refuses them.
    """
    if not path:
        if (method, rest) != ("OPTIONS", "*") and not (method == "CONNECT" and _AUTHORITY.fullmatch(rest)):
            raise _malformed()
        return NOT_PLAIN
    if (rest and rest[0] != "?") or "//" in path or "/." in path:
        return NOT_PLAIN
    return tuple(path[1:].split("/"))


def _parameters(query: str) -> tuple[tuple[str, str], ...]:
    """The parameters in order, decoded as forms are: `+` is a space, escapes are UTF-8 and printable."""
    if not _QUERY.fullmatch(query):
        raise _bad_query()
    parameters = []
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if piece:
            parameters.append((_decoded(name), _decoded(value)))
    return tuple(parameters)


def _decoded(text: str) -> str:
    """Text without its escapes, which _QUERY has found well-formed. One pass in C: this is on the hot path."""
    if "%" not in text and "+" not in text:
        return text
    try:
        decoded, _ = _unescape(text.replace("+", " ").replace("%", "\\x").encode())
        if not decoded.isascii():
            decoded = decoded.encode("latin-1").decode()
    except UnicodeDecodeError:
        raise _bad_query() from None
    if not decoded.isprintable():
        raise _bad_query()
    return decoded


def _closes(connection: str) -> bool:
    """Whether `close` is among the options of a Connection field."""
    return any(option.strip(" ") == "close" for option in connection.lower().split(","))


def _first_in_order(target: int, fields: int, *, body: bool) -> Refused:
    """The refusal of a well-formed request that comes first in the contract's order."""
    if target > LONGEST_TARGET:
        return _long_url()
    if fields > MOST_FIELDS:
        return Refused(431, "HeadTooLarge", f"there are more than {MOST_FIELDS} header fields")
    if body:
        return Refused(413, "BodyNotAllowed", "requests have no body here; send none")
    return Refused(405, "MethodNotAllowed", "only GET is answered here")


def _overlong(start: bytes | bytearray) -> Refused:
    """What is wrong with a head of which these first bytes are all that was looked at."""
    lines, end, line = start.decode("latin-1").rpartition("\r\n")
    if not end:
        return _long_url() if _UNFINISHED_LINE.fullmatch(line) else _malformed()
    match = _HEAD.fullmatch(lines + "\r\n\r\n")
    if match is None:
        return _malformed()
    if len(match[2] + match[3]) > LONGEST_TARGET:
        return _long_url()
    return Refused(431, "HeadTooLarge", f"the request head is longer than {LONGEST_HEAD} bytes")


def _malformed() -> Refused:
    return Refused(400, "BadRequest", "the request head is malformed; send HTTP/1.1 and a path such as /aws")


def _bad_query() -> Refused:
    return Refused(400, "BadRequest", "the query is malformed; escape it as UTF-8, without control characters")


def _long_url() -> Refused:
    return Refused(414, "UriTooLong", f"the URL is longer than {LONGEST_TARGET} bytes")
