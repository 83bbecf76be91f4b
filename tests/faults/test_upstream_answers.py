"""Faults 5 and 6: upstream answers 200 with no lease at all, or one that is no use: the old one is untouched."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.serving import Answer as HttpAnswer
from tests.fakes.serving import Call as HttpCall
from tests.fakes.serving import Served
from tests.fakes.sts import Fault
from tests.faults.outage import lease, refreshed, row, scripted, xml
from tests.faults.stage import Broker

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
