"""`credbroker doctor` against the clients themselves: what it predicts is whose identity the store then sees.

The other identities here are real to the fake clouds: a client that goes astray succeeds, and is found out by its name.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from subprocess import Popen

import pytest

from tests.clients.stage import CREDBROKER, Stage, bare, free_address
from tests.clients.test_hard_home import SSO, written
from tests.fakes.tally import tail

pytestmark = pytest.mark.clients

AWS_PROGRAMS = {
    "boto3_s3": "boto3", "aws_cli.sh": "aws", "s3fs_s3": "s3fs", "pyarrow_s3": "pyarrow", "obstore_s3": "obstore",
    "polars_s3": "polars", "polars_native_s3": "polars (native)",
}  # fmt: skip
GOOGLE_PROGRAMS = {
    "google_auth": "google-auth", "google_cloud_storage": "google-auth", "gcsfs_gcs": "gcsfs",
    "pyarrow_gcs": "pyarrow", "obstore_gcs": "obstore", "polars_gcs": "polars (native)",
}  # fmt: skip
PROGRAMS = AWS_PROGRAMS | GOOGLE_PROGRAMS
# What somebody takes out of a worker's environment who sets his own files up again.
COVERS = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG", "GOOGLE_GCLOUD_ADC_PATH_OVERRIDE")
METADATA = {"iam-role", "instance metadata", "metadata server"}

Start = Callable[[list[str]], "Popen[str]"]


@pytest.fixture
def no_way_out() -> dict[str, str]:
    """A dead proxy before everything but this machine: a client that goes astray asks nobody outside."""
    return {name: f"http://{free_address()}" for name in ("HTTPS_PROXY", "https_proxy")}


@pytest.fixture
def shell(stage: Stage, home: Path, no_way_out: dict[str, str]) -> dict[str, str]:
    """A home with a user's static keys and an ADC file that both work."""
    key, secret = stage.aws.facts["user"]
    keys = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    written(home / ".aws/credentials", keys)
    adc = written(home / ".config/gcloud/application_default_credentials.json", "")
    shutil.copyfile(stage.google.facts["key_file"], adc)
    return bare(home, AWS_DEFAULT_REGION="eu-west-1", **no_way_out)


def predicted(start: Start) -> dict[tuple[str, str], tuple[str, str | None]]:
    """What doctor says in the environment that `start` gives: verdict and provider, by client and cloud."""
    with start([*CREDBROKER, "doctor", "--json"]) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode in {0, 1}, err
    return {(row["client"], row["cloud"]): (row["verdict"], row["provider"]) for row in json.loads(out)["clients"]}


def used_broker(stage: Stage, program: str, folder: str, start: Start) -> bool:
    """Whether a client worked by leases alone, as the store saw it."""
    cloud = stage.cloud(program)
    cloud.put(f"{folder}/in.bin")
    with start(stage.command(program, folder)) as process:
        process.communicate(timeout=90)
    names = cloud.answered(folder)
    if program in AWS_PROGRAMS:
        return process.returncode == 0 and bool(names) and all(name.startswith("ASIA") for name in names)
    lease = tail(stage.broker(bare(stage.folder), "get", "data", "--format", "token").strip())
    return process.returncode == 0 and set(names) == {lease}


def disagreements(stage: Stage, home: Path, start: Start, programs: Iterable[str] = PROGRAMS) -> list[str]:
    """Where doctor said one thing and the client did another."""
    said, wrong = predicted(start), []
    for program in programs:
        verdict, provider = said[PROGRAMS[program], "aws" if program in AWS_PROGRAMS else "gcp"]
        folder = f"{home.parent.name}-{program.partition('.')[0]}"
        used = used_broker(stage, program, folder, start)
        if used != (verdict == "ok"):
            wrong.append(
                f"{program}: doctor said {verdict} ({provider}), and it {'used' if used else 'did not use'} it"
            )
    return wrong


def shadowed(said: dict[tuple[str, str], tuple[str, str | None]]) -> set[tuple[str, str]]:
    """The clients that something shadows."""
    return {client for client, (verdict, _) in said.items() if verdict != "ok" and client[0] in PROGRAMS.values()}


class TestExec:
    def test_it_names_those_alone_that_look_below_home(self, stage: Stage, shell: dict[str, str], home: Path):
        """Keys and an ADC file that work: whoever slipped past would succeed with them."""
        start = partial(stage.under_exec, shell)

        assert disagreements(stage, home, start) == []
        assert shadowed(predicted(start)) == {
            ("polars (native)", "aws"), ("obstore", "gcp"), ("polars (native)", "gcp"),
        }  # fmt: skip

    def test_a_private_home_leaves_none(self, stage: Stage, shell: dict[str, str], home: Path):
        """As doctor says where it names one."""

        def start(command: list[str]) -> "Popen[str]":
            return stage.under_exec(shell, command, "--private-home")

        assert disagreements(stage, home, start) == []
        assert shadowed(predicted(start)) == set()

    def test_an_sso_session_is_no_way_past(self, stage: Stage, home: Path, no_way_out: dict[str, str]):
        """`[default] sso_session` comes before the container in every chain."""
        written(home / ".aws/config", SSO)
        start = partial(stage.under_exec, bare(home, **no_way_out))

        assert disagreements(stage, home, start, AWS_PROGRAMS) == []
        assert shadowed(predicted(start)) == set()


class TestDamaged:
    def test_files_that_are_uncovered_again(self, stage: Stage, shell: dict[str, str], home: Path):
        """The broker's addresses are there, and another identity comes before them."""
        environment = {name: value for name, value in stage.with_env(shell).items() if name not in COVERS}
        start = partial(stage.start, environment)

        assert disagreements(stage, home, start) == []
        assert {("boto3", "aws"), ("pyarrow", "aws"), ("gcsfs", "gcp"), ("pyarrow", "gcp")} <= shadowed(
            predicted(start)
        )

    def test_an_sso_session_that_is_uncovered_again(self, stage: Stage, home: Path, no_way_out: dict[str, str]):
        """Python's clients fail on a session without a login; those in C++ and Rust go on to the broker."""
        written(home / ".aws/config", SSO)
        given = stage.with_env(bare(home, **no_way_out))
        start = partial(stage.start, {name: value for name, value in given.items() if name not in COVERS})

        assert disagreements(stage, home, start, AWS_PROGRAMS) == []
        assert predicted(start)["boto3", "aws"] == ("SHADOWED", "sso")

    @pytest.mark.parametrize("cover", COVERS)
    def test_each_cover_hides_from_its_own_readers(self, stage: Stage, shell: dict[str, str], home: Path, cover: str):
        """One that is missing uncovers a file to some clients and not to others."""
        environment = {name: value for name, value in stage.with_env(shell).items() if name != cover}

        programs = AWS_PROGRAMS if cover.startswith("AWS") else GOOGLE_PROGRAMS
        assert disagreements(stage, home, partial(stage.start, environment), programs) == []

    @pytest.mark.parametrize("way", ["keys", "process"])
    def test_a_configuration_of_ones_own(self, stage: Stage, home: Path, no_way_out: dict[str, str], way: str):
        """Keys or a credential process in `~/.aws/config`."""
        key, secret = stage.aws.facts["user"]
        process = written(home / "process", json.dumps({"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret}))
        lines = {
            "keys": f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n",
            "process": f"credential_process = /bin/cat {process}\n",
        }
        written(home / ".aws/config", f"[default]\n{lines[way]}")
        given = stage.with_env(bare(home, AWS_DEFAULT_REGION="eu-west-1", **no_way_out))
        start = partial(stage.start, {name: value for name, value in given.items() if name not in COVERS})

        assert disagreements(stage, home, start, AWS_PROGRAMS) == []

    @pytest.mark.parametrize(
        "more",
        [{"AWS_ACCESS_KEY_ID": "half"}, {"AWS_PROFILE": "absent"}, {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": ""}],
        ids=lambda more: next(iter(more)),
    )
    def test_a_variable_that_is_wrong(self, stage: Stage, home: Path, no_way_out: dict[str, str], more: dict[str, str]):
        """Some clients fail on it, others pass it over."""
        given = stage.with_env(bare(home, AWS_DEFAULT_REGION="eu-west-1", **no_way_out)) | more
        start = partial(stage.start, given)
        said = predicted(start)
        safe = [one for one, client in AWS_PROGRAMS.items() if said[client, "aws"][1] not in METADATA]

        assert disagreements(stage, home, start, safe) == []

    def test_keys_and_a_file_in_the_environment(self, stage: Stage, shell: dict[str, str], home: Path):
        """They come first in every chain."""
        key, secret = stage.aws.facts["user"]
        stray = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        stray["GOOGLE_APPLICATION_CREDENTIALS"] = stage.google.facts["key_file"]
        start = partial(stage.start, stage.with_env(shell) | stray)

        assert disagreements(stage, home, start) == []
        assert all(verdict == "SHADOWED" for (name, _), (verdict, _) in predicted(start).items() if name != "gcloud")


class TestBare:
    def test_it_names_the_identity_that_comes_first(self, stage: Stage, shell: dict[str, str], home: Path):
        """Clients that would ask the machine's own metadata server are not started: what answers there is not ours."""
        start = partial(stage.start, shell)
        said = predicted(start)
        clouds = {program: "aws" if program in AWS_PROGRAMS else "gcp" for program in PROGRAMS}
        safe = [one for one in PROGRAMS if said[PROGRAMS[one], clouds[one]][1] not in {*METADATA, None}]

        assert disagreements(stage, home, start, safe) == []
        assert said["boto3", "aws"] == ("SHADOWED", "shared-credentials-file")
        assert said["google-auth", "gcp"] == ("SHADOWED", "ADC file")
        assert all(verdict != "ok" for verdict, _ in said.values())
