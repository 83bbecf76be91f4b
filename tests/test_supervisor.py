"""What systemd is told, and how often."""

import pytest

from broker.supervisor import Supervisor

SERVING = "STATUS=serving"
WAITING = "STATUS=2 required credentials without a lease: see `credbroker status`"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All of it."""
    found: list[str] = []
    monkeypatch.setattr("broker.process.notify", found.append)
    return found


class TestLook:
    def test_ready_is_told_once(self, told: list[str]):
        """As soon as nothing is missing."""
        supervisor = Supervisor()
        for missing in (("a", "b"), ("a", "b"), (), ()):
            supervisor.look(missing, ())

        assert told == [f"EXTEND_TIMEOUT_USEC=30000000\n{WAITING}"] * 2 + [f"READY=1\n{SERVING}"]

    def test_a_ready_one_that_loses_a_lease_stays_ready(self, told: list[str]):
        """There is no way back; the status says it, and what cannot be refreshed, once each."""
        supervisor = Supervisor()
        for missing, degraded in (((), ()), ((), ("a",)), ((), ("a",)), (("a", "b"), ("a", "b")), ((), ())):
            supervisor.look(missing, degraded)

        assert supervisor.ready
        stale = "STATUS=serving; 1 credential cannot be refreshed at present: see `credbroker status`"
        assert told == [f"READY=1\n{SERVING}", stale, WAITING, SERVING]


class TestReload:
    def test_it_begins_at_a_time_and_ends(self, told: list[str]):
        """sd_notify(3): MONOTONIC_USEC belongs to RELOADING=1."""
        supervisor = Supervisor()
        supervisor.look((), ())
        supervisor.reloading()
        supervisor.reloaded()

        assert told[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert told[2:] == ["READY=1"]

    def test_one_that_is_not_ready_says_nothing_of_it(self, told: list[str]):
        """READY=1 at its end would be taken for the end of the start."""
        supervisor = Supervisor()
        supervisor.look(("a",), ())
        del told[:]
        supervisor.reloading()
        supervisor.reloaded()

        assert told == []


class TestLife:
    def test_signs_of_life_and_the_end(self, told: list[str]):
        """In systemd's words."""
        supervisor = Supervisor()
        supervisor.alive()
        supervisor.stopping()

        assert told == ["WATCHDOG=1", "STOPPING=1\nSTATUS=answering what is in flight"]
