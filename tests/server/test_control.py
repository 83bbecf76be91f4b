"""The control plane over a real Unix socket, asked as the command line asks it."""

import asyncio
import http.client
import json
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from broker import control_api as api
from broker.control_client import UnknownHere
from broker.errors import BrokerError, ConfigError, Denied, Mistake, Unreachable
from broker.server import control
from tests.callers.loopback import OTHER_UID, made_by
from tests.server.office import CAROL, OpenOffice, at_counter
from tests.server.plane import ALICE, BOB, STRANGER, until

TOKENS = tuple[api.Token, ...]


def raw(path: str, method: str, target: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
    """One exchange without the client's reading of it."""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(5)
        end.connect(path)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = end
        connection.request(method, target, body)
        answer = connection.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()


async def exchanged(office: OpenOffice, method: str, target: str, body: bytes | None = None) -> Any:
    """The same in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, raw, office.path, method, target, body)


async def refused(office: OpenOffice, question: Any) -> BrokerError:
    """The error that the client makes of a refusal."""
    with pytest.raises(BrokerError) as error:
        await office.ask(question)
    return error.value


class TestWhoAsks:
    def test_it_is_who_the_kernel_says(self, tmp_path: Path):
        """The daemon's own user, here: an operator."""

        async def main(office: OpenOffice) -> api.Who:
            return await office.ask(lambda client: client.get("/whoami", api.Who))

        who = at_counter(main, tmp_path)

        assert (who.uid, who.operator) == (os.geteuid(), True)

    @pytest.mark.root
    def test_another_user_is_another(self):
        """Whoever he is: the socket is open to all, and he is shown nothing that is not his."""

        async def main(office: OpenOffice) -> tuple[int, bool, int]:
            def ask() -> tuple[int, dict[str, str], bytes]:
                with made_by(OTHER_UID):
                    return raw(office.path, "GET", "/whoami")

            _, _, body = await asyncio.get_running_loop().run_in_executor(None, ask)
            who = json.loads(body)
            return who["uid"], who["operator"], len(who["granted"])

        with tempfile.TemporaryDirectory() as folder:
            assert at_counter(main, Path(folder)) == (OTHER_UID, False, 0)

    def test_whom_the_kernel_does_not_name_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A user namespace hides him."""

        async def main(office: OpenOffice) -> BrokerError:
            monkeypatch.setattr(control, "peer_uid", lambda _: None)
            return await refused(office, lambda client: client.get("/status", api.Status))

        error = at_counter(main, tmp_path)

        assert (error.code, error.exit_status) == ("AccessDenied", 4)


class TestStatus:
    def test_an_operator_sees_everything_and_others_their_own(self, tmp_path: Path):
        """The same path, asked by two."""

        async def main(office: OpenOffice) -> list[list[str]]:
            await office.mint("train", "data")
            seen = [await office.ask(lambda client: client.get("/status", api.Status))]
            office.asking = BOB
            seen.append(await office.ask(lambda client: client.get("/status", api.Status)))
            return [[row.credential for row in said.leases] for said in seen]

        assert at_counter(main, tmp_path) == [["train", "data"], ["data"]]

    def test_readiness_on_the_socket_has_names(self, tmp_path: Path):
        """Any user may ask: names of credentials are no secret from the machine's own users."""

        async def main(office: OpenOffice) -> list[tuple[int, Any]]:
            office.asking = STRANGER
            office.rounds.warm(office.desk.book.warm())
            await office.mint("train")
            said = [await exchanged(office, "GET", "/readyz")]
            office.work.upstream.trouble = Unreachable("upstream is down")
            await office.mint("train")
            office.work.upstream.trouble = None
            await office.mint("data")
            said.append(await exchanged(office, "GET", "/readyz"))
            return [(status, json.loads(body)) for status, _, body in said]

        assert at_counter(main, tmp_path) == [
            (503, {"ready": False, "missing": ["data"], "degraded": []}),
            (200, {"ready": True, "missing": [], "degraded": ["train"]}),
        ]


class TestTokens:
    def test_one_is_issued_listed_and_revoked(self, tmp_path: Path):
        """Its text is in the answer to its issue alone."""

        async def main(office: OpenOffice) -> tuple[api.Token, list[TOKENS], int]:
            order = api.TokenOrder(caller="trainer", ttl=60.0, purpose="path", uid=ALICE)
            token = await office.ask(lambda client: client.post("/tokens", order, api.Token))
            seen = [await office.ask(lambda client: client.get("/tokens", TOKENS))]
            await office.ask(lambda client: client.delete(f"/tokens/{token.id}", api.Token))
            seen.append(await office.ask(lambda client: client.get("/tokens", TOKENS)))
            return token, seen, len(office.work.tokens)

        token, (before, after), left = at_counter(main, tmp_path)

        assert token.token is not None
        assert token.token.startswith("cbp_")
        assert (token.uid, token.purpose) == (ALICE, "path")
        assert [(one.id, one.token) for one in before] == [(token.id, None)]
        assert (after, left) == ((), 0)

    @pytest.mark.parametrize(
        ("uid", "order", "code", "exit_status"),
        [
            (STRANGER, api.TokenOrder(caller="trainer"), "AccessDenied", 4),
            (ALICE, api.TokenOrder(caller="trainer", uid=BOB), "AccessDenied", 4),
            (CAROL, api.TokenOrder(caller="trainer", ttl=-1.0), "InvalidTtl", 1),
        ],
    )
    def test_who_may_not_is_told_so_with_the_exit_status_of_the_command(
        self, tmp_path: Path, uid: int, order: api.TokenOrder, code: str, exit_status: int
    ):
        """4 where he is denied."""

        async def main(office: OpenOffice) -> BrokerError:
            office.asking = uid
            return await refused(office, lambda client: client.post("/tokens", order, api.Token))

        error = at_counter(main, tmp_path)

        assert (error.code, error.exit_status) == (code, exit_status)


class TestReload:
    def test_a_good_one_gives_the_generation(self, tmp_path: Path):
        """By which a script sees that its file is in force."""

        async def main(office: OpenOffice) -> dict[str, str]:
            return await office.ask(lambda client: client.post("/reload", {}, dict[str, str]))

        assert at_counter(main, tmp_path) == {"generation": "2" * 64}

    def test_a_broken_one_brings_every_mistake_with_its_place(self, tmp_path: Path):
        """As the daemon found them; the command ends as for a wrong configuration."""
        mistakes = (Mistake("config.toml:3 [daemon] listn", "unknown key"), Mistake("config.toml:7", "no such caller"))

        async def main(office: OpenOffice) -> tuple[BrokerError, int]:
            office.reload.trouble = ConfigError(*mistakes)
            status, _, _ = await exchanged(office, "POST", "/reload", b"{}")
            return await refused(office, lambda client: client.post("/reload", {}, dict[str, str])), status

        error, status = at_counter(main, tmp_path)

        assert isinstance(error, ConfigError)
        assert (error.mistakes, error.exit_status, status) == (mistakes, 2, 422)

    def test_only_operators_may(self, tmp_path: Path):
        """Others do not even have it read."""

        async def main(office: OpenOffice) -> tuple[BrokerError, int]:
            office.asking = ALICE
            return await refused(office, lambda client: client.post("/reload", {}, dict[str, str])), office.reload.read

        error, read = at_counter(main, tmp_path)

        assert (error.exit_status, read) == (4, 0)


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
