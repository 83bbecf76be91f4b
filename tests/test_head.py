"""The head parser against its table of rules, however the bytes arrive, and as a machine that never reads twice."""

import itertools
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import head
from broker.errors import Refused
from tests.head_rows import BOTO3, GOOGLE, IMDS, ROWS, TOKEN, Read, long_url, padded, seen

SCANNER: Any = import_module("re._parser")  # what re compiles from; its opcodes say where a match could backtrack


def outcome(chunks: list[bytes]) -> int | Read | None:
    """What a server makes of the first head in bytes that arrive in chunks; None while it waits for more."""
    buffer, looked_at = bytearray(), 0
    for chunk in chunks:
        buffer += chunk
        try:
            end = head.find_end(buffer, 0, looked_at)
        except Refused as refused:
            return refused.status
        if end >= 0:
            return seen(head, bytes(buffer[:end]))
        looked_at = len(buffer)
    return None


def refusal(raw: bytes) -> str:
    """Every word of the refusal of a head, if it is refused."""
    try:
        head.parse(raw)
    except Refused as refused:
        return f"{refused} {refused.advice} {refused.code} {refused.reason}"
    return ""


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    """The bytes in pieces."""
    edges = [0, *sorted(place for place in places if place < len(raw)), len(raw)]
    return [raw[start:end] for start, end in itertools.pairwise(edges)]


def repeats(pattern: Any) -> Iterator[tuple[str, int, int]]:
    """Every repetition in a parsed pattern: its kind, and how often at least and at most."""
    for operation, argument in pattern:
        if str(operation).endswith("REPEAT"):
            least, most, repeated = argument
            yield str(operation), int(least), int(most)
            yield from repeats(repeated)
        else:
            for part in argument if isinstance(argument, list | tuple) else ():
                for inner in part if isinstance(part, list) else [part]:
                    if isinstance(inner, SCANNER.SubPattern):
                        yield from repeats(inner)


def patterns() -> list[re.Pattern[Any]]:
    """Every pattern that the parser has compiled."""
    return [value for value in vars(head).values() if isinstance(value, re.Pattern)]


class TestParse:
    @pytest.mark.parametrize("name", ROWS)
    def test_a_head_is_read_as_its_rule_says(self, name: str):
        """Each row is one rule of the contract or of the list of bad inputs."""
        raw, expected = ROWS[name]

        assert seen(head, raw) == expected

    def test_an_aws_request_is_read_whole(self):
        """Names come in lower case, values as they are."""
        request = head.parse(BOTO3)

        assert (request.method, request.segments, request.query) == ("GET", ("aws", "train"), ())
        assert request.fields == {
            "host": "127.0.0.1:9911",
            "accept-encoding": "identity",
            "accept": "application/json",
            "authorization": f"cbw_{TOKEN}",
            "user-agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.8.0",
        }

    def test_a_google_request_is_read_whole(self):
        """The path token stays in front: whose it is, callers say."""
        request = head.parse(GOOGLE)

        assert request.segments[:3] == ("w", f"cbp_{TOKEN}", "computeMetadata")
        assert request.parameter("scopes") == "https://www.googleapis.com/auth/devstorage.read_write"
        assert request.fields["metadata-flavor"] == "Google"
        assert request.keep_alive

    @given(st.binary(max_size=300))
    def test_any_bytes_are_read_or_refused(self, raw: bytes):
        """Nothing that a peer sends is an exception of another kind."""
        assert isinstance(seen(head, raw), int | Read)

    def test_a_refusal_never_quotes_the_request(self):
        """A path token or an Authorization field must not reach a log or an error text."""
        said = {refusal(raw.replace(b"ccept", b"canary").replace(b"/aws", b"/canary")) for raw, _ in ROWS.values()}

        assert len(said) > 8
        assert not [words for words in said if "canary" in words]


class TestFindEnd:
    def test_it_finds_the_first_head_of_several(self):
        """Pipelined requests are taken one by one, each from where it begins."""
        both = BOTO3 + GOOGLE

        assert head.find_end(both) == len(BOTO3)
        assert head.find_end(both, len(BOTO3)) == len(both)

    @pytest.mark.parametrize("whole", [BOTO3, GOOGLE, IMDS])
    def test_it_waits_for_the_last_byte(self, whole: bytes):
        """No prefix of a good head is refused, and none is taken for a whole one."""
        assert {head.find_end(whole[:size]) for size in range(len(whole))} == {-1}

    @pytest.mark.parametrize("name", ROWS)
    def test_the_answer_is_the_same_byte_by_byte(self, name: str):
        """Whoever cuts his request into segments gains nothing and loses nothing."""
        raw, expected = ROWS[name]
        end = raw.find(b"\r\n\r\n") + 4

        if end == len(raw):
            assert outcome([raw[at : at + 1] for at in range(len(raw))]) == expected

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from([raw for raw, _ in ROWS.values()]), st.lists(st.integers(0, 600), max_size=8))
    def test_the_answer_is_the_same_however_the_bytes_arrive(self, raw: bytes, places: list[int]):
        """What was looked at before is not looked at again, and still nothing is missed at the seams."""
        assert outcome(cut(raw, places)) == outcome([raw])

    @pytest.mark.parametrize(
        "start",
        [b"\x16\x03\x01", b"GET / HTTP/1.1\n", b"\nGET", b"GET / HTTP/1.1\rX", b"GET /\0", b"GET /\xe9", b"GET /\t"],
    )
    def test_what_can_never_become_a_head_is_refused_at_once(self, start: bytes):
        """TLS and bare newlines would otherwise wait for the deadline and get no answer."""
        with pytest.raises(Refused) as refused:
            head.find_end(start)

        assert refused.value.status == 400

    @pytest.mark.parametrize(
        ("start", "status"),
        [
            (long_url(30_000)[:20_000], 414),
            (long_url(5_000)[:-2] + b"X: " + b"a" * 16_000, 414),
            (padded(30_000)[:16_384], 431),
            (padded(30_000)[:20_000], 431),
            (b"a" * 20_000, 400),
            (b"GET  /" + b"a" * 20_000, 400),
            (b"GET / HTTP/1.1\r\nHost : a\r\nX: " + b"a" * 20_000, 400),
        ],
    )
    def test_a_head_that_never_ends_is_refused_at_its_limit(self, start: bytes, status: int):
        """Memory is bounded, and the contract's order of refusals holds as far as can be seen."""
        with pytest.raises(Refused) as refused:
            head.find_end(start)

        assert refused.value.status == status

    def test_one_byte_less_than_the_limit_may_still_become_a_head(self):
        """The limit is exact: 16 KiB with the blank line."""
        assert head.find_end(padded(16_384)[:-1]) == -1
        assert head.find_end(padded(16_384)) == 16_384


class TestLinear:
    def test_no_pattern_can_backtrack(self):
        """A possessive repetition gives nothing back, so no head, however hostile, is read more than a few times."""
        found = [repeat for pattern in patterns() for repeat in repeats(SCANNER.parse(pattern.pattern, pattern.flags))]

        assert len(found) > 10
        assert [repeat for repeat in found if repeat[0] != "POSSESSIVE_REPEAT" and repeat[1] != repeat[2]] == []

    @pytest.mark.parametrize(
        ("pattern", "kinds"),
        [("(?:a+)++", ["POSSESSIVE_REPEAT", "MAX_REPEAT"]), ("(x|b*?)", ["MIN_REPEAT"]), ("(?=(c*))", ["MAX_REPEAT"])],
    )
    def test_a_repetition_is_found_wherever_it_hides(self, pattern: str, kinds: list[str]):
        """A walk that misses groups would prove nothing."""
        assert [kind for kind, _, _ in repeats(SCANNER.parse(pattern))] == kinds
