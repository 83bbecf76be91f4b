"""Faults 1 to 7, 13, 15: upstream is down, silent, busy, says no, talks nonsense; a caller hangs up; a loop of brokers.

Against the running program and its minters, over the strict fake of STS. In all of it: the last good lease, with its
true expiry, from memory, and never anything else.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from broker import control_api as api
from broker.schedule import LONGEST_PATIENCE, LONGEST_RETRY, SERVE_FLOOR
from tests.bench.slow_sts import SlowSts
from tests.cli.newcomer import WORLD, Newcomer, newcomer, until
from tests.fakes.serving import Answer as HttpAnswer
from tests.fakes.serving import Call as HttpCall
from tests.fakes.serving import Served
from tests.fakes.sts import FakeSts, Fault, fault
from tests.faults.outage import ALONE, HOUR, Clocks, changed, place, refreshed, row, xml
from tests.faults.stage import Broker, read_answer

PROMPT = 0.5  # seconds; from memory it takes under a millisecond, and two cores are shared
SOON = 1.0  # an SDK's patience


def lease(broker: Broker) -> tuple[str, str]:
    """What a worker has now, and until when; it must come promptly."""
    began = time.monotonic()
    answer = broker.ask(broker.attested())
    assert (answer.status, time.monotonic() - began < PROMPT) == (200, True)
    return answer.json["AccessKeyId"], answer.json["Expiration"]


@contextlib.contextmanager
def scripted(broker: Broker, one: Fault) -> Iterator[FakeSts]:
    """The STS of a shared daemon does this instead of answering."""
    broker.sts.script = lambda _: one
    try:
        yield broker.sts
    finally:
        broker.sts.script = None


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
        """The minter is ended and replaced; who has no lease hears 503 with Retry-After within a second."""
        with place() as (broker, upstream):
            broker.command = changed(
                "from broker.minter.client import Pool; Pool.__init__.__kwdefaults__['deadline'] = 2.0"
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


BODIES = {
    "garbage": Fault(body=b"\x00\xffgarbage"),
    "nothing": Fault(),
    "a login page": Fault(body=b"<html><body>UPSTREAM-TEXT</body></html>", headers=(("Content-Type", "text/html"),)),
    "half of it": Fault(body=xml().body[:200]),  # type: ignore[index]  # bytes, as xml() has it
    "another document": Fault(body=b"<AssumeRoleResponse/>"),
    "json": Fault(body=b'{"Credentials": null}'),
    "no secret": xml(SecretAccessKey=None),
    "an empty token": xml(SessionToken=""),
    "a key of wrong letters": xml(AccessKeyId="ASIA\n\x7f"),
    "100 MB": Fault(body=(b" " * 1_000_000 for _ in range(100))),
    "a redirect": Fault(status=307, headers=(("Location", "http://127.0.0.1:1/"),)),
}
HOURS = {
    "expired": timedelta(hours=-1),
    "in its last half minute": timedelta(seconds=25),
    "of the year 9999": timedelta(days=2_900_000),
}


class TestFault5:
    @pytest.mark.parametrize("what", BODIES)
    def test_05_an_answer_that_is_none_leaves_the_old_lease_untouched(self, broker: Broker, what: str):
        """200 or not; nothing of it is repeated to anybody."""
        held, memory = lease(broker), broker.resident()
        with scripted(broker, BODIES[what]):
            assert refreshed(broker) != "ok"
            assert lease(broker) == held
            assert row(broker).state == "stale"
        advice = row(broker).advice or ""

        assert "UPSTREAM-TEXT" not in advice + broker.user.log()
        assert broker.resident() - memory < 8 << 20
        assert refreshed(broker) == "ok"

    def test_05_a_redirect_is_not_followed(self, broker: Broker):
        """Signed requests, and what they bring, are for one address."""
        seen: list[HttpCall] = []

        def elsewhere(call: HttpCall) -> HttpAnswer:
            seen.append(call)
            return HttpAnswer(200)

        with Served(elsewhere) as other:
            for status in (301, 302, 303, 307, 308):
                with scripted(broker, Fault(status=status, headers=(("Location", f"{other.url}/"),))):
                    assert refreshed(broker) != "ok"

        assert seen == []
        assert refreshed(broker) == "ok"


class TestFault6:
    @pytest.mark.parametrize("what", HOURS)
    def test_06_a_lease_that_is_no_use_is_not_taken(self, broker: Broker, what: str):
        """The old one stays, with its own expiry."""
        latest = datetime(9999, 12, 31, tzinfo=UTC)
        then = latest if "9999" in what else datetime.now(UTC) + HOURS[what]
        held = lease(broker)
        with scripted(broker, xml(Expiration=then.strftime("%Y-%m-%dT%H:%M:%SZ"))):
            assert refreshed(broker) == "UnusableAnswer"
            assert lease(broker) == held

        assert refreshed(broker) == "ok"

    @pytest.mark.parametrize("expiration", [None, "", "soon", "2099-01-01T00:00:00", "2099-01-01"])
    def test_06_nor_one_that_does_not_say_plainly_when_it_ends(self, broker: Broker, expiration: str | None):
        """A time without a zone may be hours off."""
        held = lease(broker)
        with scripted(broker, xml(Expiration=expiration)):
            assert refreshed(broker) == "UnusableAnswer"
            assert lease(broker) == held

        assert refreshed(broker) == "ok"


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


class TestFault15:
    def test_15_a_broker_that_is_to_fetch_from_itself_does_not(self, sts: FakeSts, nobody: Newcomer):
        """Its own address is taken out of what its minters are told; it says that it has no identity."""
        broker = Broker(nobody, sts)
        broker.environment = asking(broker)
        try:
            broker.start(warm=False)
            until(lambda: row(broker).error is not None)

            assert row(broker).error == "NoCredentials"
            assert broker.metric("requests_total") == 0
        finally:
            broker.stop()

    def test_15_nor_do_two_that_fetch_from_each_other(self, sts: FakeSts):
        """Each waits for the other: neither has anything to hand on, nor asks it more than now and then."""
        with newcomer() as one, newcomer() as other:
            brokers = [Broker(user, sts, ALONE) for user in (one, other)]
            brokers[0].environment, brokers[1].environment = asking(brokers[1]), asking(brokers[0])
            try:
                for broker in brokers:
                    broker.start(warm=False)
                until(lambda: all(row(broker).error is not None for broker in brokers))
                asked = [broker.metric("requests_total", dialect="aws") for broker in brokers]

                assert [row(broker).serial for broker in brokers] == [0, 0]
                assert sts.count("AssumeRole") == 0
                assert max(asked) < 30
            finally:
                for broker in brokers:
                    broker.stop()


def asking(broker: Broker) -> dict[str, str]:
    """The environment of who gets its identity from that broker."""
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{broker.address}/aws/train",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "attested",
    }
