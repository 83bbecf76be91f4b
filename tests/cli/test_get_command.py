"""`credbroker get`: one lease, in the form that somebody reads."""

import json
import sys
from pathlib import Path

import pytest

from broker import control_api as api
from broker.cli.get_command import rendered
from broker.control_client import Client
from broker.errors import BrokerError
from tests.cli.newcomer import CREDBROKER, Newcomer

AWS = {
    "AWS_ACCESS_KEY_ID": "ASIA",
    "AWS_SECRET_ACCESS_KEY": "it's secret",
    "AWS_SESSION_TOKEN": "token",
    "expires_at": "2026-11-21T12:00:00Z",
}
GOOGLE = {"CLOUDSDK_AUTH_ACCESS_TOKEN": "ya29.token", "expires_at": "2026-11-21T12:00:00Z"}


class TestForms:
    def test_credential_process_is_the_aws_clis_schema(self):
        """Every field a string but the version."""
        assert json.loads(rendered(AWS, "credential-process")) == {
            "Version": 1,
            "AccessKeyId": "ASIA",
            "SecretAccessKey": "it's secret",
            "SessionToken": "token",
            "Expiration": "2026-11-21T12:00:00Z",
        }

    def test_keys_without_a_session_have_no_token_there(self):
        """An empty one would be sent."""
        assert "SessionToken" not in json.loads(rendered(AWS | {"AWS_SESSION_TOKEN": ""}, "credential-process"))

    def test_token_is_the_token_alone(self):
        """For a file or a header."""
        assert rendered(GOOGLE, "token") == "ya29.token"

    def test_env_is_for_a_shell(self):
        """Quoted, and without what is no variable."""
        assert rendered(AWS, "env").splitlines() == [
            "export AWS_ACCESS_KEY_ID=ASIA",
            "export AWS_SECRET_ACCESS_KEY='it'\"'\"'s secret'",
            "export AWS_SESSION_TOKEN=token",
        ]

    @pytest.mark.parametrize(
        ("lease", "form", "lacks"), [(AWS, "token", "no access token"), (GOOGLE, "credential-process", "no AWS keys")]
    )
    def test_what_a_kind_has_not_is_wrong_usage(self, lease: dict[str, str], form: str, lacks: str):
        """Another --format has it."""
        with pytest.raises(BrokerError, match=f"{lacks}: choose another --format") as failure:
            rendered(lease, form)

        assert failure.value.exit_status == 2


class TestOutside:
    def test_it_asks_as_the_user(self, stage: Newcomer):
        """Over the daemon's socket."""
        ran = stage.run("get", "data", "--format", "token")

        assert (ran.status, ran.err, len(ran.out.splitlines())) == (0, "", 1)

    def test_json_has_the_variables_and_the_end(self, stage: Newcomer):
        """The default."""
        assert {"AWS_SESSION_TOKEN", "AWS_REGION", "expires_at"} <= json.loads(stage.run("get", "train").out).keys()

    def test_a_shell_can_eval_it(self, stage: Newcomer):
        """As for one command line."""
        run = f'eval "$({" ".join(CREDBROKER)} get train --format env)"; echo "$AWS_REGION"'

        assert stage.shell(["sh", "-c", run]).out == "eu-west-1\n"

    @pytest.mark.parametrize("name", ["prod", "../whoami", "ü"])
    def test_what_is_not_granted_is_4_whatever_was_typed(self, stage: Newcomer, name: str):
        """With the way to see what is."""
        status, words = stage.run("get", name).outcome

        assert (status, words) == (
            4,
            f"{name}: not granted to you, or there is no such credential: `credbroker whoami` lists what is",
        )

    def test_what_upstream_denies_is_4_too(self, stage: Newcomer):
        """In our words."""
        status, words = stage.run("get", "closed").outcome

        assert (status, words.startswith("closed: cannot assume")) == (4, True)

    def test_without_a_daemon_it_is_3(self, nobody: Newcomer):
        """With each place where one was looked for."""
        status, words = nobody.run("get", "train").outcome

        assert (status, f"  {nobody.socket}: No such file or directory" in words.splitlines()) == (3, True)


class TestInside:
    def test_it_asks_as_the_worker(self, stage: Newcomer):
        """Whose environment says where, and who it is."""
        ran = stage.run("exec", "--as", "batch", "--", *CREDBROKER, "get", "data")

        assert (ran.status, "data: not granted to you" in ran.err) == (4, True)

    def test_it_finds_the_broker_of_its_own_command(self, user: Newcomer):
        """There is no other daemon."""
        ran = user.run("exec", "--", *CREDBROKER, "get", "aws", "--format", "credential-process")

        assert json.loads(ran.out)["Version"] == 1

    def test_so_does_every_profile_of_the_aws_config(self, stage: Newcomer):
        """`aws --profile train` starts it by an absolute path."""
        code = "import boto3; print(boto3.Session(profile_name='train').get_credentials().method)"

        assert stage.run("exec", "--", sys.executable, "-c", code).out == "custom-process\n"

    def test_a_token_that_is_over_says_how_to_get_another(self, stage: Newcomer):
        """As in a shell whose `env` was eight hours ago."""
        given = json.loads(stage.run("env", "--format", "json").out)["set"]
        token_id = Path(given["CREDBROKER_WORKER_TOKEN_FILE"]).parent.name.rpartition("-")[2]
        Client(str(stage.socket)).delete(f"/tokens/{token_id}", api.Token)
        status, words = stage.run("get", "train", **given).outcome

        assert (status, "train: this worker's token is over" in words) == (4, True)
