"""Azure's clients, unchanged, on Azurite with the leased token alone."""

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.azure_stage import AzureStage, azure_staged
from tests.clients.stage import CREDBROKER, clients_python, seen

pytestmark = pytest.mark.clients

PROGRAMS = ["blob_azure", "adlfs_azure", "obstore_azure", "streaming_azure", "streaming_lake_azure"]
SIGNED = ["signed_azure", "adlfs_azure", "obstore_azure"]
# Leases of 72 s are replaced at about 36 s: by 50 s every client has met a new one.
ROTATING, ROTATION_LOOK = 72, 50
OTHER_CREDENTIAL = """
from azure.identity import ManagedIdentityCredential
ManagedIdentityCredential(client_id={name!r}).get_token("https://vault.azure.net/.default")
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureStage]:
    """Leases of an hour."""
    with azure_staged(tmp_path_factory.mktemp("azure"), 3600) as found:
        yield found


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureStage]:
    """Leases of little more than a minute."""
    with azure_staged(tmp_path_factory.mktemp("rotating"), ROTATING) as found:
        yield found


def check(stage: AzureStage, home: Path) -> subprocess.CompletedProcess[str]:
    """`credbroker check`, as an operator runs it."""
    command = [*CREDBROKER, "check", "--json", "--config", str(stage.folder / "config.toml")]
    return subprocess.run(command, env=stage.environment(home), capture_output=True, text=True, timeout=60, check=False)


class TestUnderExec:
    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_client_works_with_the_leased_token_alone(self, stage: AzureStage, home: Path, program: str):
        """It reads, writes and lists by the managed identity that it finds."""
        body = os.urandom(100_000)
        stage.put(f"exec-{program}/in.bin", body)

        saw = seen(stage.under_exec(home, stage.command(program, f"exec-{program}")))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()
        assert stage.get(f"exec-{program}/out.bin") == body

    def test_a_users_own_identity_does_not_get_in_between(self, stage: AzureStage, home: Path):
        """An account key, a client and a token file of his: each would be taken first."""
        body = os.urandom(1000)
        stage.put("own/in.bin", body)
        own = {
            "AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
            "AZURE_CLIENT_SECRET": "his",
            "AZURE_TENANT_ID": "11111111-1111-1111-1111-111111111111",
            "AZURE_STORAGE_CONNECTION_STRING": "AccountName=his",
            "AZURE_FEDERATED_TOKEN_FILE": "/nowhere",
            "HTTPS_PROXY": "",
        }
        command = [*CREDBROKER, "exec", "--", *stage.command("blob_azure", "own")]
        process = subprocess.Popen(
            command, env=stage.environment(home, **own), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

        assert seen(process).sha256 == hashlib.sha256(body).hexdigest()

    @pytest.mark.parametrize(("name", "works"), [("vault", True), ("blob", True), ("his-own", False)])
    def test_a_client_id_names_a_credential(self, stage: AzureStage, home: Path, name: str, works: bool):
        """And what is not granted is refused in a way that azure-identity tells."""
        program = [str(clients_python()), "-c", OTHER_CREDENTIAL.format(name=name)]

        with stage.under_exec(home, program) as process:
            _, told = process.communicate(timeout=60)

        assert (process.returncode == 0) == works
        assert ("403, AccessDenied: not granted" in told) != works


class TestAfterEnv:
    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_client_works_in_an_evaluated_environment(self, stage: AzureStage, home: Path, program: str):
        """`eval "$(credbroker env)"` is enough."""
        body = os.urandom(1000)
        stage.put(f"env-{program}/in.bin", body)
        told = subprocess.run(
            [*CREDBROKER, "env", "--format", "json"],
            env=stage.environment(home),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        said = json.loads(told.stdout)
        before = {name: value for name, value in stage.environment(home).items() if name not in said["unset"]}
        command = stage.command(program, f"env-{program}")

        with subprocess.Popen(
            command, env=before | said["set"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            saw = seen(process)

        assert saw.sha256 == hashlib.sha256(body).hexdigest()


class TestSas:
    @pytest.mark.parametrize("program", SIGNED)
    def test_a_client_works_with_the_leased_signature_alone(self, stage: AzureStage, home: Path, program: str):
        """No token is asked for: it stands in the environment."""
        body = os.urandom(100_000)
        stage.put(f"sas-{program}/in.bin", body)
        command = stage.command(program, f"sas-{program}")

        saw = seen(stage.under_exec(home, command, "--use", "writable"))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()
        assert stage.get(f"sas-{program}/out.bin") == body

    def test_streaming_reads_by_it(self, stage: AzureStage, home: Path):
        """A signature that permits to read is all that its downloader needs."""
        body = os.urandom(100_000)
        stage.put("read/in.bin", body)
        command = stage.command("streaming_reader_azure", "read")

        saw = seen(stage.under_exec(home, command, "--use", "readable"))

        assert saw.sha256 == hashlib.sha256(body).hexdigest()

    def test_streaming_does_not_write_by_it(self, stage: AzureStage, home: Path):
        """Its uploader first asks for the container's properties, which no signature of this kind opens."""
        with stage.under_exec(home, stage.command("streaming_azure", "up"), "--use", "writable") as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode != 0
        assert "check_bucket_exists" in told
        assert "AuthorizationPermissionMismatch" in told

    def test_a_permission_that_was_not_given_is_refused(self, stage: AzureStage, home: Path):
        """By the account, which verifies the signature."""
        stage.put("readable/in.bin", b"body")

        with stage.under_exec(home, stage.command("signed_azure", "readable"), "--use", "readable") as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode != 0
        assert "not authorized to perform this operation using this permission" in told

    def test_a_token_and_a_signature_do_not_mix(self, stage: AzureStage, home: Path):
        """A client would take the one or the other: which, is told."""
        with stage.under_exec(home, ["true"]) as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode == 0
        assert "writable is left out" in told


class TestBadInput:
    def test_each_is_an_error_of_its_credential_alone(self, stage: AzureStage, home: Path):
        """Wrong tenant, revoked client: the others are minted all the same."""
        told = check(stage, home)
        found = {row["credential"]: row for row in json.loads(told.stdout)}

        assert told.returncode == 1
        assert {name: row["error"] for name, row in found.items()} == {
            "blob": None,
            "vault": None,
            "lake": None,
            "wrong-tenant": "TenantUnknown",
            "delegator": None,
            "readable": None,
            "writable": None,
            "no-container": "ContainerNotFound",
            "revoked": "InvalidClient",
        }
        assert "correct `tenant_id`" in found["wrong-tenant"]["advice"]

    def test_a_container_that_is_not_there_is_the_stores_word(self, stage: AzureStage, home: Path):
        """The broker gives a token; what it opens the store decides."""
        command = stage.command("blob_azure", "x")
        command[command.index("data")] = "nowhere"

        with stage.under_exec(home, command) as process:
            _, told = process.communicate(timeout=60)

        assert process.returncode != 0
        assert "ContainerNotFound" in told


class TestRotation:
    def test_no_client_sees_an_error_and_each_moves_to_a_new_lease(self, short: AzureStage, home: Path):
        """They run at once, for a while. Those that can say so name two tokens or more."""
        programs = [*PROGRAMS, "files_databricks", "streaming_databricks"]
        for program in programs:
            short.put(f"{program}/in.bin", b"body")
            short.workspace.files[f"Volumes/main/default/data/{program}/in.bin"] = b"body"
        options = ("--for", str(ROTATION_LOOK), "--every", "2")
        running = {name: short.under_exec(home, short.command(name, name, *options)) for name in programs}

        saw = {name: seen(process, 120) for name, process in running.items()}

        assert all(one.operations > ROTATION_LOOK // 5 for one in saw.values())
        assert len(saw["blob_azure"].identities) >= 2
        assert len(saw["files_databricks"].identities) >= 2
        assert short.workspace.refused == {}
