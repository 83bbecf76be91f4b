"""The rules of the head parser as a table: a head, and what it is to be read as. Mutants are killed by these rows."""

from types import ModuleType

import msgspec

from broker.errors import Refused
from broker.wire import NOT_PLAIN

TOKEN = "c" * 43
BOTO3 = (
    b"GET /aws/train HTTP/1.1\r\nHost: 127.0.0.1:9911\r\nAccept-Encoding: identity\r\nAccept: application/json\r\n"
    b"Authorization: cbw_"
    + TOKEN.encode()
    + b"\r\nUser-Agent: Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.8.0\r\n\r\n"
)
GOOGLE = (
    b"GET /w/cbp_" + TOKEN.encode() + b"/computeMetadata/v1/instance/service-accounts/default/token"
    b"?scopes=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.read_write HTTP/1.1\r\nHost: 127.0.0.1:9911\r\n"
    b"User-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
    b"metadata-flavor: Google\r\nx-goog-api-client: gl-python/3.11.7 auth/2.62.2 auth-request-type/at cred-type/mds\r\n"
    b"\r\n"
)
IMDS = (
    b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
    b"X-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n"
)


class Read(msgspec.Struct, frozen=True):
    """What a request is read as, as far as a row cares."""

    segments: tuple[str, ...]
    query: tuple[tuple[str, str], ...] = ()
    keep_alive: bool = True


def head(line: str = "GET /aws HTTP/1.1", *fields: str, host: str | None = "Host: 127.0.0.1") -> bytes:
    """A head from its lines."""
    lines = [line, *([host] if host is not None else []), *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def seen(module: ModuleType, raw: bytes) -> int | Read:
    """What a parser makes of a head: the status it refuses it with, or what it reads."""
    try:
        request = module.parse(raw)
    except Refused as refused:
        return refused.status
    return Read(request.segments, request.query, request.keep_alive)


def padded(size: int) -> bytes:
    """A valid head of exactly `size` bytes."""
    short = head("GET /aws HTTP/1.1", "X: ")
    return head("GET /aws HTTP/1.1", "X: " + "a" * (size - len(short)))


def long_url(size: int) -> bytes:
    """A valid head but for the length of its target."""
    return head(f"GET /{'a' * (size - 1)} HTTP/1.1")


def many(fields: int) -> bytes:
    """A valid head but for the number of its fields; Host is one of them."""
    return head("GET /aws HTTP/1.1", *(f"X-{number}: a" for number in range(fields - 1)))


AWS = Read(("aws",))
CLOSING = Read(("aws",), keep_alive=False)
ELSEWHERE = Read(NOT_PLAIN)

ACCEPTED: dict[str, tuple[bytes, int | Read]] = {
    "plain": (head(), AWS),
    "root": (head("GET / HTTP/1.1"), Read(("",))),
    "trailing slash": (head("GET /w/cbp_x/ HTTP/1.1"), Read(("w", "cbp_x", ""))),
    "every plain character": (head("GET /aZ09._~@:- HTTP/1.1"), Read(("aZ09._~@:-",))),
    "any token as a name": (head("GET /aws HTTP/1.1", "!#$%&'*+-.^_`|~09aZ: a"), AWS),
    "no space before a value": (head("GET /aws HTTP/1.1", "Accept:*/*"), AWS),
    "an empty value": (head("GET /aws HTTP/1.1", "Accept-Encoding: "), AWS),
    "an empty body": (head("GET /aws HTTP/1.1", "Content-Length: 0"), AWS),
    "an upgrade": (head("GET /aws HTTP/1.1", "Connection: upgrade", "Upgrade: websocket"), AWS),
    "PUT of an IMDS token": (IMDS, Read(("latest", "api", "token"))),
    "PUT of a worker token": (head("PUT /worker-token HTTP/1.1"), Read(("worker-token",))),
    "HTTP/1.0": (head("GET /aws HTTP/1.0"), CLOSING),
    "HTTP/1.0 that would stay": (head("GET /aws HTTP/1.0", "Connection: keep-alive"), CLOSING),
    "keep-alive": (head("GET /aws HTTP/1.1", "Connection: keep-alive"), AWS),
    "close": (head("GET /aws HTTP/1.1", "Connection: close"), CLOSING),
    "close among others": (head("GET /aws HTTP/1.1", "Connection: TE ,  Close"), CLOSING),
    "a word with close in it": (head("GET /aws HTTP/1.1", "Connection: closed"), AWS),
    "a query": (head("GET /aws?a=b&c HTTP/1.1"), Read(("aws",), (("a", "b"), ("c", "")))),
    "a query between marks": (head("GET /aws?&a=b=?/& HTTP/1.1"), Read(("aws",), (("a", "b=?/"),))),
    "an empty query": (head("GET /aws? HTTP/1.1"), AWS),
    "an escaped query": (head("GET /aws?%61+b=%2B%26%3d%25 HTTP/1.1"), Read(("aws",), (("a b", "+&=%"),))),
    "UTF-8 in a query": (head("GET /aws?a=%C3%A9%e2%82%ac HTTP/1.1"), Read(("aws",), (("a", "é€"),))),
    "a name given twice in a query": (head("GET /aws?a=1&a=2 HTTP/1.1"), Read(("aws",), (("a", "1"), ("a", "2")))),
    "a head of 16 KiB": (padded(16 * 1024), AWS),
    "a URL of 4 KiB": (long_url(4096), Read(("a" * 4095,))),
    "100 fields": (many(100), AWS),
}

# Well-formed, but nothing is there: the sender hears so (404) once he is identified.
ELSEWHERE_ROWS: dict[str, tuple[bytes, int | Read]] = {
    name: (head(f"GET {target} HTTP/1.1"), ELSEWHERE)
    for name, target in {
        "a doubled slash": "//aws",
        "a doubled slash within": "/aws//train",
        "a doubled slash at the end": "/aws//",
        "a dot": "/./aws",
        "two dots": "/token/../aws",
        "two dots at the end": "/aws/..",
        "escaped dots": "/token/%2e%2e/aws",
        "an escaped letter": "/%61ws",
        "an escaped NUL": "/aws/train%00",
        "an overlong slash": "/aws%c0%aftrain",
        "a semicolon": "/aws;x",
        "a backslash": "/aws\\train",
        "a fragment": "/aws#train",
        "a template": "/aws/{caller}",
    }.items()
}

BROKEN: dict[str, tuple[bytes, int | Read]] = {
    name: (raw, 400)
    for name, raw in {
        "nothing": b"\r\n\r\n",
        "a blank line first": b"\r\n" + BOTO3,
        "a newline first": b"\n" + BOTO3,
        "a space first": b" " + BOTO3,
        "no fields": b"GET /aws HTTP/1.1\r\n\r\n",
        "no Host": head(host=None),
        "no Host in HTTP/1.0": head("GET /aws HTTP/1.0", host=None),
        "two Hosts": head("GET /aws HTTP/1.1", "host: 127.0.0.1"),
        "two Authorizations": head("GET /aws HTTP/1.1", "Authorization: a", "authorization: a"),
        "two lengths": head("GET /aws HTTP/1.1", "Content-Length: 0", "Content-Length: 0"),
        "two encodings": head("GET /aws HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        "two of anything": head("GET /aws HTTP/1.1", "Accept: a", "accept: b"),
        "a length and an encoding": head("GET /aws HTTP/1.1", "Content-Length: 0", "Transfer-Encoding: chunked"),
        "an empty length": head("GET /aws HTTP/1.1", "Content-Length: "),
        "a signed length": head("GET /aws HTTP/1.1", "Content-Length: +0"),
        "a list of lengths": head("GET /aws HTTP/1.1", "Content-Length: 0, 0"),
        "a hexadecimal length": head("GET /aws HTTP/1.1", "Content-Length: 0x0"),
        "a folded field": head("GET /aws HTTP/1.1", "Accept: a,", " b"),
        "a field folded by a tab": head("GET /aws HTTP/1.1", "Accept: a,", "\tb"),
        "a bare LF": BOTO3.replace(b"train HTTP/1.1\r\n", b"train HTTP/1.1\n"),
        "a bare LF after a field": BOTO3.replace(b"identity\r\n", b"identity\n"),
        "a bare LF at the end": head()[:-2] + b"\n",
        "a bare CR": head("GET /aws HTTP/1.1", "Accept: a\rb"),
        "a NUL": head("GET /aws HTTP/1.1", "Accept: a\0b"),
        "a tab in a value": head("GET /aws HTTP/1.1", "Accept: a\tb"),
        "a DEL": head("GET /aws HTTP/1.1", "Accept: a\x7fb"),
        "a byte above ASCII": head("GET /aws HTTP/1.1", "Accept: \xe9"),
        "a byte above ASCII in the path": head("GET /aws\xe9 HTTP/1.1"),
        "a space before the colon": head("GET /aws HTTP/1.1", "Accept : a"),
        "a field without a colon": head("GET /aws HTTP/1.1", "Accept"),
        "a field without a name": head("GET /aws HTTP/1.1", ": a"),
        "a space in a name": head("GET /aws HTTP/1.1", "Acc ept: a"),
        "two spaces before the path": head("GET  /aws HTTP/1.1"),
        "two spaces after the path": head("GET /aws  HTTP/1.1"),
        "a space at the end of the line": head("GET /aws HTTP/1.1 "),
        "a tab for a space": head("GET\t/aws HTTP/1.1"),
        "a space in the path": head("GET /a ws HTTP/1.1"),
        "no path": head("GET  HTTP/1.1"),
        "no version": head("GET /aws"),
        "a relative path": head("GET aws HTTP/1.1"),
        "an absolute form": head("GET http://127.0.0.1/aws HTTP/1.1"),
        "an absolute form by a foreign method": head("OPTIONS http://127.0.0.1/aws HTTP/1.1"),
        "an authority form by GET": head("GET 127.0.0.1:9911 HTTP/1.1"),
        "an asterisk by GET": head("GET * HTTP/1.1"),
        "a method that is no token": head("G{T /aws HTTP/1.1"),
        "HTTP/0.9": head("GET /aws HTTP/0.9"),
        "HTTP/1.2": head("GET /aws HTTP/1.2"),
        "HTTP/2.0": head("GET /aws HTTP/2.0"),
        "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\n",
        "a lower-case version": head("GET /aws http/1.1"),
        "something after the head": head() + b"x",
        "a second head": head() + head(),
        "an escape cut short": head("GET /aws?a=%4 HTTP/1.1"),
        "an escape that is none": head("GET /aws?a=%zz HTTP/1.1"),
        "a bad escape behind an odd path": head("GET /aws;x?a=%zz HTTP/1.1"),
        "a NUL in a query": head("GET /aws?a=%00 HTTP/1.1"),
        "a newline in a query": head("GET /aws?a=%0a HTTP/1.1"),
        "a C1 control in a query": head("GET /aws?a=%C2%85 HTTP/1.1"),
        "overlong UTF-8 in a query": head("GET /aws?a=%C0%AF HTTP/1.1"),
        "half a character in a query": head("GET /aws?a=%C3 HTTP/1.1"),
        "a surrogate in a query": head("GET /aws?a=%ED%A0%80 HTTP/1.1"),
        "a quote in a query": head('GET /aws?a=" HTTP/1.1'),
        "a backslash in a query": head("GET /aws?a=\\x41 HTTP/1.1"),
        "a fragment behind a query": head("GET /aws?a#b HTTP/1.1"),
    }.items()
}

REFUSED: dict[str, tuple[bytes, int | Read]] = {
    "a head over 16 KiB": (padded(16 * 1024 + 1), 431),
    "101 fields": (many(101), 431),
    "a URL over 4 KiB": (long_url(4097), 414),
    "a URL over 4 KiB with its query": (head(f"GET /aws?{'a' * 4092} HTTP/1.1"), 414),
    "a URL over 16 KiB": (long_url(20_000), 414),
    "a long URL in a long head": (long_url(5000)[:-2] + b"X: " + b"a" * 16_000 + b"\r\n\r\n", 414),
    "a malformed head over 16 KiB": (padded(16 * 1024 + 1).replace(b"Host:", b"Host :"), 400),
    "a malformed line over 16 KiB": (long_url(20_000).replace(b"GET ", b"GET  "), 400),
    "a body": (head("GET /aws HTTP/1.1", "Content-Length: 1"), 413),
    "a huge body": (head("GET /aws HTTP/1.1", f"Content-Length: {'9' * 40}"), 413),
    "a length that two readers read differently": (head("GET /aws HTTP/1.1", "Content-Length: 00"), 413),
    "chunks": (head("GET /aws HTTP/1.1", "Transfer-Encoding: chunked"), 413),
    "an odd encoding": (head("GET /aws HTTP/1.1", "Transfer-Encoding: xchunked"), 413),
    "an expectation": (head("GET /aws HTTP/1.1", "Expect: 100-continue"), 413),
    "any other expectation": (head("GET /aws HTTP/1.1", "Expect: a"), 413),
    "a body by POST": (head("POST /aws HTTP/1.1", "Content-Length: 1"), 413),
    "too many fields by POST": (head("POST /aws HTTP/1.1", *(f"X-{number}: a" for number in range(100))), 431),
    "a long URL and a body": (long_url(5000).replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n"), 414),
    "HEAD": (head("HEAD /aws HTTP/1.1"), 405),
    "POST": (head("POST /aws HTTP/1.1"), 405),
    "OPTIONS": (head("OPTIONS /aws HTTP/1.1"), 405),
    "OPTIONS of the server": (head("OPTIONS * HTTP/1.1"), 405),
    "TRACE": (head("TRACE /aws HTTP/1.1"), 405),
    "CONNECT": (head("CONNECT 127.0.0.1:9911 HTTP/1.1"), 405),
    "CONNECT to a path": (head("CONNECT /aws HTTP/1.1"), 405),
    "a lower-case method": (head("get /aws HTTP/1.1"), 405),
    "an unknown method": (head("M-SEARCH /aws HTTP/1.1"), 405),
    "PUT elsewhere": (head("PUT /aws HTTP/1.1"), 405),
    "PUT below a token's path": (head("PUT /latest/api/token/ HTTP/1.1"), 405),
}

ROWS = ACCEPTED | ELSEWHERE_ROWS | BROKEN | REFUSED
