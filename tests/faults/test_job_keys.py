"""HMAC keys while jobs come and go and minters die: `kill -9` before and after each call to a strict fake Google.

Each job has a key of its own that is gone soon after the job; and what a death left behind is gone once it is too old.
"""

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from broker.safefile import write_private
from tests.cli.newcomer import CREDBROKER, Newcomer, until
from tests.clients.configured import GCS_HMAC
from tests.fakes.gcs_hmac import ACCOUNT, FakeGcsHmac
from tests.fakes.google import FakeGoogle
from tests.fakes.google.__main__ import introduction
from tests.fakes.objects import Buckets
from tests.faults.striking import strike

TTL = 900
CONFIG = f"""{GCS_HMAC}
ttl = {TTL}

[callers.me]
ME
grants = ["hmac"]
"""
KEY = "import os, sys; print(os.environ['GCS_KEY'], flush=True); sys.stdin.read()"
MAKING = tuple(f"{when} {call}" for call in ("list", "create") for when in ("before", "after"))
ENDING = tuple(f"{when} {call}" for call in ("list", "deactivate", "delete") for when in ("before", "after"))


class Site(Newcomer):
    """Somebody whose configuration names a project of the fake Google."""

    gcs: FakeGcsHmac

    def job(self) -> "Job":
        """One more, at work."""
        return Job(self)

    def tidied(self) -> bool:
        """Whether Google has no key any more."""
        return not self.gcs.keys


class Job:
    """A command under `exec` that tells its key and works until it is told to end."""

    def __init__(self, user: Newcomer) -> None:
        command = [*CREDBROKER, "exec", "--", sys.executable, "-c", KEY]
        self.process = subprocess.Popen(
            command,
            env=user.variables(),
            cwd=user.home,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.key = self.process.stdout.readline().strip()

    def end(self) -> int:
        """Its work is done; how it ended."""
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def site() -> Iterator[Site]:
    """Without a key yet."""
    with tempfile.TemporaryDirectory(prefix="cb") as folder, FakeGoogle() as google:
        found = Site(Path(folder))
        found.gcs = FakeGcsHmac(google.registry, Buckets("data"))
        with found.gcs.serve() as served:
            key_file = introduction(google, found.home)["key_file"]
            found.configure(CONFIG.format(key_file=key_file, account=ACCOUNT, url=served.url))
            yield found


class TestJobs:
    def test_each_has_a_key_of_its_own_until_it_is_over(self, site: Site):
        """Of one daemon; that another goes on is nothing to it."""
        with site.serving():
            one, two = site.job(), site.job()
            assert {one.key, two.key} == set(site.gcs.keys)

            assert one.end() == 0
            until(lambda: set(site.gcs.keys) == {two.key})
            assert two.end() == 0
            until(site.tidied)

        assert site.gcs.done == ["create", "create", *["deactivate", "delete"] * 2]
        retired = [line for line in site.log().splitlines() if "KeysRetired" in line]
        assert [one.key in retired[0], two.key in retired[1]] == [True, True]

    def test_with_a_broker_of_its_own_it_is_gone_when_exec_returns(self, site: Site):
        """Nobody is left who could do it later."""
        job = site.job()
        assert set(site.gcs.keys) == {job.key}

        assert job.end() == 0

        assert site.tidied()

    @pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
    def test_nor_is_one_left_that_was_only_being_made(self, site: Site, signum: int):
        """Somebody has thought better of it while Google was slow."""
        made = threading.Event()

        def slow(step: str) -> None:
            if step == "after create":
                made.set()
                time.sleep(1.0)

        site.gcs.steps = slow
        job = subprocess.Popen([*CREDBROKER, "exec", "--", "true"], env=site.variables(), cwd=site.home)
        assert made.wait(60)
        job.send_signal(signum)

        assert job.wait(60) == 128 + signum
        assert site.gcs.done == ["create", "deactivate", "delete"]

    def test_and_soon_after_exec_was_killed(self, site: Site):
        """As a batch system does it."""
        job = site.job()
        job.process.kill()
        until(site.tidied)
        job.process.communicate()

    def test_a_token_by_hand_is_a_job(self, site: Site):
        """Whoever revokes it ends what was made for it."""
        with site.serving():
            ran = site.run("env", "--format", "json")
            key = json.loads(ran.out)["set"]["GCS_KEY"]
            tokens = json.loads(site.run("token", "list", "--json").out)
            assert set(site.gcs.keys) == {key}

            assert site.run("token", "revoke", tokens[0]["id"]).status == 0
            assert json.loads(site.run("token", "list", "--json").out) == []
            until(site.tidied)

    def test_check_leaves_none(self, site: Site):
        """It makes one, asks the store whose it is, and ends it."""
        checked = site.run("check")

        assert (checked.status, site.gcs.done) == (0, ["create", "deactivate", "delete"])
        assert ACCOUNT in checked.out
        assert "hmac: without state_dir a restart forgets the keys of running jobs" in checked.out

    def test_who_shows_no_token_shares_one_that_age_ends(self, site: Site):
        """By the uid alone there is no telling when a job is over."""
        with site.serving():
            keys = [json.loads(site.run("get", "hmac", "--format", "json").out)["GCS_KEY"] for _ in range(2)]
            job = site.job()
            job.end()

            assert keys[0] == keys[1]
            until(lambda: set(site.gcs.keys) == {keys[0]})
            site.gcs.keys[keys[0]].created -= 2 * TTL + 1
            assert site.job().end() == 0
            until(site.tidied)

    def test_the_eleventh_waits_for_the_end_of_another(self, site: Site):
        """Google lets an account have ten."""
        jobs = [site.gcs.plant(60) for _ in range(9)]
        with site.serving():
            tenth = site.job()
            refused = site.run("exec", "--", "true")
            assert (refused.status, "wait for a job's end" in refused.err) == (1, True)
            tenth.end()
            until(lambda: len(site.gcs.keys) == len(jobs))
            assert site.run("exec", "--", "true").status == 0


class TestRestart:
    def test_a_job_that_outlives_a_killed_daemon_is_known_to_the_next(self, site: Site):
        """Where leases are kept: `exec` claims its token, and the sealed lease tells the key."""
        config = site.home / ".config/credbroker/config.toml"
        key = site.folder / "key"
        write_private(key, bytes(range(32)))
        sealing = f'[daemon]\nstate_dir = "{site.folder}/state"\nstate_key = {{ file = "{key}" }}'
        config.write_text(config.read_text().replace("[daemon]", sealing))
        with site.serving() as daemon:
            job = site.job()
            until(lambda: len(list((site.folder / "state").glob("[!.]*.lease"))) == 2)
            daemon.kill()
            daemon.wait()
        with site.serving():
            until(lambda: "unclaimed" not in site.run("token", "list").out)
            assert job.end() == 0
            until(site.tidied)

        assert site.gcs.done == ["create", "deactivate", "delete"]


class TestKilledAtEachStep:
    @pytest.mark.parametrize("step", MAKING)
    def test_32_while_a_key_is_made(self, site: Site, step: str):
        """The job is told, and the next has a key; what was made for nobody is gone once it is too old."""
        killed: list[int] = []
        with site.serving() as daemon:
            site.gcs.steps = partial(strike, daemon.pid, step, killed)
            refused = site.run("exec", "--", "true")
            job = site.job()

            assert killed, f"{step} was not reached"
            assert (refused.status, "the minter process ended" in refused.err) == (1, True)
            orphans = set(site.gcs.keys) - {job.key}
            assert len(orphans) == (step.endswith("create"))
            for orphan in orphans:
                site.gcs.keys[orphan].created -= 2 * TTL + 1
            job.end()
            until(site.tidied)

    @pytest.mark.parametrize("step", ENDING)
    def test_32_while_a_key_is_ended(self, site: Site, step: str):
        """It is tried again."""
        killed: list[int] = []
        with site.serving() as daemon:
            job = site.job()
            site.gcs.steps = partial(strike, daemon.pid, step, killed)
            job.end()
            until(site.tidied)

            assert killed, f"{step} was not reached"
            until(lambda: "KeysRetired" in site.log())
