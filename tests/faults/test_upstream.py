"""Faults 1 to 4, 7 and 13: upstream is down, silent, busy, or says no, to the end of a lease; a caller hangs up.

Against the running program and its minters, over the strict fake of STS. In all of it: the last good lease, with its
true expiry, from memory, and never anything else.
"""

import contextlib
import time
from collections.abc import Iterable

import pytest

from broker import control_api as api
from broker.schedule import LONGEST_PATIENCE, LONGEST_RETRY, SERVE_FLOOR
from tests.bench.slow_sts import SlowSts
from tests.cli.newcomer import WORLD, newcomer, until
from tests.fakes.sts import Fault, fault
from tests.faults.outage import HOUR, Clocks, changed, lease, place, refreshed, row, scripted
from tests.faults.stage import SOON, Broker, read_answer


class TestFault1:
    def test_01_an_hour_of_refused_connections_is_not_noticed(self):
        """Of leases of two hours: served throughout, retries back off and spread, ready but degraded, healed by one."""
        with place(2 * HOUR) as (broker, upstream):
            clocks = Clocks(broker)
            broker.start()
            held = lease(broker)
            upstream.go()
            clocks.leap(HOUR * 1.1)
            until(lambda: row(broker).error is not None)
            pauses: list[float] = []
            while sum(pauses) < HOUR / 4:
                pauses.append(pause_of(broker))
                tries = failures(broker)
                clocks.leap(pauses[-1])
                until(lambda tries=tries: failures(broker) > tries)
                assert lease(broker) == held
            readiness = broker.client.get("/readyz", dict[str, object])
            upstream.come_back()
            clocks.leap(LONGEST_RETRY)
            until(lambda: row(broker).state == "fresh")

            assert (readiness["ready"], readiness["degraded"]) == (True, ["train"])
            assert row(broker).serial == 2
            assert lease(broker) != held
            assert max(pauses[:2]) < 4 < LONGEST_RETRY / 4 < min(pauses[8:])
            assert max(pauses) <= LONGEST_RETRY
            assert len({round(pause, 1) for pause in pauses[8:]}) > len(pauses[8:]) // 2
            assert broker.metric("stale_served_total", credential="train") >= len(pauses)


def failures(broker: Broker) -> float:
    """How many mints of `train` have failed."""
    return broker.metric("mints_total", credential="train", outcome="failed")


def pause_of(broker: Broker) -> float:
    """How long it waits before the next try, once no mint is in flight."""
    pause: float | None = None
    while pause is None:
        pause = row(broker).next_refresh_in
    return pause


class TestFault2:
    def test_02_an_upstream_that_never_answers_costs_its_deadline_and_nobody_waits(self):
        """The minter is ended and replaced; who has no lease hears 503 with Retry-After long before."""
        with place() as (broker, upstream):
            broker.command = changed(
                "from broker.minter.client import Pool; Pool.__init__.__kwdefaults__['deadline'] = 8.0"
            )
            broker.start()
            held, minters = lease(broker), broker.client.get("/status", api.Status).minters
            upstream.now.script = lambda _: Fault(body=dripping())
            with contextlib.ExitStack() as stack:
                end = stack.enter_context(broker.connect())
                end.sendall(broker.attested("/aws/mine"))
                began = time.monotonic()
                cold = read_answer(end)
                took = time.monotonic() - began
            assert refreshed(broker) == "Deadline"
            assert lease(broker) == held
            upstream.now.script = None
            until(lambda: refreshed(broker) == "ok")

            assert cold is not None
            assert (cold.status, cold.fields["retry-after"], took < SOON) == (503, "1", True)
            assert lease(broker) != held
            assert broker.metric("minter_restarts_total") >= 1
            assert set(minters).isdisjoint(broker.client.get("/status", api.Status).minters)


def dripping() -> Iterable[bytes]:
    """An answer that never ends, and never is late."""
    while True:
        time.sleep(0.2)
        yield b" "


class TestFault3:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
    def test_03_a_server_in_trouble_is_asked_again(self, broker: Broker, status: int):
        """Nothing of it is final."""
        held = lease(broker)
        with scripted(broker, Fault(status=status, body=b"<html>UPSTREAM-TEXT</html>")):
            assert refreshed(broker) not in {"ok", "Denied", "AccessDenied"}
            assert lease(broker) == held
            assert row(broker).state == "stale"

        assert refreshed(broker) == "ok"

    @pytest.mark.parametrize(
        ("asked", "least", "most"),
        [(None, 0, 1), (20, 19, 20), (100_000, LONGEST_PATIENCE - 1, LONGEST_PATIENCE), (-5, 0, 1)],
    )
    @pytest.mark.parametrize("status", [400, 503])
    def test_03_its_retry_after_is_honoured_within_reason(
        self, broker: Broker, status: int, asked: int | None, least: float, most: float
    ):
        """A day's patience would be the end of every lease."""
        headers = [] if asked is None else [("Retry-After", str(asked))]
        held = lease(broker)
        with scripted(broker, fault("Throttling", status, *headers)):
            assert refreshed(broker) in {"Throttling", "Http503"}
            wait = row(broker).next_refresh_in
        assert wait is not None
        assert least <= wait <= most
        assert lease(broker) == held
        assert refreshed(broker) == "ok"


class TestFault4:
    def test_04_a_denial_is_believed_the_second_time(self):
        """Half a minute later: the lease is gone then, and who asks hears 403. It is back when upstream allows it."""
        with place() as (broker, upstream):
            clocks = Clocks(broker)
            broker.start()
            held = lease(broker)
            upstream.now.script = lambda _: fault("AccessDenied", 403)
            assert refreshed(broker) == "AccessDenied"
            assert lease(broker) == held
            clocks.leap(25)
            time.sleep(0.3)
            assert lease(broker) == held
            clocks.leap(6)
            until(lambda: row(broker).state == "denied")
            refused = broker.ask(broker.attested())
            upstream.now.script = None
            clocks.leap(31)
            until(lambda: row(broker).state == "fresh")

            assert (refused.status, refused.json["Code"]) == (403, "AccessDenied")
            assert "UPSTREAM-TEXT" not in refused.json["Message"]
            assert [one["credential"] for one in broker.audit("LeaseEvicted")] == ["train"]
            assert lease(broker) != held

    def test_04_unless_it_is_to_be_kept(self):
        """`on_denied = "keep"`: to its true end and no further."""
        with place() as (broker, upstream):
            path = broker.user.home / ".config/credbroker/config.toml"
            path.write_text(path.read_text().replace('warm = "start"', 'warm = "start"\non_denied = "keep"', 1))
            clocks = Clocks(broker)
            broker.start()
            held = lease(broker)
            upstream.now.script = lambda _: fault("AccessDenied", 403)
            assert refreshed(broker) == "AccessDenied"
            for _ in range(3):
                clocks.leap(31)
                denials = broker.metric("mints_total", outcome="denied")
                until(lambda denials=denials: broker.metric("mints_total", outcome="denied") > denials)
                assert lease(broker) == held
            clocks.leap(HOUR - 3 * 31 - SERVE_FLOOR + 1)
            refused = broker.ask(broker.attested())

        assert refused.status == 403


class TestFault7:
    def test_07_at_its_end_there_is_a_503_with_a_reason(self):
        """Not an expired lease, nor one with another expiry; the first success brings a new one."""
        with place() as (broker, upstream):
            clocks = Clocks(broker)
            broker.start()
            held = lease(broker)
            upstream.go()
            clocks.leap(HOUR - SERVE_FLOOR - 20)
            until(lambda: row(broker).state == "stale")
            assert lease(broker) == held
            clocks.leap(21)
            refused = broker.ask(broker.attested())
            until(lambda: row(broker).state == "failing")
            again = broker.ask(broker.attested())
            ready = broker.ready()
            upstream.come_back()
            clocks.leap(LONGEST_RETRY)
            until(lambda: broker.ask(broker.attested()).status == 200)

            assert (refused.status, again.status, ready) == (503, 503, False)
            assert {"retry-after"} <= set(refused.fields) & set(again.fields)
            assert again.json["Code"] == "ConnectionFailed"
            assert "no connection to the endpoint" in again.json["Message"]
            assert held[0].encode() not in refused.body + again.body
            assert lease(broker)[0] != held[0]


class TestFault13:
    def test_13_who_hangs_up_cancels_nothing(self):
        """The first of several that wait for a cold lease: the mint goes on for the others."""
        with SlowSts(WORLD) as sts, newcomer(sts) as user, Broker(user, sts) as broker:
            sts.latency = 0.4
            calls = sts.count("AssumeRole")
            ends = [broker.connect() for _ in range(4)]
            for end in ends:
                end.sendall(broker.attested("/aws/mine"))
            until(lambda: sts.count("AssumeRole") > calls)
            ends[0].close()
            answers = [read_answer(end) for end in ends[1:]]
            for end in ends[1:]:
                end.close()

            assert [answer and answer.status for answer in answers] == [200] * 3
            assert len({answer.body for answer in answers if answer}) == 1
            assert sts.count("AssumeRole") == calls + 1
