"""databricks-sdk, unchanged, at a strict workspace with the leased token alone."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.azure_stage import AzureStage, azure_staged
from tests.clients.stage import CREDBROKER, seen

pytestmark = pytest.mark.clients

FOLDER = "Volumes/main/default/data"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureStage]:
    """Leases of an hour."""
    with azure_staged(tmp_path_factory.mktemp("databricks"), 3600) as found:
        yield found


class TestUnderExec:
    @pytest.mark.parametrize("program", ["files_databricks", "streaming_databricks"])
    def test_a_client_works_by_its_metadata_service(self, stage: AzureStage, home: Path, program: str):
        """It finds host and token, and the workspace refuses it nothing."""
        body = os.urandom(100_000)
        stage.workspace.files[f"{FOLDER}/{program}/in.bin"] = body

        saw = seen(stage.under_exec(home, stage.command(program, program)))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()
        assert stage.workspace.files[f"{FOLDER}/{program}/out.bin"] == body
        assert stage.workspace.refused == {}

    def test_a_users_own_identity_does_not_get_in_between(self, stage: AzureStage, home: Path):
        """A profile, a token and a client of his: each would be taken first, or be one too many."""
        (home / ".databrickscfg").write_text("[DEFAULT]\nhost = https://his.example\ntoken = his\n")
        own = {"DATABRICKS_TOKEN": "his", "DATABRICKS_CLIENT_ID": "his", "DATABRICKS_CLIENT_SECRET": "his"}
        stage.workspace.files[f"{FOLDER}/own/in.bin"] = b"body"

        with subprocess.Popen(
            [*CREDBROKER, "exec", "--", *stage.command("files_databricks", "own")],
            env=stage.environment(home, DATABRICKS_CONFIG_PROFILE="DEFAULT", **own),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            saw = seen(process)

        assert saw.operations == 1

    def test_another_workspace_gets_no_token(self, stage: AzureStage, home: Path):
        """A program that names one of its own is told what is wrong."""
        other = stage.workspace.url.replace("127.0.0.1", "localhost")
        program = f"from databricks.sdk import WorkspaceClient; WorkspaceClient(host={other!r})"
        python = stage.command("files_databricks", "x")[0]

        with stage.under_exec(home, [python, "-c", program]) as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode != 0
        assert "Metadata Service returned empty token" in told
