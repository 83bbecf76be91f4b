"""Faults 8 to 11 and 47: clocks that are off, that step, machines that sleep or are paused, a thousand leases at once.

The program itself, whose clocks a test moves. Its minters and upstream keep the machine's, so that signatures are good.
"""

import itertools
import json
import os
import time

import pytest

from broker.rounds import LONGEST_SLEEP
from broker.schedule import SERVE_FLOOR
from tests.cli.newcomer import until
from tests.faults.outage import HOUR, Clocks, lease, place, row
from tests.faults.stage import Broker

DAY = 24 * HOUR
NOTICED = 15.0  # seconds, at most
QUIET = 0.5  # of a second of this process's time, spent in a second: a busy loop takes all of it


def spent(broker: Broker) -> float:
    """Seconds of the processor that the daemon has had."""
    with open(f"/proc/{broker.pid}/stat") as file:  # noqa: PTH123 - one read
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_quiet(broker: Broker) -> None:
    """It does next to nothing."""
    before = spent(broker)
    time.sleep(1.0)
    assert spent(broker) - before < QUIET


class TestFault8:
    @pytest.mark.parametrize("off", [-600, 600])
    def test_08_ten_minutes_off_change_no_lifetime(self, off: int):
        """It is counted by upstream's Date; the skew is a metric, and `check` tells it."""
        with place() as (broker, upstream):
            upstream.now.now = lambda: time.time() - off
            upstream.now.rules.now = upstream.now.now
            broker.start()
            left = row(broker).left
            checked = broker.run("check")
            skew = broker.metric("clock_skew_seconds")
            answer = broker.ask(broker.attested())

        key = upstream.now.registry.find(answer.json["AccessKeyId"])
        assert left is not None
        assert HOUR - 30 < left <= HOUR + 1
        assert abs(skew - off) < 5
        assert "clock: this machine is" in checked.out + checked.err
        assert ("ahead of" if off > 0 else "behind") in checked.out + checked.err
        assert key is not None
        assert answer.json["Expiration"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key.expires_at))

    def test_08_so_far_off_that_upstream_refuses_the_signature_is_said_so(self):
        """The clock is blamed, and nothing is final."""
        with place() as (broker, upstream):
            upstream.now.now = lambda: time.time() - HOUR
            broker.start(warm=False)
            until(lambda: row(broker).error is not None)

            assert row(broker).error == "ClockSkewed"
            assert "60 min ahead: set it" in (row(broker).advice or "")
            assert row(broker).state == "failing"


class TestFault9:
    @pytest.mark.parametrize("step", [-HOUR, DAY], ids=["back an hour", "forward a day"])
    def test_09_a_step_of_the_wall_clock_costs_nobody_a_lease(self, step: float):
        """No mass expiry, no late refresh, no busy loop, one line in the log: at most a new lease at once."""
        with place() as (broker, upstream):
            clocks = Clocks(broker)
            broker.start()
            before = lease(broker)
            clocks.move(wall=step)
            until(lambda: broker.ask(broker.attested()).status == 200, 5.0)
            assert_quiet(broker)
            after = row(broker)
            assert lease(broker)
            told = [line for line in broker.user.log().splitlines() if "the clocks moved" in line]
            clocks.leap(HOUR * 0.56)
            until(lambda: row(broker).serial > after.serial)

            assert len(told) == 1
            assert abs(json.loads(told[0])["wall_clock_ahead"] - step) < 1
            assert after.serial <= 2
            assert after.left is not None
            assert after.left > HOUR - 60
            if step < 0:
                assert after.serial == 1
                assert before[0] == upstream.now.registry.issued[0].access_key_id
            assert upstream.now.count("AssumeRole") <= 3


class TestFault10:
    def test_10_three_hours_of_sleep_are_noticed_within_15_s(self):
        """Or, for this test, within two: the daemon looks as often as it sleeps."""
        assert LONGEST_SLEEP <= NOTICED
        with place() as (broker, _):
            clocks = Clocks(broker, more="from broker import rounds; rounds.LONGEST_SLEEP = 2.0")
            broker.start()
            dead = lease(broker)
            began = time.monotonic()
            clocks.leap(3 * HOUR)
            until(lambda: row(broker).serial == 2)
            took = time.monotonic() - began
            assert took < LONGEST_SLEEP
            assert lease(broker)[0] != dead[0]

    def test_10_who_asks_at_once_after_it_never_gets_the_dead_one(self):
        """503 for a moment at most, then a new one."""
        with place() as (broker, upstream):
            clocks = Clocks(broker, more="")
            broker.start()
            dead = lease(broker)
            clocks.leap(3 * HOUR)
            answers = [broker.ask(broker.attested())]
            until(lambda: answers.append(broker.ask(broker.attested())) or answers[-1].status == 200, 5.0)  # type: ignore[func-returns-value]  # it appends and looks

            assert {answer.status for answer in answers} <= {200, 503}
            assert not any(dead[0].encode() in answer.body for answer in answers)
            assert upstream.now.count("AssumeRole") == 2

    def test_10_a_sleep_that_leaves_life_in_a_lease_costs_nothing(self):
        """It is served, and replaced a little later."""
        with place() as (broker, _):
            clocks = Clocks(broker)
            broker.start()
            held = lease(broker)
            clocks.leap(HOUR - SERVE_FLOOR - 20)
            assert lease(broker) == held
            until(lambda: row(broker).serial == 2, 10.0)


class TestFault47:
    def test_47_a_pause_by_the_hypervisor_is_as_a_sleep(self):
        """Only the wall clock tells of it, once it is set right: what would be over is minted anew, not handed out."""
        with place() as (broker, upstream):
            clocks = Clocks(broker)
            broker.start()
            lease(broker)
            clocks.move(wall=HOUR * 2)
            until(lambda: row(broker).serial == 2, NOTICED)

            assert lease(broker)[0] == upstream.now.registry.issued[-1].access_key_id


class TestFault11:
    def test_11_leases_minted_in_the_same_second_are_refreshed_apart(self):
        """Each at a time of its own: their refreshes are spread over a tenth of half of their life."""
        names = [f"l{number}" for number in range(60)]
        with place() as (broker, upstream):
            roles = "".join(ROLE.format(name=name, sts=upstream.now.url) for name in names)
            granted = ", ".join(json.dumps(name) for name in ("train", *names))
            broker.configure(f"[callers.me]\nME\ngrants = [{granted}]\n{roles}")
            broker.start()
            due = sorted(row(broker, name).next_refresh_in or 0.0 for name in names)

        assert due[0] > HOUR * 0.4
        assert due[-1] < HOUR * 0.56
        assert due[-1] - due[0] > 60
        gaps = [after - before for before, after in itertools.pairwise(due)]
        assert max(gaps) < (due[-1] - due[0]) / 4

    def test_11_a_budget_that_cannot_suffice_is_refused_with_the_arithmetic(self):
        """A thousand leases of a quarter of an hour, and four calls a second: said before anything is minted."""
        names = [f"l{number}" for number in range(1000)]
        with place() as (broker, upstream):
            roles = "".join(ROLE.format(name=name, sts=upstream.now.url) + 'duration = "15m"\n' for name in names)
            granted = ", ".join(map(json.dumps, names))
            limits = "[daemon.limits]\nupstream_per_second = 4"
            broker.configure(f"[callers.me]\nME\ngrants = [{granted}]\n{roles}", limits)
            status, words = broker.run("serve").outcome

        assert status == 2
        assert "1000 aws leases need 2.5 calls a second" in words
        assert "or set it to 5" in words


ROLE = """
[credentials.{name}]
source = "aws-assume-role"
role_arn = "arn:aws:iam::123456789012:role/train"
session_name = "{name}"
region = "eu-west-1"
endpoint_url = "{sts}"
"""
