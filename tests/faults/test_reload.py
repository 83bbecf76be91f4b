"""Fault 37: a reload under load, by SIGHUP and by command. A broken file changes nothing; a good one keeps the warm."""

import re
import signal

import pytest

from tests.cli.newcomer import until
from tests.faults.load import Load
from tests.faults.outage import lease, row
from tests.faults.stage import CALLERS, Broker

BROKEN = """
    [callers.me]
    uid = "nosuchuser"
    grants = ["trian"]

    [callers.batch]
    worker_tokn = true
    grants = ["train"]
"""


@pytest.fixture
def own(own: Broker) -> Broker:
    """It runs."""
    own.start()
    return own


def generation(broker: Broker) -> str:
    """What is in force."""
    return str(broker.client.get("/status", dict[str, object])["generation"])


class TestFault37:
    def test_37_a_broken_file_changes_nothing_and_all_of_it_is_reported(self, own: Broker):
        """Each mistake with its place, by the signal in the log and by the command on the screen; no request fails."""
        held, before, token = lease(own), generation(own), own.token()
        own.configure(BROKEN)
        with Load(own) as load:
            until(lambda: load.seen["200"] > 20)
            assert own.process is not None
            own.process.send_signal(signal.SIGHUP)
            until(lambda: "reload refused" in own.user.log())
            ran = own.run("reload")
            after = load.seen["200"]
            until(lambda: load.seen["200"] > after + 20)

        assert ran.status == 2
        for mistake in ("there is no such user", "`worker_token`?", "`train`?"):
            assert mistake in ran.err
        assert len(re.findall(r"config\.toml:\d+", ran.err)) >= 3
        assert (generation(own), lease(own), set(load.seen)) == (before, held, {"200"})
        assert own.ask(own.head(Authorization=token)).status == 200
        assert [bool(line["error"]) for line in own.audit("Reloaded")] == [True, True]

    def test_37_a_good_one_adds_drops_and_changes_and_keeps_what_is_warm(self, own: Broker):
        """All of it in one moment, under load that does not notice; upstream is asked for what is new alone."""
        held, before, calls = lease(own), generation(own), own.sts.count("AssumeRole")
        token = own.token()
        own.configure(
            CALLERS.replace('grants = ["train", "mine"]', 'grants = ["train", "closed", "his"]').partition(
                "[callers.batch]"
            )[0]
        )
        with Load(own) as load:
            until(lambda: load.seen["200"] > 20)
            assert own.process is not None
            own.process.send_signal(signal.SIGHUP)
            until(lambda: generation(own) != before)
            after = load.seen["200"]
            until(lambda: load.seen["200"] > after + 20)

        assert (lease(own), row(own).serial, set(load.seen)) == (held, 1, {"200"})
        assert own.sts.count("AssumeRole") == calls
        assert own.ask(own.attested("/aws/mine")).status == 403
        until(lambda: own.ask(own.attested("/aws/his")).status == 200)
        assert own.ask(own.head(Authorization=token)).status == 401

    def test_37_reloads_in_a_row_leave_no_minter_and_no_lease_behind(self, own: Broker):
        """Twenty of them, alternately good and broken, while mints are asked for."""
        held = lease(own)
        for turn in range(20):
            own.configure(BROKEN if turn % 2 else CALLERS + f"# {turn}\n")
            assert own.process is not None
            own.process.send_signal(signal.SIGHUP)
            assert own.ask(own.attested("/aws/mine")).status in {200, 503}
        until(lambda: len(own.audit("Reloaded")) >= 1)
        until(lambda: own.ask(own.attested("/aws/mine")).status == 200)

        assert lease(own) == held
        assert "Traceback" not in own.user.log()
