"""`credbroker get --watch`: a file that is always fresh, and never anything but private."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broker.cli import get_command
from broker.errors import BrokerError, NoDaemon
from tests.cli.newcomer import ONE_ROLE, TRAIN, Newcomer, until
from tests.fakes.sts import FakeSts

# The command as it is, but looking for a new lease ten times a second.
HURRIED = "import broker.files; broker.files.SELDOMEST = 0.1; from broker.cli import main; main()"


class Enough(Exception):
    """The watching has gone on for as long as the test wants."""


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Watches a credential that gives these leases, one at each look; an error is raised."""

    def watched(*given: str | BrokerError) -> Path:
        rest = iter(given)

        def lease_of(*_: object) -> dict[str, str]:
            token = next(rest, None)
            if token is None:
                raise Enough
            if isinstance(token, BrokerError):
                raise token
            return {"CLOUDSDK_AUTH_ACCESS_TOKEN": token, "expires_at": "2999-01-01T00:00:00Z"}

        monkeypatch.setattr(get_command, "lease_of", lease_of)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        with contextlib.suppress(Enough):
            get_command.watch("data", "token", tmp_path / "token", None)
        return tmp_path / "token"

    return watched


class TestFile:
    def test_it_is_private_and_holds_what_would_be_printed(self, watch: Callable[..., Path]):
        """Without a newline: some programs send the whole file."""
        file = watch("01")

        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"01", 0o600)

    def test_a_new_lease_replaces_it_whole(self, watch: Callable[..., Path], tmp_path: Path):
        """Who has the old one open reads it to its end."""
        watch("01")
        with (tmp_path / "token").open() as old:
            watch("02")

            assert (old.read(), (tmp_path / "token").read_text()) == ("01", "02")

    @pytest.mark.parametrize("error", [NoDaemon("gone"), BrokerError("failing"), BrokerError("denied")])
    def test_once_it_is_there_nothing_ends_the_watching(self, watch: Callable[..., Path], error: BrokerError):
        """The daemon may be restarted, upstream may be down."""
        assert watch("01", error, error, "02").read_text() == "02"

    def test_a_trouble_is_told_once(self, watch: Callable[..., Path], capsys: pytest.CaptureFixture[str]):
        """And again only after it was over."""
        watch("01", NoDaemon("gone"), NoDaemon("gone"), "02", NoDaemon("again"))

        assert (
            capsys.readouterr().err == "credbroker: warning: gone; trying on\ncredbroker: warning: again; trying on\n"
        )

    def test_a_daemon_that_is_not_up_yet_is_waited_for(self, watch: Callable[..., Path]):
        """Both may be started at boot."""
        assert watch(NoDaemon("not yet"), "01").read_text() == "01"

    def test_what_cannot_be_had_at_first_ends_it(self, watch: Callable[..., Path]):
        """A misspelt name, or no right to it: nobody would notice later."""
        with pytest.raises(BrokerError, match="not granted"):
            watch(BrokerError("not granted"), "01")


class TestPlace:
    @pytest.mark.parametrize("kind", ["symbolic link", "hard link", "folder"])
    def test_it_replaces_nothing_but_a_file_of_the_users_own(self, stage: Newcomer, tmp_path: Path, kind: str):
        """Somebody else may have prepared the place."""
        victim, target = tmp_path / "victim", tmp_path / "target"
        victim.write_text("mine")
        if kind == "folder":
            target.mkdir()
        else:
            {"symbolic link": target.symlink_to, "hard link": target.hardlink_to}[kind](victim)
        ran = stage.run("get", "data", "--watch", str(target))

        assert (ran.outcome[0], victim.read_text()) == (1, "mine")
        assert ran.outcome[1].startswith(f"will not write {target}: ")

    @pytest.mark.root
    def test_nor_a_file_of_somebody_else(self, stage: Newcomer, tmp_path: Path):
        """Whoever owns it could read it."""
        (tmp_path / "target").touch()
        os.chown(tmp_path / "target", 4711, 4711)

        assert "it belongs to another user" in stage.run("get", "data", "--watch", str(tmp_path / "target")).err

    def test_a_folder_that_is_not_there_is_told(self, stage: Newcomer):
        """Not made: it may be a disk that is not mounted."""
        assert stage.run("get", "data", "--watch", "/nonexistent/token").outcome == (
            1,
            "cannot write /nonexistent/token: No such file or directory; create it, or correct the path",
        )


class TestWatching:
    @pytest.fixture
    def watching(self, user: Newcomer, sts: FakeSts) -> Iterator[Path]:
        """A file that is being watched; no daemon runs yet."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        file = user.home / "lease"
        command = [sys.executable, "-P", "-c", HURRIED, "get", "train", "--watch", str(file)]
        with user.running(command) as process:
            yield file
            process.terminate()

    def test_it_follows_the_daemon_through_a_restart(self, user: Newcomer, watching: Path):
        """The file stays as it is meanwhile, and gets the new daemon's lease."""
        with user.serving():
            until(watching.exists)
            first = watching.read_text()
        assert watching.read_text() == first
        with user.serving():
            until(lambda: watching.read_text() != first)

    def test_it_follows_a_refresh(self, user: Newcomer, sts: FakeSts, watching: Path):
        """Each new lease, whoever asked for it."""
        with user.serving():
            until(watching.exists)
            first = watching.read_text()
            sts.rules.lifetime = 7200  # or it would be the same lease once more
            user.run("refresh", "train")
            until(lambda: watching.read_text() != first)
