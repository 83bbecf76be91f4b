"""Reading the configuration again: good ones keep warm leases, broken ones and new listeners change nothing."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import pytest

from broker import control_api as api
from broker.daemon import Daemon
from broker.errors import ConfigError
from broker.events import Event, Reloaded, TokenRevoked
from tests.daemons import (
    PLAN,
    ROLE,
    Pool,
    a_start,
    ask,
    control,
    narrowly,
    on_uvloop,
    ready,
    running,
    the_pool,
    written,
)

T = TypeVar("T")

MORE = {
    **PLAN,
    "credentials.next": ROLE.replace("job", "next"),
    "callers.trainer": PLAN["callers.trainer"].replace('"train"', '"train", "next"'),
}


@pytest.fixture(autouse=True)
def made_up_minters(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started in this file."""
    monkeypatch.setattr("broker.upstream.Pool", Pool)


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Everything that is noted."""
    found: list[Event] = []
    monkeypatch.setattr("broker.daemon.logs.listen", found.append)
    return found


def served(folder: Path, main: Callable[[Daemon], Awaitable[T]], plan: Mapping[str, str] = PLAN) -> T:
    """Run `main` beside a daemon that has its leases."""

    async def run() -> T:
        async with running(a_start(folder, plan)) as daemon:
            await ready(daemon)
            return await main(daemon)

    return on_uvloop(run)


async def rows(daemon: Daemon) -> list[tuple[str, int]]:
    """Each credential's serial."""
    said = await control(daemon, lambda client: client.get("/status", api.Status))
    return [(row.credential, row.serial) for row in said.leases]


async def token(daemon: Daemon, caller: str) -> str:
    """A worker token."""
    order = api.TokenOrder(caller=caller)
    return (await control(daemon, lambda client: client.post("/tokens", order, api.Token))).token or ""


class TestGood:
    def test_warm_leases_stay_and_new_ones_are_minted(self, tmp_path: Path):
        """By the rendered spec: what has not changed is not asked for again."""

        async def main(daemon: Daemon) -> tuple[list[tuple[str, int]], list[str], list[int]]:
            written(tmp_path, MORE)
            await daemon.reload()
            await ready(daemon)
            asked = [call.ask.credential for call in the_pool(daemon).called]
            statuses = [(await ask(daemon, path))[0] for path in ("/aws/train", "/aws/next")]
            return await rows(daemon), asked, statuses

        assert served(tmp_path, main) == ([("train", 1), ("next", 1)], ["train", "next"], [200, 200])

    def test_what_is_no_longer_granted_is_gone_at_once(self, tmp_path: Path):
        """For connections that are open, too."""

        async def main(daemon: Daemon) -> tuple[list[int], list[tuple[str, int]]]:
            before = (await ask(daemon, "/aws/next"))[0]
            written(tmp_path, PLAN)
            await daemon.reload()
            return [before, (await ask(daemon, "/aws/next"))[0]], await rows(daemon)

        assert served(tmp_path, main, MORE) == ([200, 403], [("train", 1)])

    def test_a_changed_spec_is_another_lease(self, tmp_path: Path):
        """Never the old one under the new name."""

        async def main(daemon: Daemon) -> list[str]:
            written(tmp_path, {**PLAN, "credentials.train": ROLE.replace("job", "other")})
            await daemon.reload()
            await ready(daemon)
            return [(await ask(daemon, "/aws/train"))[1]["AccessKeyId"]]

        assert served(tmp_path, main) == ["ASIAtrain-2"]

    def test_minters_and_later_mints_are_of_the_new_generation(self, tmp_path: Path):
        """A minter refuses what another configuration asks of it."""

        async def main(daemon: Daemon) -> tuple[list[str], bool]:
            written(tmp_path, MORE)
            generation = await daemon.reload()
            await ready(daemon)
            pool = the_pool(daemon)
            asked = [call.ask.generation for call in pool.called]
            return asked, asked[-1] == generation and pool.launches[-1].snapshot != pool.launches[0].snapshot

        asked, right = served(tmp_path, main)

        assert right
        assert len(set(asked)) == 2

    def test_tokens_of_callers_that_are_gone_end(self, tmp_path: Path, noted: list[Event]):
        """Those of callers that stay live on."""
        both = {**PLAN, "callers.guest": 'worker_token = true\ngrants = ["train"]\n'}

        async def main(daemon: Daemon) -> list[int]:
            texts = [await token(daemon, caller) for caller in ("trainer", "guest")]
            before = [(await ask(daemon, "/aws/train", text))[0] for text in texts]
            written(tmp_path, PLAN)
            await daemon.reload()
            return [*before, *[(await ask(daemon, "/aws/train", text))[0] for text in texts]]

        assert served(tmp_path, main, both) == [200, 200, 200, 401]
        assert [event.why for event in noted if isinstance(event, TokenRevoked)] == ["caller-gone"]

    def test_callers_are_matched_anew(self, tmp_path: Path):
        """Who was somebody may be nobody."""

        async def main(daemon: Daemon) -> list[int]:
            before = (await ask(daemon, "/aws/train"))[0]
            written(tmp_path, {**PLAN, "callers.trainer": 'uid = 61999\ngrants = ["train"]\n'})
            await daemon.reload()
            return [before, (await ask(daemon, "/aws/train"))[0]]

        assert served(tmp_path, main) == [200, 401]

    def test_it_may_be_asked_for_on_the_socket(self, tmp_path: Path, noted: list[Event]):
        """`credbroker reload` is told the generation that is in force; so is the audit."""

        async def main(daemon: Daemon) -> list[str]:
            written(tmp_path, MORE)
            said = await control(daemon, lambda client: client.post("/reload", {}, dict[str, str]))
            return [said["generation"], daemon.config.generation]

        one, other = served(tmp_path, main)

        assert one == other
        assert [event for event in noted if isinstance(event, Reloaded)] == [Reloaded(one, by_uid=os.geteuid())]


class TestRefused:
    def test_a_broken_file_changes_nothing(self, tmp_path: Path, noted: list[Event]):
        """Every mistake is told, the old generation goes on, and the next good file is read."""

        async def main(daemon: Daemon) -> tuple[ConfigError, bool, int, list[str]]:
            before = daemon.config
            written(
                tmp_path, {**MORE, "credentials.broken": 'source = "aws-assume-rol"\nrole = "x"\n', "caller": "x = 1\n"}
            )
            with pytest.raises(ConfigError) as refused:
                await control(daemon, lambda client: client.post("/reload", {}, dict[str, str]))
            same = daemon.config is before and daemon.desk.book.config is before
            status = (await ask(daemon, "/aws/train"))[0]
            written(tmp_path, MORE)
            await daemon.reload()
            return refused.value, same, status, narrowly(daemon.config)

        error, same, status, after = served(tmp_path, main)

        assert len(error.mistakes) >= 2
        assert all(str(tmp_path / "config.toml") in mistake.place for mistake in error.mistakes)
        assert (same, status, after) == (True, 200, ["train", "next"])
        assert [bool(event.error) for event in noted if isinstance(event, Reloaded)] == [True, False]

    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("listen", 'listen = ["127.0.0.1:9"]'),
            ("admin", 'admin = "127.0.0.1:9"'),
            ("socket", 'socket = "{folder}/other.sock"'),
            ("runtime_dir", 'runtime_dir = "{folder}/run"'),
            ("minter_socket", 'minter_socket = "{folder}/minter.sock"'),
            ("audit_file", 'audit_file = "{folder}/audit"'),
            ("log_level", 'log_level = "debug"'),
            ("limits", "limits = { connections = 7 }"),
        ],
    )
    def test_what_needs_a_restart_is_refused_whole(self, tmp_path: Path, name: str, line: str):
        """Half a change would be neither the one nor the other; it says which line."""
        lines = [one for one in PLAN["daemon"].splitlines() if not one.startswith(f"{name} ")]
        changed = {**MORE, "daemon": "\n".join([*lines, line]) + "\n"}

        async def main(daemon: Daemon) -> tuple[ConfigError, list[str]]:
            written(tmp_path, changed)
            with pytest.raises(ConfigError) as refused:
                await control(daemon, lambda client: client.post("/reload", {}, dict[str, str]))
            return refused.value, narrowly(daemon.config)

        error, after = served(tmp_path, main)

        assert after == ["train"]
        (mistake,) = error.mistakes
        assert mistake.place.endswith((f" [daemon] {name}", f" [daemon.{name}]"))
        assert mistake.text == "a change here needs a restart"

    def test_operators_are_no_listener(self, tmp_path: Path):
        """What is asked anew each time may change."""

        async def main(daemon: Daemon) -> tuple[str, ...]:
            written(tmp_path, {**PLAN, "daemon": PLAN["daemon"] + 'operators = ["root", "group:mlops"]\n'})
            await daemon.reload()
            return daemon.desk.book.config.daemon.operators

        assert served(tmp_path, main) == ("root", "group:mlops")
