"""`exec` and `env` with stores whose secrets nobody can mint, and `--use` where there are several of a kind."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.newcomer import CREDBROKER, Newcomer, Ran, until

ENVIRON = "import json, os; print(json.dumps(dict(os.environ)))"
STORES = """
    [credentials.minio]
    source = "s3-static"
    access_key_id = { file = "one.id" }
    secret_access_key = { file = "one.key" }
    region = "eu-west-1"
    endpoint_url = "https://one.example:9000"
    env = { S3_CANNED_ACL = "private" }

    [credentials.ceph]
    source = "s3-static"
    access_key_id = { file = "two.id" }
    secret_access_key = { file = "two.key" }
    endpoint_url = "https://two.example"

    [credentials.pan]
    source = "alipan"
    refresh_token = { file = "pan.token" }

    [credentials.wandb]
    source = "private-env"
    secrets = { WANDB_API_KEY = { file = "wandb.key" }, lower_case = { env = "TEAM_SECRET" } }
    env = { WANDB_MODE = "online" }

    [credentials.other]
    source = "private-env"
    secrets = { OTHER = { file = "wandb.key" }, WANDB_API_KEY = { file = "one.key" } }

    [callers.me]
    ME
    grants = ["minio", "ceph", "pan", "wandb", "other"]
"""
SECRETS = {
    "one.id": "ID1",
    "one.key": "secret-1",
    "two.id": "ID2",
    "two.key": "secret-2",
    "pan.token": "r1",
    "wandb.key": "w1",
}


@pytest.fixture
def keeper(nobody: Newcomer) -> Newcomer:
    """Somebody with these stores, and with keys of another for one of them in his shell."""
    folder = nobody.configure(STORES).parent
    for name, secret in SECRETS.items():
        write(folder, name, secret)
    nobody.environment |= {"TEAM_SECRET": "t1", "ALIPAN_ENCRYPT_PASSWORD": "his own", "AWS_ACCESS_KEY_ID": "AKIAHIS"}
    return nobody


def write(folder: Path, name: str, secret: str) -> None:
    """A file with a secret in it."""
    (folder / name).touch(0o600)
    (folder / name).write_text(f"{secret}\n")


def under_exec(user: Newcomer, *options: str) -> tuple[dict[str, str], Ran]:
    """What a command finds in its environment, and what was said."""
    ran = user.run("exec", *options, "--", sys.executable, "-c", ENVIRON)
    return json.loads(ran.out), ran


class TestExec:
    def test_each_store_is_there_as_its_clients_read_it(self, keeper: Newcomer):
        """Keys that SDKs ask for stay out of the environment; what is read from it stands in it."""
        found, _ = under_exec(keeper)

        assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"].endswith("/aws/minio")
        assert found["S3_ENDPOINT_URL"] == found["AWS_ENDPOINT_URL_S3"] == "https://one.example:9000"
        assert (found["AWS_REGION"], found["S3_CANNED_ACL"]) == ("eu-west-1", "private")
        assert {"ID1", "secret-1", "secret-2"}.isdisjoint(found.values())
        assert (found["ALIPAN_WEB_REFRESH_TOKEN"], found["WANDB_API_KEY"], found["WANDB_MODE"]) == (
            "r1",
            "w1",
            "online",
        )
        assert found["lower_case"] == "t1"

    def test_nothing_of_his_own_stands_beside_it(self, keeper: Newcomer):
        """Half of one account with half of another would be none."""
        found, _ = under_exec(keeper)

        assert {"ALIPAN_ENCRYPT_PASSWORD", "AWS_ACCESS_KEY_ID"}.isdisjoint(found)

    def test_one_that_meets_another_is_left_out_whole_and_told(self, keeper: Newcomer):
        """`other` has a WANDB_API_KEY too, and comes later."""
        found, ran = under_exec(keeper)

        assert "OTHER" not in found
        assert "other is left out" in ran.err

    def test_use_picks_among_several_of_a_kind(self, keeper: Newcomer):
        """In its order; the settings are those of what is picked."""
        found, ran = under_exec(keeper, "--use", "ceph,other,minio")

        assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"].endswith("/aws/ceph")
        assert found["S3_ENDPOINT_URL"] == "https://two.example"
        assert (found["OTHER"], found["WANDB_API_KEY"]) == ("w1", "secret-1")
        assert "left out" not in ran.err

    def test_the_others_of_a_kind_are_profiles(self, keeper: Newcomer):
        """Without a session token, which the AWS CLI takes for none."""
        process = f"{' '.join(CREDBROKER)} get ceph --format credential-process"
        ran = keeper.run("exec", "--", "sh", "-c", f'cat "$AWS_CONFIG_FILE"; {process}')
        config, _, said = ran.out.rpartition("\n{")
        keys = json.loads("{" + said)

        assert "[profile ceph]" in config
        assert (keys["AccessKeyId"], keys["SecretAccessKey"], "SessionToken" in keys) == ("ID2", "secret-2", False)

    def test_without_leaves_a_kind_alone(self, keeper: Newcomer):
        """As it was before."""
        found, _ = under_exec(keeper, "--without", "alipan,env,aws")

        assert (found["ALIPAN_ENCRYPT_PASSWORD"], found["AWS_ACCESS_KEY_ID"]) == ("his own", "AKIAHIS")
        assert {"WANDB_API_KEY", "S3_ENDPOINT_URL", "ALIPAN_WEB_REFRESH_TOKEN"}.isdisjoint(found)

    def test_what_cannot_be_read_is_told_for_that_credential_alone(self, keeper: Newcomer):
        """The others are there."""
        (keeper.home / ".config/credbroker/wandb.key").unlink()
        found, ran = under_exec(keeper)

        assert "wandb: WANDB_API_KEY: cannot read" in ran.err
        assert {"WANDB_API_KEY", "lower_case", "WANDB_MODE"}.isdisjoint(found)
        assert found["ALIPAN_WEB_REFRESH_TOKEN"] == "r1"


class TestEnv:
    def test_it_prints_the_same(self, keeper: Newcomer):
        """For the daemon that runs; `--use` too."""
        with keeper.serving():
            found = json.loads(keeper.run("env", "--format", "json", "--use", "wandb,ceph").out)

        assert found["set"].items() >= {"WANDB_API_KEY": "w1", "S3_ENDPOINT_URL": "https://two.example"}.items()
        assert "ALIPAN_WEB_REFRESH_TOKEN" not in found["set"]


class TestDaemon:
    def test_what_was_rotated_is_given_once_it_is_read_anew(self, keeper: Newcomer):
        """`refresh` does it at once, and the daemon by itself every five minutes."""
        with keeper.serving():
            before = keeper.run("get", "wandb").out
            write(keeper.home / ".config/credbroker", "wandb.key", "w2")
            keeper.run("refresh", "wandb")
            after = keeper.run("get", "wandb").out

        assert (json.loads(before)["WANDB_API_KEY"], json.loads(after)["WANDB_API_KEY"]) == ("w1", "w2")

    def test_it_is_audited_as_any_lease(self, keeper: Newcomer):
        """Who received it, and never what."""
        keeper.configure(STORES, daemon=f'audit_file = "{keeper.folder}/audit"')
        with keeper.serving():
            keeper.run("get", "minio")
        lines = [json.loads(line) for line in (keeper.folder / "audit").read_text().splitlines()]
        (handed,) = [line for line in lines if line.get("credential") == "minio"]

        assert (handed["caller"], handed["identity"], handed["expires_at"]) == ("me", "ID1", None)
        assert "secret-1" not in (keeper.folder / "audit").read_text()

    def test_check_and_status_say_that_it_is_not_short_lived(self, keeper: Newcomer):
        """Where its end would stand."""

        def lasting(command: str) -> list[bool]:
            lines = keeper.run(command).out.splitlines()
            return ["not short-lived" in line for line in lines if line.startswith(("minio ", "pan ", "wandb "))]

        assert lasting("check") == [True] * 3
        with keeper.serving():
            until(lambda: lasting("status") == [True] * 3)  # once they are minted

    def test_a_plain_secret_in_the_file_is_refused(self, keeper: Newcomer):
        """With its place; it is not quoted."""
        keeper.configure(STORES.replace('{ file = "two.key" }', '"CANARY"'))
        ran = keeper.run("check", "--offline")

        assert ran.status == 2
        assert "[credentials.ceph] secret_access_key: must be { file = " in ran.err
        assert "CANARY" not in ran.err + ran.out
