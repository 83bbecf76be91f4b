"""Signals that come to us before, while and after the command is there; and commands that are not there at all."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from broker.errors import BrokerError
from broker.run_command import _FORWARDED, Relay, Running, look_up


class Command:
    """A started command that remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bool]] = []

    def send(self, signum: int, *, kept: bool = False) -> None:
        """As `Running.send`."""
        self.sent.append((signum, kept))


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in _FORWARDED}
    for signum in before:  # a shell that runs the tests in its background has them ignore some
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def raised(signum: int) -> None:
    """The signal has come, and its handler has run."""
    os.kill(os.getpid(), signum)


class TestRelay:
    @pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
    def test_before_it_is_ready_a_signal_ends_us_in_order(self, signum: signal.Signals):
        """What is half made is cleaned up, and the status is a shell's."""
        Relay()
        with pytest.raises(SystemExit) as end:
            raised(signum)

        assert end.value.code == 128 + signum

    def test_an_interrupt_does_so_as_everywhere(self):
        """Somebody at a prompt presses Ctrl-C."""
        Relay()
        with pytest.raises(KeyboardInterrupt):
            raised(signal.SIGINT)

    def test_once_ready_they_wait_for_the_command_in_their_order(self):
        """None is lost, and none ends us instead of it."""
        relay, command = Relay().ready(), Command()
        for signum in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            raised(signum)
        assert command.sent == []
        relay.to(cast("Running", command))

        assert command.sent == [(signal.SIGTERM, True), (signal.SIGUSR1, True), (signal.SIGINT, True)]

    def test_after_that_they_are_passed_on(self):
        """By the rules for signals that the terminal may have sent to both."""
        command = Command()
        Relay().ready().to(cast("Running", command))
        raised(signal.SIGTERM)

        assert command.sent == [(signal.SIGTERM, False)]

    def test_what_the_user_ignores_stays_ignored(self):
        """Under nohup a hangup ends neither."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        Relay().ready()

        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


class TestLookUp:
    def test_a_command_on_the_path_is_there(self):
        """Or one by its own path."""
        look_up("sh", {"PATH": os.environ["PATH"]})
        look_up("/bin/sh", {})

    @pytest.mark.parametrize(
        ("mode", "status", "words"),
        [(None, 127, "command not found"), (0o644, 126, "Permission denied"), (0o755, None, "")],
    )
    def test_one_that_is_not_is_told_as_it_would_be_when_started(
        self, tmp_path: Path, mode: int | None, status: int | None, words: str
    ):
        """The path is the given environment's."""
        if mode is not None:
            (tmp_path / "script").write_text("#!/bin/sh\n")
            (tmp_path / "script").chmod(mode)
        if status is None:
            look_up("script", {"PATH": str(tmp_path)})
            return
        with pytest.raises(BrokerError, match=f"script: .*{words}") as failure:
            look_up("script", {"PATH": str(tmp_path)})

        assert failure.value.exit_status == status

    def test_a_folder_is_none(self, tmp_path: Path):
        """It exists, and cannot be run."""
        with pytest.raises(BrokerError) as failure:
            look_up(f"{tmp_path}/", {})

        assert failure.value.exit_status == 126
