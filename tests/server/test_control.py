"""The control plane over a real Unix socket, asked as the command line asks it."""

import asyncio
import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from broker import control_api as api
from broker.details import SocketAnswered
from broker.errors import BrokerError, ConfigError, Mistake, Unreachable
from broker.events import (
    TokenRevoked,
)
from broker.hold import Hold
from broker.server import control, gate, sockets
from broker.server.control import Control
from tests.callers.loopback import OTHER_UID, made_by
from tests.server.office import ACCOUNTS, CAROL, OpenOffice, at_counter, exchanged, raw, refused
from tests.server.plane import ALICE, BOB, STRANGER, until

TOKENS = tuple[api.Token, ...]


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


class TestTold:
    def test_every_answer_is_told_without_a_word_of_the_asker_s(self, tmp_path: Path):
        """By its route; a name that the configuration does not have might be anything."""

        async def main(office: OpenOffice) -> list[SocketAnswered]:
            office.asking = ALICE
            await office.mint("train")
            for method, target in (
                ("GET", "/lease/train"),
                ("GET", "/lease/cbw_secret"),
                ("DELETE", "/tokens/cbw_secret"),
                ("GET", "/cbw_secret"),
                ("POST", "/status"),
                ("POST", "/worker"),
            ):
                await exchanged(office, method, target)
            return office.work.noted(SocketAnswered)

        told = at_counter(main, tmp_path)

        assert [(one.method, one.path, one.credential, one.status) for one in told] == [
            ("GET", "/lease/{name}", "train", 200),
            ("GET", "/lease/{name}", None, 403),
            ("DELETE", "/tokens/{id}", None, 404),
            ("GET", "unknown", None, 404),
            ("POST", "unknown", None, 405),
            ("POST", "/worker", None, 400),
        ]
        assert {one.uid for one in told} == {ALICE}
        assert all(0 <= one.took < 5 for one in told)
        assert "cbw_" not in repr(told)

    def test_a_held_one_is_told_when_its_command_ends(self, tmp_path: Path):
        """Or whoever asked has hung up."""

        async def main(office: OpenOffice) -> list[int | None]:
            office.asking = ALICE
            hold = await office.ask(lambda client: Hold.engage(client, api.WorkerOrder(hold=True)))
            before = list(office.work.noted(SocketAnswered))
            hold.close()
            await until(lambda: bool(office.work.noted(SocketAnswered)))
            return [len(before), office.work.noted(SocketAnswered)[0].status]

        assert at_counter(main, tmp_path) == [0, None]


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


class TestRevoking:
    def test_many_are_ended_a_few_at_a_time(self, tmp_path: Path):
        """Thousands of lines of the audit must hold up no worker."""

        async def main(office: OpenOffice) -> tuple[api.Revoked, int, int, bool]:
            for _ in range(3 * control.AT_ONCE):
                office.issuer.issue(ACCOUNTS[CAROL], api.TokenOrder(caller="pods"), None)
            kept = office.issuer.issue(ACCOUNTS[CAROL], api.TokenOrder(caller="trainer"), None)
            office.asking, turns = CAROL, 0

            async def others() -> None:
                nonlocal turns
                while len(office.work.tokens) > 1:
                    turns += len(office.work.tokens) < 3 * control.AT_ONCE
                    await asyncio.sleep(0)

            order = api.RevokeOrder(caller="pods")
            ask = office.ask(lambda client: client.post("/tokens/revoke", order, api.Revoked))
            revoked, _ = await asyncio.gather(ask, others())
            left = [one.id for one in office.work.tokens.list()]
            return revoked, turns, len(office.work.noted(TokenRevoked)), left == [kept.id]

        revoked, turns, noted, others_stay = at_counter(main, tmp_path)

        assert (len(revoked.ids), revoked.missing, noted) == (3 * control.AT_ONCE, (), 3 * control.AT_ONCE)
        assert (turns >= 2, others_stay) == (True, True)

    def test_it_is_answered_once_they_are_gone_for_good(self, tmp_path: Path):
        """A daemon that is killed now must not know them after its restart."""

        async def main(office: OpenOffice) -> list[int]:
            left = []

            async def kept() -> None:
                left.append(len(office.work.tokens))

            plane = Control(office.clerk, office.issuer, office.inquiry, kept)
            office.issuer.issue(ACCOUNTS[CAROL], api.TokenOrder(caller="pods"), None)
            end = str(tmp_path / "other.sock")
            async with contextlib.AsyncExitStack() as stack:
                listener = sockets.listen_unix(end, 0o666)
                await gate.serve(plane.socket_app(), [listener], gate.of_socket(4096, office.noted), stack)
                body = b'{"everything": true}'
                await asyncio.get_running_loop().run_in_executor(None, raw, end, "POST", "/tokens/revoke", body)
            return left

        assert at_counter(main, tmp_path) == [0]

    def test_nobody_ends_what_he_does_not_see(self, tmp_path: Path):
        """Everything is everything of his."""

        async def main(office: OpenOffice) -> tuple[api.Revoked, int]:
            token = office.issuer.issue(ACCOUNTS[CAROL], api.TokenOrder(caller="trainer"), None)
            office.asking = BOB
            whole, one = api.RevokeOrder(everything=True), api.RevokeOrder(ids=(token.id,))
            said = await office.ask(lambda client: client.post("/tokens/revoke", whole, api.Revoked))
            assert said == api.Revoked(ids=())
            said = await office.ask(lambda client: client.post("/tokens/revoke", one, api.Revoked))
            return said, len(office.work.tokens)

        revoked, left = at_counter(main, tmp_path)

        assert (revoked.ids, len(revoked.missing), left) == ((), 1, 1)


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
