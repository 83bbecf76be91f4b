"""`credbroker doctor` against the clients of Azure, Databricks and Oracle: what it predicts is what they then do.

Azure's and Databricks' are asked whose token they get, Oracle's are let work at a fake that verifies each signature.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.stage import CREDBROKER, PROGRAMS, Daemon, bare, clients_python, free_address
from tests.clients.test_hard_home import written
from tests.fakes import certificates
from tests.fakes.databricks import FakeWorkspace
from tests.fakes.entra import TENANT, FakeEntra
from tests.fakes.google.registry import key_of
from tests.fakes.oci import BROKER, BUCKET, CLIENT_ID, CLIENT_SECRET, JOBS, REGION, TENANCY, FakeOci
from tests.fakes.oci_signature import fingerprint
from tests.sources.oci_world import pem

pytestmark = pytest.mark.clients

PATIENCE = 60.0
_CONFIG = """
[daemon]
listen = ["127.0.0.1:0"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"

[credentials.blob]
source = "azure-token"
tenant_id = "{tenant}"
client_id = "{client}"
client_secret = {{ file = "entra.secret" }}
authority = "{entra}"

[credentials.lake]
source = "databricks-oauth"
host = "{workspace}"
client_id = "8a9c-41"
client_secret = {{ file = "lake.secret" }}

[credentials.oracle]
source = "oci-session"
domain_url = "{oci}"
client_id = "{oci_client}"
client_secret = {{ file = "app.secret" }}
subject_token = {{ file = "subject" }}
region = "{region}"

[credentials.jobs]
source = "oci-api-key"
tenancy = "{tenancy}"
user = "{jobs}"
identity = "{broker}"
fingerprint = "{fingerprint}"
private_key = {{ file = "broker.pem" }}
region = "{region}"
endpoint_url = "{oci}"

[callers.trainer]
uid = {uid}
allow_root = true
grants = ["blob", "lake", "oracle", "jobs"]
"""
SECRET = {
    "AZURE_CLIENT_SECRET": "his",
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": "11111111-1111-1111-1111-111111111111",
}


class Place:
    """The fakes, and a daemon that mints at them."""

    def __init__(self, folder: Path, client: str, oci: str, fake: FakeOci) -> None:
        self.folder = folder
        self.client = client
        self.oci = oci
        self.fake = fake

    def environment(self, home: Path) -> dict[str, str]:
        """A bare one that trusts the fakes."""
        pem_file = str(self.folder / "localhost.pem")
        return bare(
            home, REQUESTS_CA_BUNDLE=pem_file, SSL_CERT_FILE=pem_file, CREDBROKER_SOCKET=f"{self.folder}/broker.sock"
        )

    def run(self, home: Path, command: list[str], environment: dict[str, str] | None = None) -> str:
        """What a command says; nothing where it fails."""
        ended = subprocess.run(
            command,
            env=environment or self.environment(home),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return ended.stdout if ended.returncode == 0 else ""

    def under_exec(self, home: Path, options: list[str], changes: list[str], command: list[str]) -> str:
        """What a command says in a worker's environment, changed by `env` as `env` takes it."""
        return self.run(home, [*CREDBROKER, "exec", *options, "--", "env", *changes, *command])

    def predicted(self, home: Path, options: list[str], changes: list[str]) -> dict[str, tuple[str, str | None]]:
        """What doctor says there: verdict and provider, by client. It fails where anything shadows: so it says yes."""
        doctor = f"{' '.join(CREDBROKER)} doctor --json --python {clients_python()} || true"
        said = self.under_exec(home, options, changes, ["/bin/sh", "-c", doctor])
        return {row["client"]: (row["verdict"], row["provider"]) for row in json.loads(said)["clients"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Everything running."""
    folder = tmp_path_factory.mktemp("others")
    folder.chmod(0o700)
    made = certificates.write(folder)
    fake = FakeOci(3600)
    with contextlib.ExitStack() as stack:
        entra = stack.enter_context(FakeEntra(made.context(), 3600))
        workspace = stack.enter_context(FakeWorkspace(3600))
        oci = stack.enter_context(fake.serve())
        app = entra.app(secrets={"entra-s3cret"})
        workspace.principals["8a9c-41"] = "lake-s3cret"
        secrets = {"entra.secret": "entra-s3cret", "lake.secret": "lake-s3cret", "app.secret": CLIENT_SECRET}
        for name, text in {**secrets, "subject": fake.subject(), "broker.pem": pem(BROKER)}.items():
            (folder / name).touch(0o600)
            (folder / name).write_text(text)
        config, admin = folder / "config.toml", free_address()
        config.write_text(
            _CONFIG.format(
                admin=admin, folder=folder, uid=os.getuid(), tenant=TENANT, client=app.client_id, entra=entra.url,
                workspace=workspace.url, oci=oci.url, oci_client=CLIENT_ID, region=REGION, tenancy=TENANCY, jobs=JOBS,
                broker=BROKER, fingerprint=fingerprint(key_of(BROKER).public_key()),
            )
        )  # fmt: skip
        config.chmod(0o600)
        found = Place(folder, app.client_id, oci.url, fake)
        stack.enter_context(Daemon(config, admin, found.environment(folder)))
        yield found


AZURE = [
    ([], "ok"),
    (["AZURE_TOKEN_CREDENTIALS="], "ok"),
    (["AZURE_TOKEN_CREDENTIALS=prod"], "ok"),
    (["AZURE_TOKEN_CREDENTIALS=dev"], "none"),
    (["AZURE_TOKEN_CREDENTIALS=managed"], "SHADOWED"),
    (["AZURE_TOKEN_CREDENTIALS=prod", *(f"{name}={value}" for name, value in SECRET.items())], "SHADOWED"),
    ([f"{name}={value}" for name, value in SECRET.items()], "SHADOWED"),
    (["AZURE_CLIENT_ID=blob"], "ok"),
    (["IDENTITY_SERVER_THUMBPRINT=x"], "SHADOWED"),
    (["-u", "IDENTITY_HEADER"], "none"),
]


class TestAzure:
    @pytest.mark.parametrize("client", ["azure-identity", "adlfs"])
    @pytest.mark.parametrize(
        ("changes", "verdict"), AZURE, ids=lambda one: " ".join(one) if isinstance(one, list) else one
    )
    def test_it_is_whose_token_the_client_gets(
        self, place: Place, home: Path, client: str, changes: list[str], verdict: str
    ):
        """By its claims; a client that goes astray gets none here."""
        program = [str(clients_python()), str(PROGRAMS / "who_azure.py"), client]
        who = place.under_exec(home, [], changes, program).strip()

        assert place.predicted(home, [], changes)[client][0] == verdict
        assert (who == place.client) == (verdict == "ok")

    @pytest.mark.parametrize(
        "name", ["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_CLIENT_ID"]
    )
    def test_adlfs_has_variables_of_its_own(self, place: Place, home: Path, name: str):
        """Which azure-identity does not read."""
        changes = [f"{name}=aGlz", "AZURE_STORAGE_CLIENT_SECRET=his", f"AZURE_STORAGE_TENANT_ID={TENANT}"]
        said = place.predicted(home, [], changes)
        program = [str(clients_python()), str(PROGRAMS / "who_azure.py")]

        assert (said["adlfs"][0], said["azure-identity"][0]) == ("SHADOWED", "ok")
        assert place.under_exec(home, [], changes, [*program, "adlfs"]) == ""
        assert place.under_exec(home, [], changes, [*program, "azure-identity"]).strip() == place.client


DATABRICKS = [
    ([], "ok", "metadata-service"),
    (["-u", "DATABRICKS_AUTH_TYPE"], "ok", "metadata-service"),
    (["DATABRICKS_TOKEN=his"], "ok", "metadata-service"),
    (["-u", "DATABRICKS_AUTH_TYPE", "DATABRICKS_TOKEN=his"], "SHADOWED", "error"),
    (["DATABRICKS_AUTH_TYPE=pat", "DATABRICKS_TOKEN=his"], "SHADOWED", "pat"),
    (["-u", "DATABRICKS_HOST"], "none", None),
    (["-u", "DATABRICKS_METADATA_SERVICE_URL"], "none", None),
    (["DATABRICKS_CONFIG_PROFILE=absent"], "SHADOWED", "error"),
]


class TestDatabricks:
    @pytest.mark.parametrize(
        ("changes", "verdict", "provider"),
        DATABRICKS,
        ids=lambda one: " ".join(one) if isinstance(one, list) else str(one),
    )
    def test_it_is_how_the_sdk_signs_in(
        self, place: Place, home: Path, changes: list[str], verdict: str, provider: str | None
    ):
        """With a profile in the home folder that is not the one that is asked for. Every lease is the one of now."""
        written(home / ".databrickscfg", "[other]\nhost = https://his.example\ntoken = his\n")
        program = [str(clients_python()), str(PROGRAMS / "who_databricks.py")]
        lease, used = (place.under_exec(home, [], one, program).strip() for one in ([], changes))

        assert place.predicted(home, [], changes).get("databricks-sdk", ("none", None)) == (verdict, provider)
        assert (bool(lease) and used == lease) == (verdict == "ok")


# Where the lease comes from, what is changed, and the clients with what becomes of them.
ORACLE = [
    ("oracle", [], {"oci": "ok", "ocifs": "ok"}),
    ("oracle", ["OCI_RESOURCE_PRINCIPAL_VERSION=1.1"], {"oci": "SHADOWED", "ocifs": "SHADOWED"}),
    ("oracle", ["-u", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"], {"oci": "SHADOWED", "ocifs": "SHADOWED"}),
    ("oracle", ["OCIFS_IAM_TYPE=api_key"], {"oci": "ok", "ocifs": "SHADOWED"}),
    ("jobs", [], {"oci": "SHADOWED", "ocifs": "ok"}),
    ("jobs", ["-u", "OCIFS_CONFIG_LOCATION"], {"oci": "SHADOWED", "ocifs": "SHADOWED"}),
]


class TestOracle:
    @pytest.mark.parametrize(
        ("use", "changes", "verdicts"), ORACLE, ids=lambda one: one if isinstance(one, str) else " ".join(one)
    )
    def test_it_is_whether_the_store_sees_the_lease(
        self, place: Place, home: Path, use: str, changes: list[str], verdicts: dict[str, str]
    ):
        """With a config file below home, whose key the store does not know."""
        own = f"[DEFAULT]\nuser={JOBS}\nfingerprint={'aa:' * 15}aa\ntenancy={TENANCY}\nregion={REGION}\n"
        written(home / ".oci/config", f"{own}key_file={place.folder}/broker.pem\n")
        said = place.predicted(home, ["--use", use], changes)
        programs = {"oci": "oci_config" if use == "jobs" else "oci_sdk", "ocifs": "ocifs_oci"}

        assert {name: said[name][0] for name in verdicts} == verdicts
        for name, program in programs.items():
            place.fake.objects[f"{program}/in.bin"] = b"body"
            command = [str(clients_python()), str(PROGRAMS / f"{program}.py"), place.oci, BUCKET, program]
            worked = place.under_exec(home, ["--use", use], changes, command)

            assert bool(worked) == (verdicts[name] == "ok"), name

    def test_without_a_file_below_home_the_sdk_takes_the_one_it_is_told(self, place: Place, home: Path):
        """OCI_CONFIG_FILE comes second there."""
        command = [str(clients_python()), str(PROGRAMS / "oci_config.py"), place.oci, BUCKET, "told"]
        place.fake.objects["told/in.bin"] = b"body"

        assert place.predicted(home, ["--use", "jobs"], [])["oci"] == ("ok", "config file")
        assert place.under_exec(home, ["--use", "jobs"], [], command)
