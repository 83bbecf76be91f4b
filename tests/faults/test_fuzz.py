"""Raw bytes at the running program: nobody unidentified gets a secret, every reply is HTTP, and the daemon stays alive.

`CREDBROKER_FUZZ` is how many connections are made up for each test; `make fuzz` makes many.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli.newcomer import WORLD, newcomer
from tests.fakes.sts import FakeSts
from tests.faults.grammar import connections
from tests.faults.stage import Broker, everything

EXAMPLES = int(os.environ.get("CREDBROKER_FUZZ", "400"))
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
SECRETS = (b"SecretAccessKey", b"SECRET_ACCESS_KEY", b"access_token", b"ASIA")
# Everybody here is somebody else: whoever connects from this test matches no caller.
CALLERS = """
    [callers.hers]
    uid = 4711
    bare = true
    grants = ["train", "hers"]

    [callers.batch]
    worker_token = true
    grants = ["train"]
"""
# `credbroker` that never holds its answers back for too many failures: there would be few answers.
UNLIMITED = """
import sys
from broker.cli import main
from broker.server import limiter
limiter.MOST_FAILURES = 10 ** 12
sys.argv[0] = "credbroker"
main()
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """One where nobody is anybody without a token."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        found = Broker(user, sts, CALLERS, "imds = true")
        found.command = [sys.executable, "-P", "-c", UNLIMITED, "serve"]
        with found:
            pid = found.pid
            yield found
            assert (found.ended, found.pid) == (False, pid)
        assert "Traceback" not in user.log()


@pytest.fixture(scope="module")
def token(broker: Broker) -> str:
    """A good token, bound to nobody."""
    return broker.token("batch")


def told(broker: Broker, pieces: list[bytes]) -> bytes:
    """All that comes back; then nothing more is sent."""
    with broker.connect() as end:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):
            for piece in pieces:
                end.sendall(piece)
            end.shutdown(socket.SHUT_WR)
        return everything(end)


def replies(data: bytes) -> list[tuple[int, bytes]]:
    """A stream of replies as a strict client reads it; it must end where one of them ends.

    Only the last may be without its body, as a refusal of HEAD is.
    """
    found = []
    while data:
        client = h11.Connection(h11.CLIENT)
        bodiless = data.startswith(b"HTTP/1.1 4") and data.endswith(b"\r\n\r\n") and data.count(b"\r\n\r\n") == 1
        method = "HEAD" if bodiless else "GET"
        client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        client.receive_data(data)
        response, body = client.next_event(), b""
        assert isinstance(response, h11.Response)
        while isinstance(event := client.next_event(), h11.Data):
            body += bytes(event.data)
        assert isinstance(event, h11.EndOfMessage)
        found.append((response.status_code, body))
        data = client.trailing_data[0]
    return found


def is_secret(reply: tuple[int, bytes]) -> bool:
    """Whether something is in it that is worth stealing."""
    return any(secret in reply[1] for secret in SECRETS)


class TestFuzz:
    @FUZZ
    @given(st.data())
    def test_nobody_unidentified_gets_a_secret(self, broker: Broker, data: st.DataObject):
        """Whatever is sent by a uid that is no caller, without a token."""
        pieces = data.draw(connections(broker.address, ["cbw_" + "A" * 43, "cbp_" + "A" * 43]))
        found = replies(told(broker, pieces))

        assert [reply for reply in found if is_secret(reply)] == []
        assert {status for status, _ in found} <= {200, 400, 401, 403, 404, 405, 413, 414, 431}

    @FUZZ
    @given(st.data())
    def test_a_token_opens_no_more_than_it_is_shown_for(self, broker: Broker, token: str, data: st.DataObject):
        """So many leases at most as it stands whole in an Authorization field."""
        pieces = data.draw(connections(broker.address, [token]))
        found = replies(told(broker, pieces))
        leases = [reply for reply in found if is_secret(reply)]

        shown = re.findall(rb"(?i)authorization: *(?:bearer +)?(%b) *\r\n" % token.encode(), b"".join(pieces))
        assert len(leases) <= shown.count(token.encode())
        assert {status for status, _ in leases} <= {200}

    def test_a_good_request_is_served_as_ever(self, broker: Broker, token: str):
        """Otherwise the fuzz would show nothing; and its own stream of replies is read."""
        data = told(broker, [broker.head(Authorization=token) * 2 + broker.head("/", Connection="close")])

        assert [(status, is_secret((status, body))) for status, body in replies(data)] == [
            (200, True),
            (200, True),
            (200, False),
        ]
