"""`credbroker status`: what the daemon holds, on one screen."""

import json
import signal
import time
from typing import Any

import msgspec
import pytest

from broker import control_api as api
from broker.cli.status_command import page
from tests.cli.newcomer import ACCOUNT, ONE_ROLE, TRAIN, Newcomer, until
from tests.fakes.sts import FakeSts

LEASE = api.LeaseRow(
    credential="train",
    source="aws-assume-role",
    kind="aws",
    caller="me",
    identity="arn:aws:sts::1:assumed-role/train/me",
    account="1",
    state="fresh",
    serial=1,
    expires_at=0.0,
    left=3540.0,
    refreshed_at=None,
    next_refresh_in=1800.0,
    served=7,
    error=None,
    advice=None,
    note=None,
)
STATUS = api.Status(
    version="1.0",
    pid=4711,
    generation="0123456789abcdef",
    files=("/etc/credbroker/config.toml",),
    listen=("127.0.0.1:9911",),
    admin=None,
    attestation="on",
    ready=True,
    leases=(LEASE,),
    callers=(api.CallerRow(name="me", grants=("train",), tokens=2),),
)


def with_lease(**changes: object) -> api.Status:
    return msgspec.structs.replace(STATUS, leases=(msgspec.structs.replace(LEASE, **changes),))


class TestPage:
    def test_a_lease_is_a_line(self):
        """What it is, whose, how long, and when next."""
        row = next(line for line in page(STATUS).splitlines() if line.startswith("train"))

        assert row.split() == ["train", "me", "fresh", LEASE.identity, "59m", "-", "30m", "7", "-"]

    @pytest.mark.parametrize(
        ("whose", "cell"),
        [({"uid": 1000, "user": "alice"}, "alice"), ({"uid": 1000}, "1000"), ({"group": "vision"}, "group:vision")],
    )
    def test_whose_a_lease_is_has_a_column_where_one_is_somebody_s(self, whose: dict[str, object], cell: str):
        """Two rows of one credential would else look the same."""
        whole = msgspec.structs.replace(STATUS, leases=(LEASE, msgspec.structs.replace(LEASE, **whose)))
        head, shared, own = page(whole).partition("\n\n")[2].splitlines()[:3]

        assert (head.split()[:3], shared.split()[:3]) == (["CREDENTIAL", "CALLER", "USER"], ["train", "me", "-"])
        assert own.split()[:4] == ["train", "me", cell, "fresh"]
        assert "USER" not in page(STATUS)

    def test_it_says_whether_leases_are_kept(self):
        """Or why not; an older daemon does not say."""
        kept = msgspec.structs.replace(STATUS, state="off: others may enter it")

        assert page(kept).splitlines()[3] == "state off: others may enter it"
        assert "state" not in page(STATUS).partition("\n\n")[0]

    @pytest.mark.parametrize(
        ("refused", "words"),
        [
            ({"mistake": "a.toml:3: is wrong", "mistakes": 1}, "what was read before is in force: a.toml:3: is wrong"),
            (
                {"mistake": "a.toml:3: is wrong", "mistakes": 3},
                "is in force: a.toml:3: is wrong (and 2 more: `credbroker reload` lists them)",
            ),
            ({}, "what was read before is in force; operators are told why"),
        ],
    )
    def test_a_reload_that_was_refused_is_said(self, refused: dict[str, Any], words: str):
        """Else whoever looks believes that his file is in force."""
        at = time.time() - 200
        said = page(msgspec.structs.replace(STATUS, reload_refused=api.ReloadRefused(at=at, **refused)))

        assert said.splitlines()[3].startswith("LAST RELOAD REFUSED 3m ago, ")
        assert said.splitlines()[3].endswith(words)
        assert "RELOAD" not in page(STATUS)

    def test_what_went_wrong_stands_below_in_words(self):
        """With what to do."""
        failing = with_lease(state="stale", error="SsoSessionExpired", advice="run `aws sso login`")

        assert page(failing).endswith("train: run `aws sso login`")

    def test_a_note_stands_there_too(self):
        """Such as an expiry that nobody told."""
        assert page(with_lease(note="its expiry is not known")).endswith("train: its expiry is not known")

    def test_what_is_not_short_lived_says_so_where_its_end_would_stand(self):
        """That end is of the lease alone."""
        row = next(line for line in page(with_lease(short_lived=False)).splitlines() if line.startswith("train"))

        assert "  not short-lived  " in row

    def test_whether_it_is_ready_is_seen_at_once(self):
        """In the first line."""
        assert "NOT READY" in page(msgspec.structs.replace(STATUS, ready=False)).splitlines()[0]

    def test_who_may_see_nothing_is_told_why(self):
        """An empty table would look as if nothing were held."""
        assert "you are none of its callers" in page(msgspec.structs.replace(STATUS, leases=(), callers=()))


class TestCommand:
    def test_it_shows_the_running_daemon(self, stage: Newcomer):
        """Every credential of the configuration."""
        identity = f"arn:aws:sts::{ACCOUNT}:assumed-role/train/"
        until(lambda: identity in stage.run("status").out)  # it has only just begun to mint
        ran = stage.run("status")

        assert (ran.status, ran.err, "train" in ran.out) == (0, "", True)

    def test_json_has_it_all(self, stage: Newcomer):
        """For programs."""
        assert msgspec.json.decode(stage.run("status", "--json").out, type=api.Status).callers[0].name == "me"

    def test_watching_repeats_it(self, stage: Newcomer):
        """With --json a line each."""
        with stage.start("status", "--watch", "--json") as process:
            assert process.stdout is not None
            first, second = (json.loads(process.stdout.readline()) for _ in range(2))
            process.kill()

        assert first["pid"] == second["pid"]

    def test_a_file_that_was_not_taken_is_said_until_it_is(self, user: Newcomer, sts: FakeSts):
        """Also where a signal had it read: its answer stands in a log that nobody looks at."""
        plan = ONE_ROLE.format(role=TRAIN, sts=sts.url)
        user.configure(plan)
        with user.serving() as daemon:
            user.configure(plan.replace("grants", "grant"))
            daemon.send_signal(signal.SIGHUP)
            until(lambda: "LAST RELOAD REFUSED" in user.run("status").out)
            said = msgspec.json.decode(user.run("status", "--json").out, type=api.Status).reload_refused
            user.configure(plan)
            reloaded = user.run("reload")

            assert said is not None
            assert ("grant" in (said.mistake or ""), abs(said.at - time.time()) < 60) == (True, True)
            assert (reloaded.status, "RELOAD" in user.run("status").out) == (0, False), reloaded.err

    @pytest.mark.parametrize("command", ["status", "env", "token list", "reload"])
    def test_without_a_daemon_it_is_3(self, nobody: Newcomer, command: str):
        """As with every command that needs one."""
        status, words = nobody.run(*command.split()).outcome

        assert (status, "start one with `credbroker serve`" in words) == (3, True)
