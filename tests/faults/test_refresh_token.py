"""A refresh token of Alipan that a running daemon keeps fresh in its file, whoever asks and whoever dies."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.newcomer import Newcomer, newcomer, until
from tests.fakes.alipan import FakeAlipan

CONFIG = """
    [credentials.pan]
    source = "alipan"
    refresh_token = {{ file = "pan.token" }}
    keep_fresh = true
    api_url = "{url}"

    [credentials.wandb]
    source = "private-env"
    secrets = {{ WANDB_API_KEY = {{ file = "wandb.key" }} }}

    [callers.me]
    ME
    grants = ["pan", "wandb"]
"""


class Pan:
    """A user, the file of his token, and Alipan."""

    def __init__(self, user: Newcomer, fake: FakeAlipan) -> None:
        self.user, self.fake = user, fake
        self.audit = user.folder / "audit"
        folder = user.configure(CONFIG.format(url=fake.url), daemon=f'audit_file = "{self.audit}"').parent
        self.file, self.record = folder / "pan.token", folder / "pan.token.refreshed"
        self.login("first")
        (folder / "wandb.key").touch(0o600)
        (folder / "wandb.key").write_text("wandb-key")

    def login(self, token: str) -> None:
        """He puts a new one there."""
        self.fake.refresh_tokens.add(token)
        self.file.touch(0o600)
        self.file.write_text(token)

    def handed(self) -> str:
        """What a worker gets."""
        ran = self.user.run("get", "pan", "--format", "json")
        assert ran.status == 0, ran.err
        return str(json.loads(ran.out)["ALIPAN_WEB_REFRESH_TOKEN"])

    @property
    def asked(self) -> int:
        """How often Alipan was."""
        return self.fake.calls["/token/refresh"]


@pytest.fixture
def pan() -> Iterator[Pan]:
    """With a token that is good."""
    with newcomer() as user, FakeAlipan() as fake:
        yield Pan(user, fake)


class TestKeptFresh:
    def test_one_refresh_serves_a_daemon_a_second_one_and_a_check(self, pan: Pan):
        """All of one host, by the file and its record alone."""
        with pan.user.serving():
            token = pan.handed()
            assert pan.user.run("refresh", "pan").status == 0
            assert pan.user.run("check").status == 0
            assert pan.handed() == token
        with pan.user.serving():
            assert pan.handed() == token

        assert pan.asked == 1
        assert pan.file.read_text() == f"{token}\n"
        assert token != "first"

    def test_it_is_told_as_what_it_is(self, pan: Pan):
        """Not short-lived, and no end in the audit line."""
        with pan.user.serving():
            token = pan.handed()
            status, checked = pan.user.run("status"), pan.user.run("check")

        assert "not short-lived" in status.out
        assert "not short-lived" in checked.out
        ends = [
            line["expires_at"] for line in map(json.loads, pan.audit.read_text().splitlines()) if "expires_at" in line
        ]
        assert ends == [None]
        assert token not in pan.audit.read_text() + pan.user.log() + status.out + checked.out


class TestRefused:
    def test_it_is_one_credentials_trouble_until_he_logs_in_again(self, pan: Pan):
        """The other goes on; what to do is said by the place of the file."""
        pan.fake.refresh_tokens.clear()
        with pan.user.serving():
            refused = pan.user.run("refresh", "pan")
            assert refused.status != 0
            assert "log in there again and write the new refresh token into that file" in refused.err
            assert str(pan.file) in refused.err
            assert pan.user.run("get", "wandb", "--format", "json").status == 0

            pan.login("second")
            assert pan.user.run("refresh", "pan").status == 0

            assert pan.handed() in pan.fake.refresh_tokens - {"second"}

    def test_a_variable_is_a_mistake_of_the_configuration(self, pan: Pan):
        """`check` says so before anything is asked."""
        path = pan.user.configure(CONFIG.format(url=pan.fake.url).replace('file = "pan.token"', 'env = "PAN"'))

        ran = pan.user.run("check", "--offline", "--config", str(path))

        assert ran.status == 2
        assert "keep_fresh" in ran.err
        assert pan.asked == 0


class TestKilled:
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_minter_that_dies_amid_the_question_leaves_a_token_that_is_good(self, pan: Pan, when: str):
        """And the next one asks again."""
        with pan.user.serving() as daemon:
            until(lambda: pan.record.exists() and pan.record.read_text())
            held = pan.handed()
            pan.record.unlink()  # an hour passes
            killed: list[int] = []

            def strike(step: str) -> None:
                if step == when and not killed:
                    killed.extend(children(daemon.pid))
                    for pid in killed:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)

            pan.fake.steps = strike
            assert pan.user.run("refresh", "pan").status != 0
            assert killed
            assert pan.file.read_text() == f"{held}\n"
            assert pan.handed() == held

            until(lambda: pan.user.run("refresh", "pan").status == 0)
            token = pan.handed()

            assert token != held
            assert pan.file.read_text() == f"{token}\n"
            assert token in pan.fake.refresh_tokens


def children(parent: int) -> list[int]:
    """Of the daemon: its minters."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(int(stat.parent.name))
    return found
