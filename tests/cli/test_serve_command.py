"""`credbroker serve`: what it says, where it listens, when it refuses to, how it stops."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from broker import control_api as api
from broker.cli.serve_command import _own_runtime_folder, prepare
from broker.control_client import Client
from broker.errors import BrokerError
from tests.cli.newcomer import CREDBROKER, ONE_ROLE, PATIENCE, TRAIN, Newcomer
from tests.fakes.sts import FakeSts, fault
from tests.other_user import SOMEBODY


class TestConfigured:
    def test_it_says_where_it_listens_and_how_a_worker_uses_it(self, user: Newcomer, sts: FakeSts):
        """And never a token."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        with user.serving():
            status = Client(str(user.socket)).get("/status", api.Status)
            said = user.log()

        for word in (
            f"http://{status.listen[0]}",
            str(user.socket),
            f"http://{status.admin}/readyz",
            "credbroker exec -- CMD",
        ):
            assert word in said
        assert ("cbw_" in said, "cbp_" in said) == (False, False)

    def test_a_termination_ends_it_with_0_and_nothing_stays(self, user: Newcomer, sts: FakeSts):
        """No socket that nobody listens on, no minter."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        with user.serving() as daemon:
            Client(str(user.socket)).lease("train")
            minters = Client(str(user.socket)).get("/status", api.Status).minters
            daemon.send_signal(signal.SIGTERM)

            assert daemon.wait(10) == 0
        assert (user.socket.exists(), [pid for pid in minters if Path("/proc", str(pid)).exists()]) == (False, [])

    def test_a_private_folder_is_made_of_what_the_configuration_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """The folder of its socket, or its runtime_dir; systemd's goes before the former."""
        (tmp_path / "config.toml").write_text(f'[daemon]\nsocket = "{tmp_path}/s/broker.sock"\n')
        (tmp_path / "config.toml").chmod(0o600)
        tmp_path.chmod(0o700)
        for name in ("RUNTIME_DIRECTORY", "LISTEN_PID"):
            monkeypatch.delenv(name, raising=False)
        config = str(tmp_path / "config.toml")

        assert prepare(config, None).runtime_dir == f"{tmp_path}/s"
        monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
        assert prepare(config, None).runtime_dir == "/run/one"


class TestZeroConfiguration:
    def test_an_ordinary_user_is_served_and_root_is_refused(self, user: Newcomer):
        """Every daemon of a machine may run as root, and `exec` is for containers."""
        if os.geteuid() == 0:
            status, words = user.run("serve").outcome
            assert (status, "credbroker exec" in words) == (2, True)
            assert words.startswith("root does not serve without a configuration")
            return
        folder = user.socket.parent
        with user.serving():
            status, who = (json.loads(user.run(command, "--json").out) for command in ("status", "whoami"))
            port, modes = (
                (folder / "port").read_text(),
                [one.stat().st_mode & 0o777 for one in (folder, folder / "port")],
            )
            lease = json.loads(user.run("get", "aws").out)

        assert (status["listen"], modes) == ([f"127.0.0.1:{port}"], [0o700, 0o600])
        assert (who["callers"], [one["name"] for one in who["granted"]]) == (["local"], ["aws"])
        assert lease["AWS_REGION"] == "eu-west-1"
        assert not (folder / "port").exists()

    def test_without_an_identity_nobody_is_served(self, nobody: Newcomer):
        """With what was looked for; root is not even let so far."""
        status, words = nobody.run("serve").outcome

        if os.geteuid() == 0:
            assert status == 2
        else:
            assert (status, words.startswith("you have no identity on any cloud")) == (1, True)

    @pytest.mark.parametrize(
        ("environ", "reason"),
        [
            ({}, "XDG_RUNTIME_DIR is not set"),
            ({"XDG_RUNTIME_DIR": "/nonexistent"}, "cannot use the folder /nonexistent/credbroker: No such file"),
            ({"XDG_RUNTIME_DIR": "{folder}"}, "belongs to another user"),
        ],
        ids=["none", "one that is not there", "somebody else's"],
    )
    def test_without_a_runtime_folder_of_ones_own_it_is_refused(
        self, environ: dict[str, str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """There is no other private place that `exec` would look at."""
        monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)
        given = {name: value.format(folder=tmp_path) for name, value in environ.items()}
        with pytest.raises(BrokerError, match=reason) as refusal:
            _own_runtime_folder(given)

        assert (refusal.value.exit_status, "XDG_RUNTIME_DIR" in refusal.value.advice) == (2, True)

    def test_root_is_refused_whoever_runs_this(self, monkeypatch: pytest.MonkeyPatch):
        """And told what to use instead."""
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(BrokerError, match="use `credbroker exec -- CMD`") as refusal:
            _own_runtime_folder({"XDG_RUNTIME_DIR": "/run/user/0"})

        assert refusal.value.exit_status == 2


class Private:
    """A broker as `exec` starts it, and our end of its socket."""

    def __init__(self, user: Newcomer) -> None:
        self.folder = user.folder / "p"
        self.folder.mkdir(mode=0o700)
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(PATIENCE)
        with theirs:
            command = [*CREDBROKER, "serve", "--private", str(theirs.fileno()), str(self.folder)]
            self.process = user.running(command, keep=(theirs.fileno(),))

    def ended(self) -> tuple[int | None, str]:
        """Let go of it; its status, and what it said on standard error."""
        self.ours.close()
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


class TestPrivate:
    def test_it_lives_as_long_as_somebody_holds_the_other_end(self, user: Newcomer):
        """However that ends; its folder goes with it."""
        broker = Private(user)
        said = json.loads(broker.ours.recv(4096))
        assert Client(said["socket"]).get("/status", api.Status).callers[0].grants == ("aws",)

        assert broker.ended() == (0, "")
        assert not broker.folder.exists()

    def test_nobody_at_the_other_end_ends_it_at_once(self, user: Newcomer):
        """`exec` was killed while its broker started."""
        broker = Private(user)

        assert broker.ended() == (1, "")
        assert not broker.folder.exists()

    def test_what_is_wrong_at_its_start_goes_to_the_other_end(self, nobody: Newcomer):
        """With the exit status: `exec` says it, once."""
        broker = Private(nobody)
        said = json.loads(broker.ours.recv(4096))

        assert (said["exit_status"], said["error"].startswith("you have no identity on any cloud")) == (1, True)
        assert broker.ended() == (0, "")

    def test_it_is_quiet_until_the_command_is_there(self, user: Newcomer, sts: FakeSts):
        """What is wrong before, `exec` tells by itself; what goes wrong later, nobody else would."""
        sts.script = lambda _: fault("AccessDenied", 403)
        broker = Private(user)
        client = Client(json.loads(broker.ours.recv(4096))["socket"])
        with pytest.raises(BrokerError):
            client.refresh("aws", api.RefreshOrder())
        broker.ours.sendall(b"\n")
        with pytest.raises(BrokerError):
            client.refresh("aws", api.RefreshOrder())

        assert broker.ended()[1].count("mint failed") == 1
