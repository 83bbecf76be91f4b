"""Azurite, a strict Entra ID and a strict Databricks workspace, a daemon between them and whoever asks."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from ssl import SSLContext

from azure.storage.blob import BlobServiceClient

from tests.clients.azurite_process import ACCOUNT, KEY, Azurite
from tests.clients.configured import configured, kept
from tests.clients.stage import CREDBROKER, PROGRAMS, Daemon, bare, clients_python
from tests.fakes import certificates
from tests.fakes.data_lake import FakeLake
from tests.fakes.databricks import FakeWorkspace
from tests.fakes.entra import TENANT, FakeEntra

CONTAINER = "data"
# What a client makes of AZURE_ACCOUNT_NAME where it takes no endpoint: led here by programs/redirect.py.
HOSTS = [f"{ACCOUNT}.{kind}.core.windows.net" for kind in ("blob", "dfs")]
VOLUME = "/Volumes/main/default/data"
_APP = """source = "azure-token"
tenant_id = "{tenant}"
client_id = "{client}"
client_secret = {{ file = "entra.secret" }}
authority = "{entra}"
"""
_SIGNED = """source = "azure-sas"
from = "delegator"
account = "devstoreaccount1"
endpoint_url = "{account}"
"""
_CREDENTIALS = """
[credentials.blob]
{app}
env = {{ AZURE_ACCOUNT_NAME = "devstoreaccount1" }}

[credentials.vault]
{app}
scopes = ["https://vault.azure.net/.default"]

[credentials.lake]
source = "databricks-oauth"
host = "{workspace}"
client_id = "8a9c-41"
client_secret = {{ file = "lake.secret" }}

[credentials.delegator]
{app}

[credentials.readable]
{signed}
container = "data"

[credentials.no-container]
{signed}
container = "nowhere"

[credentials.writable]
{signed}
container = "data"
permissions = "racwl"
ttl = "48h"

[credentials.wrong-tenant]
{misled}

[credentials.revoked]
source = "databricks-oauth"
host = "{workspace}"
client_id = "revoked"
client_secret = {{ file = "lake.secret" }}
"""


class AzureStage:
    """What a test plays on; `environment` is what a shell here has, and trusts the fakes."""

    def __init__(
        self, azurite: Azurite, entra: FakeEntra, workspace: FakeWorkspace, folder: Path, tls: SSLContext
    ) -> None:
        self.azurite = azurite
        self.entra = entra
        self.workspace = workspace
        self.folder = folder
        self.lake = FakeLake(entra, tls, self._keep)
        self._ca = str(folder / "localhost.pem")
        self._owner = BlobServiceClient(azurite.url, credential=KEY, connection_verify=self._ca)

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """A bare one; requests and aiohttp take the fakes' certificate."""
        found = {"CREDBROKER_SOCKET": str(self.folder / "broker.sock"), **more}
        return bare(home, REQUESTS_CA_BUNDLE=self._ca, SSL_CERT_FILE=self._ca, **found)

    def put(self, name: str, body: bytes) -> None:
        """A new blob, by the account's owner."""
        container = self._owner.get_container_client(CONTAINER)
        if not container.exists():
            container.create_container()
        container.upload_blob(name, body)

    def get(self, name: str) -> bytes:
        """What is in a blob now."""
        return bytes(self._owner.get_blob_client(CONTAINER, name).download_blob().readall())

    def command(self, program: str, folder: str, *options: str) -> list[str]:
        """How a program is started, without any broker."""
        azure = f"{self.azurite.url},{self.lake.url}" if "lake" in program else self.azurite.url
        where = [azure, CONTAINER] if program.endswith("_azure") else [self.workspace.url, VOLUME]
        return [str(clients_python()), str(PROGRAMS / f"{program}.py"), *where, folder, *options]

    def start(self, home: Path, command: list[str]) -> subprocess.Popen[str]:
        """Start a command as its user would."""
        environment = self.environment(home)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def under_exec(self, home: Path, command: list[str], *options: str) -> subprocess.Popen[str]:
        """Start a command under `credbroker exec`."""
        return self.start(home, [*CREDBROKER, "exec", *options, "--", *command])

    def _keep(self, container: str, name: str, body: bytes) -> None:
        """A file of the Data Lake is a blob."""
        self._owner.get_blob_client(container, name).upload_blob(body, overwrite=True)


@contextlib.contextmanager
def azure_staged(folder: Path, lifetime: int) -> Iterator[AzureStage]:
    """Fakes whose tokens live `lifetime` seconds, and a daemon that is ready."""
    made = certificates.write(folder, also=HOSTS)
    with contextlib.ExitStack() as stack:
        azurite = stack.enter_context(Azurite(made, folder))
        entra = stack.enter_context(FakeEntra(made.context(), lifetime))
        workspace = stack.enter_context(FakeWorkspace(lifetime))
        app = entra.app(secrets={"entra-s3cret"})
        workspace.principals["8a9c-41"] = "lake-s3cret"
        kept(folder, entra="entra-s3cret\n", lake="lake-s3cret\n")
        known = {"client": app.client_id, "entra": entra.url}
        credentials = _CREDENTIALS.format(
            app=_APP.format(tenant=TENANT, **known),
            misled=_APP.format(tenant="nowhere.example", **known),
            signed=_SIGNED.format(account=azurite.url),
            workspace=workspace.url,
        )
        configuration = configured(folder, credentials, "blob", "vault", "lake", "writable", "readable")
        stage = AzureStage(azurite, entra, workspace, folder, made.context())
        stack.enter_context(stage.lake)
        stack.enter_context(Daemon(*configuration, stage.environment(folder)))
        yield stage
