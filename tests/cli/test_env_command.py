"""`credbroker env`: an environment as text, which a real shell and an unchanged SDK then use."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from broker import control_api as api
from broker.control_client import Client
from tests.cli.newcomer import ACCOUNT, CREDBROKER, Newcomer

BOTO3 = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
ENV = f'eval "$({" ".join(CREDBROKER)} env)"'


def given(stage: Newcomer, *options: str, **more: str | None) -> dict[str, str]:
    """The variables that it sets."""
    found: dict[str, str] = json.loads(stage.run("env", "--format", "json", *options, **more).out)["set"]
    return found


class TestFormats:
    def test_a_shell_evals_it_and_boto3_uses_it(self, stage: Newcomer):
        """Whatever identity that shell had before is out of the way."""
        ran = stage.shell(["sh", "-c", f'{ENV}; exec "{sys.executable}" -c "{BOTO3}"'], AWS_ACCESS_KEY_ID="AKIAOLD")

        assert ran.out.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/train/")

    def test_json_tells_what_to_unset_too(self, stage: Newcomer):
        """For programs that start others."""
        found = json.loads(stage.run("env", "--format", "json").out)

        assert {"AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS"} <= set(found["unset"])
        assert found["set"]["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"

    def test_dotenv_is_what_docker_reads(self, stage: Newcomer):
        """A name, `=` and a value on each line that is no comment."""
        lines = [line for line in stage.run("env", "--format", "dotenv").out.splitlines() if not line.startswith("#")]

        assert lines
        assert [line for line in lines if not line.partition("=")[0].replace("_", "").isalnum()] == []

    def test_slurm_is_what_a_task_prolog_prints(self, stage: Newcomer):
        """`export NAME=value` and `unset NAME`, nothing else."""
        words = {line.split()[0] for line in stage.run("env", "--format", "slurm").out.splitlines()}

        assert words == {"export", "unset"}

    def test_standard_output_has_nothing_else(self, stage: Newcomer):
        """It is evaluated: a word for people in it would be run."""
        ran = stage.run("env")

        assert {line.split()[0] for line in ran.out.splitlines()} == {"export", "unset"}


class TestTokens:
    @pytest.mark.parametrize(("ttl", "seconds"), [("45m", 2700), ("90", 90)])
    def test_they_live_as_long_as_told(self, stage: Newcomer, ttl: str, seconds: int):
        """Eight hours otherwise."""
        file = Path(given(stage, "--ttl", ttl)["CREDBROKER_WORKER_TOKEN_FILE"])
        token_id = file.parent.name.rpartition("-")[2]
        tokens = {token.id: token for token in Client(str(stage.socket)).get("/tokens", list[api.Token])}

        assert tokens[token_id].expires_at == pytest.approx(time.time() + seconds, abs=10)

    @pytest.mark.parametrize("ttl", ["0", "soon"])
    def test_no_duration_is_wrong_usage(self, stage: Newcomer, ttl: str):
        """With an example of one."""
        ran = stage.run("env", "--ttl", ttl)

        assert (ran.status, ran.out, '"45m"' in ran.err) == (2, "", True)

    def test_nothing_granted_is_warned_of(self, stage: Newcomer):
        """An environment without a credential is seldom meant."""
        ran = stage.run("env", "--without", "aws,gcp")

        assert (ran.status, "warning: me is granted nothing that is wanted here" in ran.err) == (0, True)


class TestFolders:
    def test_they_are_private_and_in_the_runtime_folder(self, stage: Newcomer):
        """Gone with the session."""
        folder = Path(given(stage)["CREDBROKER_WORKER_TOKEN_FILE"]).parent

        assert (folder.parent, folder.stat().st_mode & 0o777) == (stage.runtime / "credbroker", 0o700)

    def test_those_whose_tokens_are_over_go(self, stage: Newcomer):
        """A shell a day fills no disk."""
        old = stage.runtime / "credbroker" / "env-1000000000-abc"
        old.mkdir(mode=0o700)
        given(stage)

        assert not old.exists()

    def test_without_a_runtime_folder_they_are_in_the_cache(self, stage: Newcomer):
        """They have to outlive the command, so that no temporary name will do."""
        found = given(stage, "--socket", str(stage.socket), XDG_RUNTIME_DIR=None)

        assert Path(found["AWS_CONFIG_FILE"]).parent.parent == stage.home / ".cache/credbroker"

    def test_a_home_that_cannot_be_written_is_told_before_a_token_is_issued(self, stage: Newcomer):
        """It would live for eight hours without anybody knowing it."""
        before = stage.run("token", "list").out
        status, words = stage.run("env", XDG_RUNTIME_DIR=None, HOME="/dev/null").outcome

        assert (status, "set XDG_RUNTIME_DIR to a folder of your own" in words) == (1, True)
        assert stage.run("token", "list").out == before


class TestLeaving:
    def test_a_broker_within_has_the_first_identity(self, stage: Newcomer):
        """`exec` in a shell that `env` changed."""
        run = f'{ENV}; {" ".join(CREDBROKER)} exec --socket {stage.socket} -- "{sys.executable}" -c "{BOTO3}"'

        assert (
            "assumed-role/train"
            in subprocess.run(
                ["sh", "-c", run], env=stage.variables(), capture_output=True, text=True, check=True
            ).stdout
        )
