"""A lease, and one minted anew, over a real Unix socket: waited for, refused, and for how long."""

import asyncio
from pathlib import Path

import pytest

from broker import control_api as api
from broker.control_client import UnknownHere
from broker.errors import BrokerError, Denied, Unreachable
from broker.server import control
from broker.server.limiter import REFRESHES
from tests.server.office import CAROL, OpenOffice, at_counter, exchanged, refused
from tests.server.plane import ALICE, until


class TestLease:
    def test_a_cold_one_is_waited_for(self, tmp_path: Path):
        """A command has more patience than an SDK."""

        async def main(office: OpenOffice) -> dict[str, str]:
            office.asking = ALICE
            office.work.upstream.gate.clear()
            asking = asyncio.gather(office.ask(lambda client: client.lease("train")))
            await until(lambda: bool(office.work.upstream.asked))
            office.work.upstream.gate.set()
            return (await asking)[0]

        lease = at_counter(main, tmp_path)

        assert lease["AWS_ACCESS_KEY_ID"] == "ASIAtrain-1"
        assert "expires_at" in lease

    def test_it_is_not_waited_for_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The mint goes on for who asks again."""
        monkeypatch.setattr(control, "COLD_WAIT", 0.02)

        async def main(office: OpenOffice) -> tuple[BrokerError, list[str]]:
            office.asking = ALICE
            office.work.upstream.gate.clear()
            error = await refused(office, lambda client: client.lease("train"))
            office.work.upstream.gate.set()
            await office.ask(lambda client: client.lease("train"))
            return error, office.work.upstream.asked

        error, asked = at_counter(main, tmp_path)

        assert (error.code, asked) == ("NotReady", ["train"])

    def test_a_failed_mint_says_why(self, tmp_path: Path):
        """At once, with upstream's own code and our words."""

        async def main(office: OpenOffice) -> BrokerError:
            office.asking = ALICE
            office.work.upstream.trouble = Denied("the role does not trust us", code="AccessDenied")
            return await refused(office, lambda client: client.lease("train"))

        error = at_counter(main, tmp_path)

        assert (error.code, error.advice, error.exit_status) == ("AccessDenied", "the role does not trust us", 4)

    @pytest.mark.parametrize(
        ("uid", "name", "kind"),
        [(ALICE, "../status", BrokerError), (ALICE, "a b/c?d", BrokerError), (CAROL, "train", UnknownHere)],
    )
    def test_what_is_not_granted_is_denied_however_it_is_spelt(
        self, tmp_path: Path, uid: int, name: str, kind: type[BrokerError]
    ):
        """A name is one segment of the path, whatever was typed."""

        async def main(office: OpenOffice) -> BrokerError:
            office.asking = uid
            return await refused(office, lambda client: client.lease(name))

        error = at_counter(main, tmp_path)

        assert (type(error), error.exit_status) == (kind, 4)


class TestRefresh:
    def test_it_answers_when_the_new_lease_is_there(self, tmp_path: Path):
        """With its row, of which the serial has gone up."""

        async def main(office: OpenOffice) -> list[int]:
            await office.mint("train")
            office.clock.pass_time(60.0)
            return [row.serial for row in await office.ask(lambda client: client.refresh("train", api.RefreshOrder()))]

        assert at_counter(main, tmp_path) == [2]

    def test_too_often_is_429_with_the_time_to_wait(self, tmp_path: Path):
        """The command's user reads it, a program has the field."""

        async def main(office: OpenOffice) -> tuple[BrokerError, tuple[int, dict[str, str], bytes]]:
            await office.mint("train")
            office.asking = ALICE
            for _ in range(REFRESHES):
                await office.ask(lambda client: client.refresh("train", api.RefreshOrder()))
            error = await refused(office, lambda client: client.refresh("train", api.RefreshOrder()))
            return error, await exchanged(office, "POST", "/refresh/train", b"{}")

        error, (status, fields, _) = at_counter(main, tmp_path)

        assert (error.code, error.exit_status, "status` says when" in error.advice) == ("TooManyRefreshes", 1, True)
        assert (status, fields["retry-after"]) == (429, "30")

    def test_a_failed_one_says_why_and_the_old_lease_stays(self, tmp_path: Path):
        """Nothing minted is lost by a failed mint."""

        async def main(office: OpenOffice) -> tuple[BrokerError, str]:
            await office.mint("train")
            office.work.upstream.trouble = Unreachable("upstream is down")
            error = await refused(office, lambda client: client.refresh("train", api.RefreshOrder()))
            said = await office.ask(lambda client: client.get("/status", api.Status))
            return error, said.leases[0].state

        error, state = at_counter(main, tmp_path)

        assert (error.code, error.exit_status, state) == ("Unreachable", 1, "stale")

    def test_it_is_not_waited_for_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """`status` tells how it went on."""
        monkeypatch.setattr(control, "COLD_WAIT", 0.02)

        async def main(office: OpenOffice) -> BrokerError:
            await office.mint("train")
            office.work.upstream.gate.clear()
            return await refused(office, lambda client: client.refresh("train", api.RefreshOrder()))

        assert "see credbroker status" in at_counter(main, tmp_path).advice
