"""From what a daemon grants to an environment: what is made of which, and which settings of the user's own stay."""

import sys
from pathlib import Path

import msgspec
import pytest

from broker.cli.firsts import Making
from broker.cli.held import Fetched
from broker.cli.worker import environment, own_settings, program
from broker.secret import Secret
from broker.worker_env import applied, contents
from tests.cli.grants import BLOB, LAKE, WORKER


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_CONFIG_FILE", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws/config").write_text(
            "[default]\nregion = eu-west-1\nendpoint_url = http://default\naws_access_key_id = AKIA\n"
            "[profile prod]\nendpoint_url = http://prod\n"
        )

    def test_azure_and_databricks_are_found_there(self):
        """The workspace travels with its credential."""
        worker = msgspec.structs.replace(WORKER, granted=(BLOB, LAKE))
        variables = applied(environment(worker, Making(), "/run/x", Fetched(), kept_fresh=True), {})

        assert variables["IDENTITY_ENDPOINT"] == "http://127.0.0.1:9911/azure/token"
        assert variables["DATABRICKS_METADATA_SERVICE_URL"] == "http://127.0.0.1:9911/w/cbp_y/databricks/lake"
        assert variables["DATABRICKS_HOST"] == "https://dbc-1.example"

    def test_it_is_made_of_what_is_granted(self):
        """The first of each cloud, and a profile for each AWS credential."""
        made = environment(WORKER, Making(), "/run/x", Fetched(Secret("ya29")), kept_fresh=True)
        variables, files = applied(made, {}), dict(contents(made))

        assert variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://127.0.0.1:9911/aws/train"
        assert variables["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"] == "/run/x/google-token"
        assert b"[profile other]" in files["/run/x/aws-config"]

    def test_nobody_keeps_a_file_fresh_where_env_made_it(self):
        """The variable has the token of now."""
        made = applied(environment(WORKER, Making(), "/run/x", Fetched(Secret("ya29")), kept_fresh=False), {})

        assert ("CLOUDSDK_AUTH_ACCESS_TOKEN_FILE" in made, made["CLOUDSDK_AUTH_ACCESS_TOKEN"]) == (False, "ya29")

    def test_the_users_settings_stay_and_his_keys_do_not(self):
        """Of the profile that he is in."""
        assert (own_settings(None).value("endpoint_url"), own_settings(None).value("aws_access_key_id")) == (
            "http://default",
            None,
        )

    def test_the_profile_that_the_credential_is_minted_from_counts(self, monkeypatch: pytest.MonkeyPatch):
        """Before the one in the environment."""
        assert own_settings("prod").value("endpoint_url") == "http://prod"
        monkeypatch.setenv("AWS_PROFILE", "prod")
        assert own_settings(None).value("endpoint_url") == "http://prod"

    def test_without_a_file_there_are_none(self, monkeypatch: pytest.MonkeyPatch):
        """As in a container."""
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

        assert own_settings(None).values == ()


class TestProgram:
    def test_the_command_starts_itself_by_an_absolute_path(self):
        """A worker has another PATH, and its own folder must not be imported from."""
        assert program() == (sys.executable, "-P", "-m", "broker.cli")
