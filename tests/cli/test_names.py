"""Names for completion: quick, silent, and only those that the user may see."""

import socket
import time
from pathlib import Path

import click
import pytest

from broker import control_client
from broker.cli import names

HERE = click.Context(click.Command("get")), click.Argument(["name"])


@pytest.fixture(autouse=True)
def _nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDBROKER_SOCKET", "/nonexistent/broker.sock")


class TestNames:
    def test_without_a_daemon_there_are_none(self):
        """And no error in the middle of a line."""
        assert (names.credentials(*HERE, ""), names.callers(*HERE, ""), names.credential_list(*HERE, "a,")) == (
            [],
            [],
            [],
        )

    def test_a_daemon_that_does_not_answer_is_not_waited_for(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        """A shell stands still as long as this takes."""
        monkeypatch.chdir(tmp_path)  # a short name
        with socket.socket(socket.AF_UNIX) as mute:
            mute.bind("s")
            mute.listen()
            monkeypatch.setenv("CREDBROKER_SOCKET", "s")
            began = time.monotonic()

            assert names.credentials(*HERE, "") == []
        assert time.monotonic() - began < control_client.PATIENCE / 2

    def test_words_of_another_command_are_files(self):
        """What else they are nobody here knows."""
        assert [item.type for item in names.files(*HERE, "scr")] == ["file"]
