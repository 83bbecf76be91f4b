"""Clients that run on while leases are replaced under them, and while the clouds that mint them are gone.

Both take their time, so both run at once: this file needs two to three minutes.
"""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

import msgspec
import pytest

from broker.schedule import LONGEST_RETRY
from tests.clients.stage import Seen, Stage, bare, seen
from tests.clients.staging import staged

pytestmark = pytest.mark.clients

PROGRAMS = [
    "boto3_s3", "s3fs_s3", "pyarrow_s3", "obstore_s3", "polars_s3", "polars_native_s3", "streaming_s3",
    "google_auth", "google_cloud_storage", "gcsfs_gcs", "pyarrow_gcs", "obstore_gcs", "polars_gcs", "token_file",
    "streaming_gcs",
]  # fmt: skip
EVERY = "2"

# Leases of 72 s are replaced at about 36 s; pyarrow (C++) takes the new one 5 s before the old one's end, polars when
# it is over: by 96 s all have moved.
ROTATING, ROTATION_LOOK = 72, 96
# Leases of 110 s fall due at 49 s and are handed out until 80 s: 56 s, and what starting takes, is between.
DYING, OUTAGE_LOOK = 110, 56


class Run:
    """All programs under `exec`, each in its own folder, for a while."""

    def __init__(self, stage: Stage, seconds: int) -> None:
        self.stage = stage
        self._processes: dict[str, subprocess.Popen[str]] = {}
        home = stage.folder / "home"
        home.mkdir()
        for program in PROGRAMS:
            stage.cloud(program).put(f"{program}/in.bin")
            command = [*stage.command(program, program), "--for", str(seconds), "--every", EVERY]
            self._processes[program] = stage.under_exec(bare(home), command)

    def wait(self) -> dict[str, Seen]:
        """What each saw, when all have ended well."""
        return {program: seen(process, 180) for program, process in self._processes.items()}

    def end(self) -> None:
        """None is left, whatever became of the tests."""
        for process in self._processes.values():
            with process:
                process.terminate()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Run]]:
    """One run over rotating leases, and one whose clouds mint nothing any more once it has begun."""
    rotating_stage = staged(tmp_path_factory.mktemp("rotating"), ROTATING)
    dying_stage = staged(tmp_path_factory.mktemp("dying"), DYING)
    with contextlib.ExitStack() as stack:
        rotating = Run(stack.enter_context(rotating_stage), ROTATION_LOOK)
        stack.callback(rotating.end)
        dying = Run(stack.enter_context(dying_stage), OUTAGE_LOOK)
        stack.callback(dying.end)
        dying.stage.aws.ask("stop")
        dying.stage.google.ask("stop")
        yield rotating, dying


@pytest.fixture(scope="module")
def outage(runs: tuple[Run, Run]) -> tuple[Stage, dict[str, Seen]]:
    """The second run, over."""
    return runs[1].stage, runs[1].wait()


@pytest.fixture(scope="module")
def rotation(runs: tuple[Run, Run]) -> tuple[Stage, dict[str, Seen]]:
    """The first run, over."""
    return runs[0].stage, runs[0].wait()


class TestOutage:
    def test_no_client_notices_while_the_lease_lives(self, outage: tuple[Stage, dict[str, Seen]]):
        """Every one works to its end on the lease that is held, and no store refuses it anything."""
        stage, saw = outage

        assert set(saw) == set(PROGRAMS)
        assert stage.refused() == {}

    def test_the_daemon_did(self, outage: tuple[Stage, dict[str, Seen]]):
        """A refresh was due, failed, and what was held was handed out meanwhile: else the test above shows nothing."""
        stage, _ = outage

        assert stage.daemon.metric("stale_served_total", "train") > 0
        assert stage.daemon.metric("stale_served_total", "data") > 0


class TestAfterIt:
    """What follows when the clouds stay away for the rest of a lease's life, and when they are back."""

    def test_at_its_end_there_is_a_503_with_a_reason(self, outage: tuple[Stage, dict[str, Seen]]):
        """And with a Retry-After: not before, and no lease."""
        stage, _ = outage
        found = stage.with_env(bare(stage.folder / "home"))
        answers = [asked(found)]
        while answers[-1].status == 200:
            time.sleep(0.5)
            answers.append(asked(found))
        good, refused = answers[:-1], answers[-1]

        assert {one.expiration for one in good} <= {answers[0].expiration}
        assert (refused.status, bool(refused.retry_after)) == (503, True)
        assert "no connection to the endpoint" in refused.message

    def test_one_retry_heals_it_for_every_client(self, outage: tuple[Stage, dict[str, Seen]]):
        """Within a minute of the clouds' return each of them works again, unchanged."""
        stage, _ = outage
        found = stage.with_env(bare(stage.folder / "home"))
        failed = {name: stage.daemon.metric("mints_total", name, outcome="failed") for name in ("train", "data")}
        stage.aws.ask("start")
        stage.google.ask("start")
        ends = time.monotonic() + LONGEST_RETRY + 10
        while asked(found).status != 200 or not stage.daemon.ready():
            assert time.monotonic() < ends
            time.sleep(0.5)
        again = {
            program: stage.under_exec(bare(stage.folder / "home"), stage.command(program, program))
            for program in PROGRAMS
        }

        assert {name: stage.daemon.metric("mints_total", name, outcome="failed") for name in failed} == failed
        assert all(seen(process, 180).operations == 1 for process in again.values())
        assert stage.refused() == {}


class Asked(msgspec.Struct, frozen=True):
    """What the endpoint of an AWS client says."""

    status: int
    expiration: str = ""
    message: str = ""
    retry_after: str = ""


def asked(environment: Mapping[str, str]) -> Asked:
    """Ask it as a client does."""
    request = urllib.request.Request(
        environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        headers={"Authorization": environment["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return Asked(200, expiration=json.load(answer)["Expiration"])
    except urllib.error.HTTPError as refused:
        with refused:
            said = json.load(refused)
            return Asked(refused.code, message=said["Message"], retry_after=refused.headers["Retry-After"] or "")


class TestRotation:
    def test_no_client_sees_an_error(self, rotation: tuple[Stage, dict[str, Seen]]):
        """Programs catch nothing, and no store refused anything that a client would have tried again."""
        stage, saw = rotation

        assert stage.refused() == {}
        assert all(one.operations > ROTATION_LOOK // 5 for one in saw.values())

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_client_moves_to_a_new_lease(self, rotation: tuple[Stage, dict[str, Seen]], program: str):
        """The store has seen it with two identities or more."""
        stage, _ = rotation

        assert len(stage.cloud(program).answered(program)) >= 2
