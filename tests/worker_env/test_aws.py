"""The AWS part of a worker's environment, and the generated config file as botocore reads it."""

import shlex
from pathlib import Path
from typing import Any

import botocore.configloader
import botocore.session
import msgspec
import pytest

from broker.worker_env import AwsGrant, Settings, contents, profile_settings
from broker.worker_env.aws import aws_environment, config_text
from tests.worker_env.workers import ATTESTED, AWS, FOLDER, HEADER, PLANE, files, variables

OWN = """
[default]
region = us-east-1
endpoint_url = http://127.0.0.1:5000
aws_access_key_id = AKIASTATIC
aws_secret_access_key = static
s3 =
    addressing_style = path
services = moto

[services moto]
s3 =
    endpoint_url = http://127.0.0.1:5001
"""


def as_botocore_reads(text: str, tmp_path: Path) -> dict[str, Any]:
    """The parsed file, strictly."""
    (tmp_path / "config").write_text(text)
    parsed = botocore.configloader.load_config(str(tmp_path / "config"))
    assert isinstance(parsed, dict)
    return parsed


class TestVariables:
    def test_without_a_name_the_first_granted_is_asked_for(self):
        """One path serves everyone."""
        told = variables(aws_environment(PLANE, AwsGrant()))

        assert told["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:9911/aws"

    def test_an_attested_worker_shows_the_public_constant(self):
        """Both where it is read from a file and where from a variable."""
        told = variables(aws_environment(ATTESTED, AWS))

        assert told["AWS_CONTAINER_AUTHORIZATION_TOKEN"] == "attested"
        assert told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == f"{FOLDER}/token"

    @pytest.mark.parametrize(
        ("credential", "profile", "region"),
        [("eu-west-1", "us-east-1", "eu-west-1"), (None, "us-east-1", "us-east-1"), (None, None, None)],
    )
    def test_the_region_is_the_credentials_else_the_profiles_else_the_users(
        self, credential: str | None, profile: str | None, region: str | None
    ):
        """A variable that is not set here stays as the user has it."""
        settings = Settings(values=(("region", profile),)) if profile else Settings()
        told = variables(aws_environment(PLANE, AwsGrant(region=credential, settings=settings)))

        assert (told.get("AWS_REGION"), told.get("AWS_DEFAULT_REGION")) == (region, region)

    def test_it_only_names_the_file_that_it_writes(self):
        """The token's file is written once for all clouds."""
        assert list(files(aws_environment(PLANE, AWS))) == [f"{FOLDER}/aws-config"]


class TestConfigText:
    def test_the_default_profile_has_no_credentials_and_the_users_settings(self, tmp_path: Path):
        """With its own region; anything that finds credentials there would beat the container provider."""
        grant = AwsGrant(region="eu-west-1", settings=profile_settings(OWN))
        parsed = as_botocore_reads(config_text(PLANE, grant), tmp_path)

        assert parsed["profiles"] == {
            "default": {
                "region": "eu-west-1",
                "endpoint_url": "http://127.0.0.1:5000",
                "services": "moto",
                "s3": {"addressing_style": "path"},
            }
        }
        assert parsed["services"] == {"moto": {"s3": {"endpoint_url": "http://127.0.0.1:5001"}}}

    def test_each_granted_credential_is_a_profile_with_the_settings_again(self, tmp_path: Path):
        """No profile inherits from [default]."""
        parsed = as_botocore_reads(config_text(PLANE, AWS), tmp_path)

        assert list(parsed["profiles"]) == ["default", "train", "eval"]
        assert parsed["profiles"]["train"]["region"] == "eu-west-1"
        assert parsed["profiles"]["eval"]["region"] == "us-east-1"
        assert parsed["profiles"]["eval"]["endpoint_url"] == "http://127.0.0.1:5000"

    def test_the_process_is_quoted_for_a_shell(self, tmp_path: Path):
        """Some SDKs split it by shell rules, some give it to sh."""
        parsed = as_botocore_reads(config_text(PLANE, AWS), tmp_path)

        process = parsed["profiles"]["train"]["credential_process"]
        assert shlex.split(process) == [
            *("/opt/cred broker/credbroker", "get", "train", "--format", "credential-process"),
        ]

    def test_a_credential_called_default_does_not_shadow_the_uri(self, tmp_path: Path):
        """[profile default] and [default] are one."""
        grant = AwsGrant(name="train", profiles=(("default", None), ("train", None)))
        parsed = as_botocore_reads(config_text(PLANE, grant), tmp_path)

        assert parsed["profiles"]["default"] == {}

    def test_no_token_is_in_it(self):
        """Programs show their configuration."""
        assert HEADER not in config_text(PLANE, AWS)

    def test_what_it_says_is_read_again_alike(self):
        """An exec within an exec carries the settings on."""
        grant = AwsGrant(settings=profile_settings(OWN + "cli_pager =\n"))

        assert profile_settings(config_text(PLANE, grant)) == grant.settings


class TestBotocoresChain:
    @pytest.mark.parametrize(
        ("file", "section", "method"),
        [(".aws/credentials", "default", "shared-credentials-file"), (".boto", "Credentials", "boto-config")],
    )
    def test_no_key_in_a_file_comes_before_the_container_provider(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, section: str, method: str
    ):
        """Static keys under $HOME silently beat it where they can be seen."""
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(f"[{section}]\naws_access_key_id = A\naws_secret_access_key = B\n")
        plane = msgspec.structs.replace(PLANE, folder=str(tmp_path))
        environment = aws_environment(plane, AWS)
        for path, content in contents(environment):
            Path(path).write_bytes(content)
        for name in environment.names():
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert first_provider() == method

        for name, value in variables(environment).items():
            monkeypatch.setenv(name, value)
        assert first_provider() == "container-role"


def first_provider() -> str:
    """Botocore's provider that has an answer, without asking the container provider, which would."""
    resolver = botocore.session.Session().get_component("credential_provider")
    for provider in resolver.providers:
        if provider.METHOD == "container-role" or provider.load() is not None:
            return str(provider.METHOD)
    raise AssertionError
