"""A home folder and a shell full of other identities: the clients still use the broker, and nothing else."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.clients.stage import Stage, bare, free_address, seen

pytestmark = pytest.mark.clients

STRAY_KEY = "AKIASTRAYSTRAYSTRAY1"
STATIC = f"[default]\naws_access_key_id = {STRAY_KEY}\naws_secret_access_key = stray\n"
SSO = """[default]
sso_session = work
sso_account_id = 123456789012
sso_role_name = Everything
region = us-east-1

[sso-session work]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
"""
STRAY_ADC = {
    "type": "authorized_user",
    "client_id": "stray",
    "client_secret": "stray",
    "refresh_token": "stray",
    "quota_project_id": "stray-project",
}
PROGRAMS = [
    "boto3_s3", "aws_cli.sh", "s3fs_s3", "pyarrow_s3", "obstore_s3", "polars_s3", "streaming_s3",
    "google_auth", "google_cloud_storage", "gcsfs_gcs", "pyarrow_gcs", "streaming_gcs",
]  # fmt: skip
# No variable moves these: object_store's ~/.config/gcloud, and the ~/.aws/credentials that polars reads by itself.
LOOK_ONLY_UNDER_HOME = ["obstore_gcs", "polars_gcs", "polars_native_s3"]
WRITES_ITS_OWN = {"polars_s3", "polars_native_s3", "polars_gcs"}


def written(path: Path, text: str) -> Path:
    """A private file, its folders made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def dead_proxy() -> dict[str, str]:
    """Proxies at a port where nobody listens."""
    address = f"http://{free_address()}"
    return dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), address)


@pytest.fixture
def stray_adc(home: Path) -> Path:
    """What `gcloud auth application-default login` left, long ago."""
    return written(home / ".config/gcloud/application_default_credentials.json", json.dumps(STRAY_ADC))


@pytest.fixture(params=["static keys", "SSO"])
def hard(request: pytest.FixtureRequest, home: Path, stray_adc: Path, dead_proxy: dict[str, str]) -> dict[str, str]:
    """A shell whose home has a `[default]` and a stray ADC file, behind a proxy."""
    if request.param == "SSO":
        written(home / ".aws/config", SSO)
    else:
        written(home / ".aws/config", "[default]\nregion = us-east-1\n")
        written(home / ".aws/credentials", STATIC)
    return bare(home, **dead_proxy)


def worked(stage: Stage, program: str, folder: str, start: Callable[[list[str]], subprocess.Popen[str]]) -> None:
    """The program read what is there and wrote it back by leases alone, and showed no store anything else."""
    cloud, refused = stage.cloud(program), stage.refused()
    there = cloud.put(f"{folder}/in.bin")
    saw = seen(start(stage.command(program, folder)))
    assert program in WRITES_ITS_OWN or saw.sha256 == there == cloud.sha256(f"{folder}/out.bin")
    assert cloud.answered(folder)
    assert stage.refused() == refused


class TestHardHome:
    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_client_uses_the_broker_alone(self, stage: Stage, hard: dict[str, str], home: Path, program: str):
        """A `[default]` beats the container provider, an ADC file the metadata server, a proxy all: not here."""
        worked(stage, program, home.parent.name, partial(stage.under_exec, hard))

    @pytest.mark.parametrize("program", PROGRAMS)
    def test_an_evaluated_environment_does_as_well(self, stage: Stage, hard: dict[str, str], home: Path, program: str):
        """`env` leaves nothing out that `exec` has."""
        worked(stage, program, home.parent.name, partial(stage.start, stage.with_env(hard)))


class TestWhatNoVariableHides:
    @pytest.mark.parametrize("program", LOOK_ONLY_UNDER_HOME)
    def test_a_private_home_does(self, stage: Stage, hard: dict[str, str], home: Path, program: str):
        """Rust's object_store and polars look below `$HOME` whatever the environment says."""
        worked(stage, program, home.parent.name, lambda command: stage.under_exec(hard, command, "--private-home"))

    @pytest.mark.parametrize("file", [".config/gcloud/application_default_credentials.json", ".aws/credentials"])
    def test_without_one_exec_warns(self, stage: Stage, home: Path, file: str):
        """It names the file and the option."""
        stray = written(home / file, STATIC if ".aws" in file else json.dumps(STRAY_ADC))

        with stage.under_exec(bare(home), ["true"]) as process:
            _, err = process.communicate(timeout=30)

        assert str(stray) in err
        assert "--private-home" in err


class TestShell:
    @pytest.mark.parametrize("program", ["boto3_s3", "aws_cli.sh", "pyarrow_s3", "obstore_s3", "s3fs_s3"])
    def test_keys_in_the_environment_are_taken_out(self, stage: Stage, home: Path, program: str):
        """They come before everything in every chain."""
        shell = bare(home, AWS_ACCESS_KEY_ID=STRAY_KEY, AWS_SECRET_ACCESS_KEY="stray", AWS_PROFILE="stray")
        worked(stage, program, home.parent.name, partial(stage.under_exec, shell))

    @pytest.mark.parametrize("program", ["google_auth", "gcsfs_gcs", "pyarrow_gcs", "obstore_gcs"])
    def test_a_named_adc_file_is_taken_out(self, stage: Stage, home: Path, tmp_path: Path, program: str):
        """GOOGLE_APPLICATION_CREDENTIALS comes first in Google's chain."""
        stray = written(tmp_path / "stray.json", json.dumps(STRAY_ADC))
        shell = bare(home, GOOGLE_APPLICATION_CREDENTIALS=str(stray))
        worked(stage, program, home.parent.name, partial(stage.under_exec, shell))

    def test_hmac_keys_are_taken_out(self, stage: Stage, home: Path):
        """MosaicML Streaming takes them before any token."""
        shell = bare(home, GCS_KEY="GOOGSTRAY", GCS_SECRET="stray")
        worked(stage, "streaming_gcs", home.parent.name, partial(stage.under_exec, shell))

    def test_without_the_broker_the_same_home_goes_astray(self, stage: Stage, home: Path):
        """What the tests above would look like if the environment of a worker hid nothing."""
        written(home / ".aws/credentials", STATIC)
        stage.aws.put("astray/in.bin")

        with stage.start(bare(home, AWS_DEFAULT_REGION="eu-west-1"), stage.command("boto3_s3", "astray")) as process:
            _, err = process.communicate(timeout=60)

        assert process.returncode == 1
        assert "InvalidAccessKeyId" in err
