"""Nothing forwarded, nothing from a browser, nothing meant for another host: refused before anyone is identified."""

import pytest

from broker.errors import Refused
from broker.head import parse
from broker.origin import refuse_forwarded
from broker.wire import Request
from tests.head_rows import BOTO3, GOOGLE

LOOPBACK = ("127.0.0.1", 9911)


def status(fields: dict[str, str], accepted_on: tuple[str, int] = LOOPBACK) -> int | None:
    """The status of the refusal, or None where there is none."""
    try:
        refuse_forwarded(Request("GET", ("aws",), (), fields, keep_alive=True), accepted_on)
    except Refused as refused:
        return refused.status
    return None


class TestForwarded:
    @pytest.mark.parametrize(
        "name",
        [
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-anything",
            "x-original-forwarded-for",
            "x-real-ip",
            "forwarded",
            "via",
            "origin",
            "referer",
            "sec-fetch-site",
            "sec-fetch-anything",
        ],
    )
    @pytest.mark.parametrize("value", ["", "127.0.0.1", "null"])
    def test_a_field_of_a_proxy_or_browser_is_refused(self, name: str, value: str):
        """It speaks for somebody else: a confused deputy, a page in a browser, a rebound name."""
        assert status({"host": "127.0.0.1:9911", name: value}) == 403

    @pytest.mark.parametrize("head", [BOTO3, GOOGLE])
    def test_an_sdk_is_let_through(self, head: bytes):
        """The fields of real clients are none of those."""
        refuse_forwarded(parse(head), LOOPBACK)

    @pytest.mark.parametrize("name", ["x-amz-date", "viaduct", "original", "sec-ch-ua", "x-goog-api-client", "x-real"])
    def test_a_name_that_only_resembles_one_passes(self, name: str):
        """Names are compared whole, but for the two families."""
        assert status({"host": "127.0.0.1:9911", name: "a"}) is None


class TestHost:
    @pytest.mark.parametrize(
        ("host", "accepted_on"),
        [
            ("127.0.0.1:9911", LOOPBACK),
            ("127.0.0.1", LOOPBACK),  # CRT leaves the port out
            ("localhost:9911", LOOPBACK),
            ("LocalHost", LOOPBACK),
            ("localhost", ("127.9.9.9", 9911)),
            ("[::1]:9911", ("::1", 9911)),
            ("[::1]", ("::1", 9911)),
            ("localhost", ("::1", 9911)),
            ("127.0.0.1:9911", ("::ffff:127.0.0.1", 9911)),
            ("169.254.170.23", ("169.254.170.23", 80)),
            ("[fd00:ec2::23]", ("fd00:ec2::23", 80)),
            ("[FD00:EC2::23]:80", ("fd00:ec2::23", 80)),
        ],
    )
    def test_the_address_of_the_connection_is_let_through(self, host: str, accepted_on: tuple[str, int]):
        """With or without the port, in any case, `localhost` on loopback."""
        assert status({"host": host}, accepted_on) is None

    @pytest.mark.parametrize(
        ("host", "accepted_on"),
        [
            ("", LOOPBACK),
            ("evil.example", LOOPBACK),
            ("evil.example:9911", LOOPBACK),
            ("127.0.0.1.evil.example", LOOPBACK),
            ("localhost.evil.example:9911", LOOPBACK),
            ("localhost.", LOOPBACK),
            ("127.0.0.2:9911", LOOPBACK),
            ("127.0.0.1:9912", LOOPBACK),
            ("127.0.0.1:", LOOPBACK),
            ("127.0.0.1:09911", LOOPBACK),
            ("127.0.0.1:9911:9911", LOOPBACK),
            ("127.1:9911", LOOPBACK),
            ("2130706433:9911", LOOPBACK),
            ("0x7f000001", LOOPBACK),
            ("0.0.0.0:9911", LOOPBACK),
            ("a@127.0.0.1:9911", LOOPBACK),
            ("a:b@127.0.0.1:9911", LOOPBACK),
            ("127.0.0.1:9911@evil.example", LOOPBACK),
            ("127.0.0.1, evil.example", LOOPBACK),
            ("http://127.0.0.1:9911", LOOPBACK),
            ("[127.0.0.1]:9911", LOOPBACK),
            ("[::1]:9911", LOOPBACK),
            ("::1", ("::1", 9911)),
            ("::1:9911", ("::1", 9911)),
            ("[::1%lo]:9911", ("::1", 9911)),
            ("[::ffff:127.0.0.1]:9911", ("::ffff:127.0.0.1", 9911)),
            ("[::2]:9911", ("::1", 9911)),
            ("127.0.0.1:9911", ("::1", 9911)),
            ("localhost", ("169.254.170.23", 80)),
            ("localhost", ("fd00:ec2::23", 80)),
            ("169.254.169.254", ("169.254.170.23", 80)),
        ],
    )
    def test_any_other_host_is_refused(self, host: str, accepted_on: tuple[str, int]):
        """A name that was rebound to us, an address that only resolves to us, or userinfo before it."""
        assert status({"host": host}, accepted_on) == 403

    def test_the_refusal_does_not_quote_the_host(self):
        """What a stranger sent does not reach logs."""
        with pytest.raises(Refused) as refused:
            refuse_forwarded(Request("GET", ("",), (), {"host": "evil.example"}, keep_alive=True), LOOPBACK)

        assert "evil" not in f"{refused.value.advice} {refused.value.reason}"
