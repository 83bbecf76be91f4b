"""Fault 14: a source hangs, crashes its process, leaks or floods. Others do not notice; it is replaced, and counted.

The program with real minters, in whose table a made-up source stands beside the real ones; `train` is a real one's.
"""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from broker import control_api as api
from tests.cli.newcomer import WORLD, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.outage import changed, lease, refreshed, row
from tests.faults.stage import Broker
from tests.minter import toys
from tests.minter.pools import alive

DEADLINE = 10.0
BAD = ("hang", "hang_with_child", "die", "leave", "be_huge", "flood", "grow", "swell", "deny", "break")
NONSENSE = {"nonsense": "00000001c1", "half": "0000", "too_long": "ffffffff"}
CALLERS = """
    [callers.me]
    ME
    grants = ["train", "mine", {names}]
"""
TOY = """
    [credentials.{name}]
    source = "toy"
    does = "{does}"
    text = "{text}"
    warm = "first-use"
    required = false
"""
# The made-up source is known to the daemon and to its minters.
MADE_UP = """
from broker import upstream
from broker.minter.client import Pool
Pool.__init__.__kwdefaults__["deadline"] = {deadline}
real = upstream.minter_environment
upstream.minter_environment = lambda *given: {{**real(*given), "PYTHONPATH": {paths!r}}}
"""


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A daemon with all of them, none asked for yet."""
    texts = {**dict.fromkeys(BAD, "plain"), **NONSENSE}
    paths = os.pathsep.join([str(toys.HERE / "toy"), str(toys.HERE.parent.parent)])
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        texts["hang_with_child"] = str(user.folder / "pid")
        tables = (
            TOY.format(name=name, does=name if name in BAD else "say_hex", text=text) for name, text in texts.items()
        )
        callers = CALLERS.format(names=", ".join(f'"{name}"' for name in texts)) + "".join(tables)
        broker = Broker(user, sts, callers)
        broker.command = changed(MADE_UP.format(paths=paths, deadline=DEADLINE))
        broker.environment = {"PYTHONPATH": paths}
        with broker:
            yield broker


def lost(broker: Broker) -> float:
    """How many minters were lost."""
    return broker.metric("minter_restarts_total")


def minters(broker: Broker) -> tuple[int, ...]:
    """Their pids."""
    return broker.client.get("/status", api.Status).minters


class TestFault14:
    @pytest.mark.parametrize("name", ["deny", "break"])
    def test_14_one_that_fails_in_order_costs_no_minter(self, broker: Broker, name: str):
        """A bug of a source fails one mint, in words that quote nothing."""
        assert refreshed(broker, name) != "ok"

        assert lost(broker) == 0  # the first of these tests
        assert "TOP-SECRET" not in broker.user.log()

    @pytest.mark.parametrize("name", ["die", "leave", "be_huge", "flood", "swell", *NONSENSE])
    def test_14_one_that_breaks_its_minter_is_tried_again_later(self, broker: Broker, name: str):
        """By another minter, which has everything that the first had; nobody else has noticed."""
        held, before, memory = lease(broker), lost(broker), broker.resident()
        began = time.monotonic()
        assert refreshed(broker, name) == ("Deadline" if name == "half" else "MinterLost")

        assert time.monotonic() - began < 2 * DEADLINE
        assert lost(broker) > before
        assert lease(broker) == held
        assert broker.resident() - memory < 4 << 20
        assert row(broker, name).state == "failing"
        assert refreshed(broker) == "ok"

    @pytest.mark.parametrize("name", ["hang", "hang_with_child"])
    def test_14_one_that_hangs_costs_its_own_callers_alone(self, broker: Broker, name: str):
        """Until its deadline, which ends it and what it started; a refresh and a first mint of others go on."""
        before = lost(broker)
        answer = broker.ask(broker.attested(f"/token/{name}"))
        began = time.monotonic()
        assert refreshed(broker) == "ok"
        assert refreshed(broker, "mine") == "ok"
        took = time.monotonic() - began
        until(lambda: row(broker, name).error == "Deadline")

        assert (answer.status, took < DEADLINE) == (503, True)
        assert lost(broker) > before
        if name == "hang_with_child":
            started = int((broker.user.folder / "pid").read_text())
            until(lambda: not alive(started), 2.0)

    def test_14_one_that_leaks_is_replaced_when_it_is_done(self, broker: Broker):
        """It has answered, and nothing is lost but what it had taken."""
        before = lost(broker)
        assert refreshed(broker, "grow") == "ok"
        large = set(minters(broker))
        until(lambda: any(not alive(pid) for pid in large))
        assert refreshed(broker) == "ok"
        assert lost(broker) > before

    def test_14_those_killed_at_rest_cost_nobody_anything(self, broker: Broker):
        """The kernel was short of memory."""
        assert refreshed(broker) == "ok"
        before, resting = lost(broker), minters(broker)
        for pid in resting:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in resting))

        assert refreshed(broker) == "ok"
        assert lost(broker) > before
        assert set(minters(broker)).isdisjoint(resting)
