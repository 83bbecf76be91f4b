"""Bytes for the worker plane that are nearly requests: several on a connection, mutated, cut into pieces anywhere.

Strategies of hypothesis. `tokens` are worth showing, a good one or none; what is made of them may be anything.
"""

from collections.abc import Sequence

from hypothesis import strategies as st

METHODS = ["GET", "GET", "GET", "GET", "HEAD", "PUT", "POST", "OPTIONS", "TRACE", "CONNECT", "get", "GE T", "", "PRI"]
PATHS = [
    *("/aws", "/aws/train", "/aws/hers", "/env/train", "/token", "/token/train", "/", "", "*", "/w/", "/w//aws/train"),
    *("/computeMetadata/v1/", "/computeMetadata/v1/instance/service-accounts/default/token", "/latest/api/token"),
    *("/latest/meta-data/iam/security-credentials/train", "//aws/train", "/aws/./train", "/aws/%74rain", "/aws/train?"),
    *("/aws/train?a=%zz", "/aws/train?a=b&a=%0d%0a", "http://localhost/aws/train", "/aws/train;x", "/aws/train#x"),
    *("/worker-token", "/healthz", "/status", "/env/", "/aws/train/", "/\u00e9"),
]
SOUND_PATHS = [
    *("/aws", "/aws/train", "/aws/hers", "/env/train", "/token/train", "/", "/aws/train?a=b", "/aws/nosuch"),
    *(
        "/computeMetadata/v1/instance/service-accounts/default/token",
        "/latest/meta-data/iam/security-credentials/train",
    ),
]
SOUND_FIELDS = [
    *("Metadata-Flavor: Google", "Accept: */*", "X-aws-ec2-metadata-token: cbi_x", "Connection: keep-alive", "X-A: a"),
    *("X-IDENTITY-HEADER: attested", "Connection: close", "Content-Length: 0", "Cookie: a=b", "X-Api-Key: attested"),
]
NAMES = [
    *("Authorization", "authorization", "Metadata-Flavor", "X-aws-ec2-metadata-token", "X-IDENTITY-HEADER", "Host"),
    *("X-aws-ec2-metadata-token-ttl-seconds", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade"),
    *("X-Forwarded-For", "Via", "Origin", "Sec-Fetch-Mode", "Accept", "Cookie", "X-A", "", "A B", "\u00e9", "Proxy"),
]
VALUES = [
    *("attested", "Bearer attested", "Basic YXR0ZXN0ZWQ6", "Google", "", " ", "0", "5", "21600", "chunked", "close"),
    *("keep-alive", "100-continue", "h2c", "cbw_", "cbi_x", "a, b", "a\tb", "\u00ff", "0, 0", "+0", "identity"),
]
ENDS = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\r\n ", "\r\n\t", "", "\0\r\n"]
PIECES = [
    *(
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b"\xff",
        b":",
        b"/",
        b"%",
        b"?",
        b"HTTP/1.1",
        b"HTTP/1.0",
    ),
    *(
        b"GET /aws/train HTTP/1.1\r\n",
        b"Authorization: attested\r\n",
        b"Content-Length: 30\r\n",
        b"Host: localhost\r\n",
    ),
    *(b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked\r\n", b"a" * 5000, b"X: a\r\n" * 101),
]


def connections(host: str, tokens: Sequence[str]) -> st.SearchStrategy[list[bytes]]:
    """What is sent on one connection, piece by piece."""
    return st.lists(_requests(host, tokens), min_size=1, max_size=4).flatmap(lambda requests: _cut(b"".join(requests)))


def _cut(data: bytes) -> st.SearchStrategy[list[bytes]]:
    at = st.lists(st.integers(0, len(data)), max_size=3).map(sorted)
    return at.map(lambda cuts: [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)])


@st.composite
def _requests(draw: st.DrawFn, host: str, tokens: Sequence[str]) -> bytes:
    """Sound as often as not, so that what is wrong is met behind what is right."""
    kind = draw(st.sampled_from("ssssssddoox"))
    if kind == "x":
        return draw(st.binary(max_size=99))
    data = draw(_odd(host, tokens) if kind == "o" else _sound(host, tokens))
    return draw(_damaged(data)) if kind == "d" else data


def _near(tokens: Sequence[str]) -> list[str]:
    """Tokens, and what is nearly one."""
    edited = ("{}", "{}", "Bearer {}", " {} ", "{}x", "x{}", "{}, attested", '"{}"', "cbp_{}", "{}=")
    return [form.format(token) for token in tokens for form in edited] + [token[:-1] for token in tokens]


@st.composite
def _sound(draw: st.DrawFn, host: str, tokens: Sequence[str]) -> bytes:
    """A head that parses, for a path that is there, with or without something to show."""
    path = draw(
        st.sampled_from([*SOUND_PATHS, *(f"/w/{token}/{rest}" for token in tokens for rest in ("aws", "env/a"))])
    )
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
    shown = draw(st.sampled_from(["", "attested", "Bearer attested", *_near(tokens)]))
    if shown:
        lines.append(f"Authorization: {shown}")
    lines += draw(st.lists(st.sampled_from(SOUND_FIELDS), max_size=2, unique_by=lambda line: line.split(":")[0]))
    return "\r\n".join([*lines, "", ""]).encode()


@st.composite
def _odd(draw: st.DrawFn, host: str, tokens: Sequence[str]) -> bytes:
    """A head of parts that are wrong as often as not."""
    shown = draw(st.sampled_from([*VALUES, *_near(tokens)]))
    path = draw(st.sampled_from([*PATHS, *(f"/w/{token}/aws/train" for token in tokens)]))
    version = draw(st.sampled_from([" HTTP/1.1"] * 5 + [" HTTP/1.0", "", " HTTP/2.0", "  HTTP/1.1", " http/1.1"]))
    lines = [f"{draw(st.sampled_from(METHODS))} {path}{version}"]
    if draw(st.integers(0, 7)):
        lines.append(f"Host: {host}")
    if draw(st.integers(0, 2)):
        lines.append(f"Authorization: {shown}")
    fields = st.tuples(st.sampled_from(NAMES), st.sampled_from([": ", ":", " : ", ""]), st.sampled_from(VALUES))
    lines += ["".join(field) for field in draw(st.lists(fields, max_size=3))]
    wrong = draw(st.integers(0, len(lines) * 3))
    ends = [draw(st.sampled_from(ENDS)) if number == wrong else "\r\n" for number in range(len(lines))]
    head = "".join(line + end for line, end in zip(lines, ends, strict=True)) + "\r\n"
    return head.encode("latin-1", "replace") + draw(st.sampled_from([b"", b"", b"", b"hello", b"0\r\n\r\n"]))


@st.composite
def _damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The same with up to three edits anywhere."""
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(data)))
        end = begin + draw(st.sampled_from([0, 0, 1, 2, 10]))
        data = data[:begin] + draw(st.sampled_from(PIECES) | st.binary(max_size=3)) + data[end:]
    return data
