"""The composition: starts, becomes ready, serves, ticks and stops; a second one exits and steals nothing."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest

from broker import control_api as api
from broker.config.shape import Address
from broker.daemon import DRAIN, Daemon
from broker.errors import BrokerError, Unreachable
from broker.server.sockets import listen_tcp, listen_unix
from tests.daemons import (
    PLAN,
    Pool,
    a_start,
    ask,
    control,
    in_thread,
    on_uvloop,
    reaches,
    ready,
    running,
    the_pool,
)


@pytest.fixture(autouse=True)
def made_up_minters(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started in this file."""
    monkeypatch.setattr("broker.upstream.Pool", Pool)


class TestStart:
    def test_it_listens_before_anything_is_minted(self, tmp_path: Path):
        """Clients are told to come back rather than refused a connection."""

        async def main() -> tuple[list[str], bool, bool]:
            async with Daemon(a_start(tmp_path)) as daemon:
                who = await control(daemon, lambda client: client.get("/whoami", api.Who))
                open_to = reaches(("127.0.0.1", daemon.facts.port)), who.uid == os.geteuid()
                return [call.do for call in the_pool(daemon).called], *open_to

        assert on_uvloop(main) == ([], True, True)

    def test_nor_is_it_ready_before(self, tmp_path: Path):
        """A probe that comes first must not send it work."""

        async def main() -> bool:
            async with Daemon(a_start(tmp_path)) as daemon:
                return (await control(daemon, lambda client: client.get("/status", api.Status))).ready

        assert on_uvloop(main) is False

    def test_it_mints_what_is_granted_and_serves_it(self, tmp_path: Path):
        """By the kernel's word on who asks, and by a token of the control socket."""

        async def main() -> list[int]:
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                order = api.TokenOrder(caller="trainer")
                token = await control(daemon, lambda client: client.post("/tokens", order, api.Token))
                attested, _ = await ask(daemon, "/aws/train")
                shown, _ = await ask(daemon, "/aws", token.token or "")
                return [attested, shown]

        assert on_uvloop(main) == [200, 200]

    def test_status_says_where_it_is(self, tmp_path: Path):
        """Addresses as they came out, for `env` and for people."""

        async def main() -> tuple[api.Status, int]:
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                return await control(daemon, lambda client: client.get("/status", api.Status)), daemon.facts.port

        said, port = on_uvloop(main)

        assert said.listen == (f"127.0.0.1:{port}",)
        assert said.admin is not None
        assert (said.attestation, said.ready, said.minters, said.files) == (
            "on",
            True,
            (4711,),
            (str(tmp_path / "config.toml"),),
        )

    def test_its_minters_are_given_the_identity_and_nothing_that_points_back(self, tmp_path: Path):
        """A broker that fetches from itself would hand on its own answers for ever."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = f"http://127.0.0.1:{listener.getsockname()[1]}/aws"
            identity = {"AWS_PROFILE": "prod", "AWS_CONTAINER_CREDENTIALS_FULL_URI": ours}
            start = a_start(tmp_path, identity=identity, handed={"worker": (listener,)})

            async def main() -> dict[str, str]:
                async with Daemon(start) as daemon:
                    return dict(the_pool(daemon).launches[0].environment)

            environment = on_uvloop(main)

        assert environment["AWS_PROFILE"] == "prod"
        assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in environment

    def test_sockets_of_systemd_are_used_and_left(self, tmp_path: Path):
        """They are its own: the path of the control socket stays for the next start."""
        tmp_path.chmod(0o700)
        path = tmp_path / "handed.sock"
        worker, controlling = listen_tcp(Address("127.0.0.1", 0), 16), listen_unix(str(path), 0o666)
        plan = {**PLAN, "daemon": f'admin = "127.0.0.1:0"\nsocket = "{path}"\n'}
        address = worker.getsockname()

        async def main() -> tuple[bool, str]:
            start = a_start(tmp_path, plan, handed={"worker": (worker,), "control": (controlling,)})
            async with running(start) as daemon:
                await ready(daemon)
                who = await control(daemon, lambda client: client.get("/whoami", api.Who))
                return (await ask(daemon, "/aws/train"))[0] == 200 and who.uid == os.geteuid(), daemon.facts.listen[0]

        assert on_uvloop(main) == (True, f"127.0.0.1:{address[1]}")
        assert path.is_socket()


class TestTaken:
    def test_a_taken_port_is_said_and_nothing_is_left(self, tmp_path: Path):
        """Whoever holds it goes on."""
        with socket.create_server(("127.0.0.1", 0)) as holder:
            listen = f'"127.0.0.1:0", "127.0.0.1:{holder.getsockname()[1]}"'
            start = a_start(tmp_path, {**PLAN, "daemon": PLAN["daemon"].replace('"127.0.0.1:0"', listen, 1)})

            async def main() -> None:
                with pytest.raises(BrokerError, match="is taken: another credbroker or program holds it"):
                    async with Daemon(start):
                        pass

            on_uvloop(main)
            assert reaches(holder.getsockname())
        assert not (tmp_path / "broker.sock").exists()

    def test_a_taken_admin_port_leaves_no_socket_behind(self, tmp_path: Path):
        """What was opened before it is closed and removed again."""
        with socket.create_server(("127.0.0.1", 0)) as holder:
            daemon = PLAN["daemon"].replace('admin = "127.0.0.1:0"', f'admin = "127.0.0.1:{holder.getsockname()[1]}"')
            start = a_start(tmp_path, {**PLAN, "daemon": daemon})

            async def main() -> None:
                with pytest.raises(BrokerError, match="is taken"):
                    async with Daemon(start):
                        pass

            on_uvloop(main)
        assert not (tmp_path / "broker.sock").exists()

    def test_a_second_daemon_steals_no_socket(self, tmp_path: Path):
        """It exits, saying so, and the first one is asked as before."""

        async def main() -> tuple[str, int]:
            async with running(a_start(tmp_path)) as first:
                await ready(first)
                with pytest.raises(BrokerError) as refused:
                    async with Daemon(a_start(tmp_path)):
                        pass
                who = await control(first, lambda client: client.get("/whoami", api.Who))
                return refused.value.advice, who.uid

        advice, uid = on_uvloop(main)

        assert "another credbroker or program listens there; see `credbroker status`" in advice
        assert uid == os.geteuid()


class TestStop:
    def test_nothing_is_left(self, tmp_path: Path):
        """No socket, no port, no minter."""

        async def main() -> tuple[int, bool]:
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                await ask(daemon, "/aws/train")
            return daemon.facts.port, the_pool(daemon).closed

        port, closed = on_uvloop(main)

        assert closed
        assert not reaches(("127.0.0.1", port))
        assert not (tmp_path / "broker.sock").exists()

    def test_what_is_being_answered_is_answered(self, tmp_path: Path):
        """SIGTERM in the middle of a mint."""

        async def main() -> int:
            async with running(a_start(tmp_path)) as daemon:
                the_pool(daemon).gate.clear()
                asking = asyncio.gather(ask(daemon, "/aws/train"))
                while not any(connection.busy for connection in daemon._plane.connections):  # noqa: ASYNC110 - a socket
                    await asyncio.sleep(0.001)
                asyncio.get_running_loop().call_later(0.02, the_pool(daemon).gate.set)
            return (await asking)[0][0]

        assert on_uvloop(main) == 200

    def test_a_client_that_never_reads_does_not_hold_it_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """It is waited for a while and then cut off: or the loop could not even be closed."""
        monkeypatch.setattr("broker.daemon.DRAIN", 0.05)
        ends = []

        async def main() -> bool:
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                end = await in_thread(lambda: socket.create_connection(("127.0.0.1", daemon.facts.port)))
                ends.append(end)
                end.setblocking(False)
                head = b"GET /aws/train HTTP/1.1\r\nHost: localhost\r\nAuthorization: attested\r\n\r\n"
                with contextlib.suppress(BlockingIOError):
                    while end.send(head * 8):  # noqa: ASYNC110 - until the kernel takes no more
                        await asyncio.sleep(0)
            return not daemon._plane.connections

        assert on_uvloop(main)
        ends[0].close()

    def test_who_holds_tokens_is_let_go(self, tmp_path: Path):
        """A worker under `exec` costs the daemon no patience when it stops."""

        async def main() -> float:
            async with running(a_start(tmp_path)) as daemon:
                await ready(daemon)
                holding = asyncio.gather(in_thread(lambda: _hold(daemon)))
                while not len(daemon._issuer._tokens):  # noqa: ASYNC110 - a socket brings them
                    await asyncio.sleep(0.001)
                began = asyncio.get_running_loop().time()
            await holding
            return asyncio.get_running_loop().time() - began

        assert on_uvloop(main) < DRAIN

    def test_it_may_be_embedded_without_running_it(self, tmp_path: Path):
        """And a second time in the same process, at the same place."""

        async def main() -> None:
            for _ in range(2):
                async with Daemon(a_start(tmp_path)):
                    pass

        on_uvloop(main)


def _hold(daemon: Daemon) -> bytes:
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(daemon.socket_path)
        end.sendall(b'POST /worker HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n{"hold":true}')
        said = b""
        while part := end.recv(65536):
            said += part
        return said


class TestFailedMint:
    def test_it_is_not_ready_and_says_why(self, tmp_path: Path):
        """It listens and goes on trying: no network at boot is no reason to end."""

        async def main() -> tuple[int, str, str | None]:
            async with running(a_start(tmp_path)) as daemon:
                the_pool(daemon).trouble = Unreachable("upstream is down")
                while not daemon.rounds.keepers or not daemon.rounds.keepers[0].failures:  # noqa: ASYNC110 - a task does it
                    await asyncio.sleep(0.001)
                status, said = await ask(daemon, "/aws/train")
                (row,) = (await control(daemon, lambda client: client.get("/status", api.Status))).leases
                return status, said["message"], row.error

        status, message, error = on_uvloop(main)

        assert (status, error) == (503, "Unreachable")
        assert "upstream is down" in message
