"""Faults 26, 31 and 48: who guesses tokens, who floods, who takes all connections. Everybody else is served."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cli.newcomer import WORLD, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.crowd import Crowd, guesses
from tests.faults.stage import ALICE, BOB, NOBODY, SOON, Broker, as_uid, playing

ANOTHER = pytest.mark.root


@pytest.fixture
def small() -> Iterator[Broker]:
    """A daemon whose limits are soon reached."""
    limits = """
    [daemon.limits]
    connections = 300
    connections_per_uid = 100
    unidentified_per_uid = 20
    requests_per_second = 50
    requests_burst = 200
    """
    with FakeSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts, daemon=limits) as found:
        yield found


def served(broker: Broker, head: bytes, count: int = 40) -> list[float]:
    """How long each of so many requests took, on new connections; all must be 200."""
    times = []
    for _ in range(count):
        began = time.monotonic()
        assert broker.ask(head).status == 200
        times.append(time.monotonic() - began)
    return sorted(times)


def nine_of_ten(times: list[float]) -> float:
    """The time within which nine of ten were served."""
    return times[len(times) * 9 // 10]


class TestFault26:
    """100,000 token guesses a second."""

    @pytest.mark.parametrize("uid", [pytest.param(NOBODY, marks=ANOTHER), os.getuid()])
    @pytest.mark.parametrize(("connections", "pipelined"), [(64, 1), (400, 1), (16, 30)])
    def test_good_callers_are_served_meanwhile(self, broker: Broker, uid: int, connections: int, pipelined: int):
        """Of other uids and of the guesser's own, by a token and by uid."""
        crowd = Crowd(broker.port, connections, guesses(broker.address), pipelined=pipelined)
        token = broker.token("me", uid=os.getuid())
        with playing(uid, crowd):
            time.sleep(1.5)
            for head in (broker.head(Authorization=token), broker.attested()):
                assert nine_of_ten(served(broker, head)) < SOON
            assert broker.healthy() < SOON

    def test_they_are_slow_and_told_once_a_window(self, small: Broker):
        """One audit line with the count; no address anywhere."""
        crowd = Crowd(small.port, 16, guesses(small.address))
        began = time.monotonic()
        answers = crowd.run(4.0)
        crowd.close()
        rate = answers["401"] / (time.monotonic() - began)
        small.stop()
        told = small.audit("Limited")

        assert rate < 100 / 4 + 2 * 16 + 20
        assert [(line["limit"], line["uid"]) for line in told] == [("failures", os.getuid())] * len(told)
        assert 1 <= len(told) <= 2
        assert sum(line["count"] for line in told) >= answers["401"] - 200
        assert len(small.audit("RequestDenied")) <= 4
        assert "127.0.0.1" not in small.audit_file.read_text()


class TestFault31:
    """A flood from one authorised caller."""

    def test_its_own_bucket_answers_503(self, small: Broker):
        """With Retry-After; and serves it again when it has calmed down."""
        crowd = Crowd(small.port, 32, small.attested)
        answers = crowd.run(3.0)
        crowd.close()
        with playing(os.getuid(), Crowd(small.port, 32, small.attested)):
            while (refused := small.ask(small.attested())).status == 200:
                pass

        assert 200 <= answers["200"] < 200 + 50 * 5
        assert answers["503"] >= 32
        assert (refused.status, refused.fields["retry-after"]) == (503, "1")
        until(lambda: small.ask(small.attested()).status == 200)
        assert small.metric("requests_total", dialect="aws", code="503") >= 32

    def test_it_is_told_once_a_window_by_name(self, small: Broker):
        """Who floods is somebody whom an operator can ask."""
        crowd = Crowd(small.port, 32, small.attested)
        crowd.run(2.0)
        crowd.close()
        small.stop()

        assert {(line["limit"], line["caller"], line["uid"]) for line in small.audit("Limited")} == {
            ("requests", "me", os.getuid())
        }

    def test_a_token_that_is_bound_to_nobody_has_a_bucket_of_its_own(self, small: Broker):
        """A flood with one leaves the other alone, and health and metrics too."""
        flooding, other = small.token(), small.token()
        with playing(os.getuid(), Crowd(small.port, 32, lambda: small.head(Authorization=flooding))):
            until(lambda: small.ask(small.head(Authorization=flooding)).status == 503)

            assert nine_of_ten(served(small, small.head(Authorization=other))) < SOON
            assert nine_of_ten(served(small, small.attested())) < SOON
            assert small.healthy() < SOON
            assert small.metric("event_loop_lag_seconds") < SOON

    @ANOTHER
    @pytest.mark.parametrize("connections", [64, 1000])
    def test_other_uids_are_served_meanwhile(self, broker: Broker, connections: int):
        """With the limits that nobody has configured."""
        with playing(ALICE, Crowd(broker.port, connections, broker.attested)):
            time.sleep(3)
            ours = nine_of_ten(served(broker, broker.attested()))
            his = as_uid(BOB, lambda: nine_of_ten(served(broker, broker.attested())))

            assert max(ours, his) < SOON
            assert broker.healthy() < SOON


class TestFault48:
    """One uid takes all connections."""

    @ANOTHER
    @pytest.mark.parametrize("what", ["silent", "authorised"])
    def test_its_own_limit_stops_it_and_others_are_served(self, small: Broker, what: str):
        """Whether it says who it is or not."""
        crowd = Crowd(small.port, 250, small.attested if what == "authorised" else None)
        with playing(ALICE, crowd):
            time.sleep(1.0)
            until(lambda: accepted(small) <= 100 + 5)
            assert nine_of_ten(served(small, small.attested())) < SOON
            assert as_uid(BOB, lambda: small.ask(small.attested()).status) == 200
            assert small.healthy() < SOON

    def test_the_silent_ones_beyond_their_limit_are_closed(self, small: Broker):
        """After a second; those who have said who they are stay."""
        crowd = Crowd(small.port, 80, None)
        with small.connect() as known:
            known.sendall(small.attested())
            assert known.recv(1 << 16).startswith(b"HTTP/1.1 200")
            crowd.run(0.2)
            assert crowd.connected == 80
            crowd._retry_at = float("inf")  # whoever is closed stays away
            until(lambda: not crowd.run(0.2) or crowd.connected == 20, 10.0)
            known.sendall(small.attested())

            assert known.recv(1 << 16).startswith(b"HTTP/1.1 200")
        crowd.close()

    def test_with_all_connections_taken_those_that_are_there_are_served(self, small: Broker):
        """Health too; and newcomers once there is room."""
        ours = [small.connect() for _ in range(100)]
        extra = small.connect()
        with contextlib.suppress(ConnectionResetError):
            assert extra.recv(1) == b""
        ours[0].sendall(small.attested())
        assert ours[0].recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert small.healthy() < SOON
        for end in (*ours, extra):
            end.close()

        until(lambda: again(lambda: small.ask(small.attested()).status == 200))


def again(works: Callable[[], bool]) -> bool:
    """Whether it works by now."""
    try:
        return works()
    except (AssertionError, OSError):
        return False


def accepted(broker: Broker) -> int:
    """How many connections the daemon has on its worker port, by its descriptors."""
    with open("/proc/net/tcp") as table:  # noqa: PTH123 - it is no file
        rows = [row.split() for row in table][1:]
    return sum(row[1].endswith(f":{broker.port:04X}") and row[3] == "01" and row[9] != "0" for row in rows)
