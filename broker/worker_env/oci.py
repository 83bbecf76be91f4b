"""What makes Oracle's SDK and tools in a worker use the broker and nothing else. Pure.

They read files, and a pair of them that must fit: the files of one lease stand in a folder of their own, and a symbolic
link, which the variables lead through, is swapped when there is a new one.
"""

from collections.abc import Mapping

import msgspec

from broker.secret import Secret
from broker.worker_env.environment import Environment, Plane

TOKEN, KEY = "OCI_RESOURCE_PRINCIPAL_RPST", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"
VERSION, REGION = "OCI_RESOURCE_PRINCIPAL_VERSION", "OCI_RESOURCE_PRINCIPAL_REGION"
KEY_CONTENT = "OCI_CLI_KEY_CONTENT"
CURRENT = "current"  # the symbolic link
TOKEN_FILE, KEY_FILE = "rpst", "private.pem"
CONFIG_FILE, API_KEY_FILE = "config", "key.pem"
# The config file's own names for what a variable of the CLI holds.
_CONFIG = {
    "user": "OCI_CLI_USER",
    "fingerprint": "OCI_CLI_FINGERPRINT",
    "tenancy": "OCI_CLI_TENANCY",
    "region": "OCI_CLI_REGION",
}
# Any of these would be read beside ours, or instead.
READ = (
    *(VERSION, REGION, TOKEN, KEY, "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE"),
    *("OCI_RESOURCE_PRINCIPAL_RPT_ENDPOINT", "OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT"),
    *("OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE", "OCI_CLI_PROFILE", "OCI_CLI_AUTH", "OCI_CLI_USER", "OCI_CLI_TENANCY"),
    *("OCI_CLI_FINGERPRINT", "OCI_CLI_KEY_FILE", "OCI_CLI_KEY_CONTENT", "OCI_CLI_PASSPHRASE"),
    *("OCI_CLI_SECURITY_TOKEN_FILE", "OCIFS_IAM_TYPE", "OCIFS_CONFIG_LOCATION", "OCIFS_CONFIG_PROFILE"),
)


class OciGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker may have of Oracle's cloud: the variables that could carry what the held lease is made of."""

    holds: frozenset[str] = frozenset()
    region: str | None = None


def oci_folder(folder: str) -> str:
    """Where in a worker's folder its leases are: each in a folder of its own, and the link to the newest."""
    return f"{folder}/oci"


def oci_environment(plane: Plane, grant: OciGrant) -> Environment:
    """The OCI part of a worker's environment; its files are `lease_files`, which change while it runs.

    Where nothing is held nothing is set, but the user's own is hidden all the same.
    """
    current = f"{oci_folder(plane.folder)}/{CURRENT}"
    variables: tuple[tuple[str, str], ...] = ()
    if TOKEN in grant.holds:
        variables = _session(current, grant.region)
    elif KEY_CONTENT in grant.holds:
        variables = _api_key(f"{current}/{CONFIG_FILE}")
    given = {name for name, _ in variables}
    return Environment(set=variables, unset=tuple(name for name in READ if name not in given))


def _session(current: str, region: str | None) -> tuple[tuple[str, str], ...]:
    return (
        (VERSION, "2.2"),
        (TOKEN, f"{current}/{TOKEN_FILE}"),
        (KEY, f"{current}/{KEY_FILE}"),
        *(((REGION, region),) if region else ()),
        ("OCIFS_IAM_TYPE", "resource_principal"),
        ("OCI_CLI_AUTH", "resource_principal"),
    )


def _api_key(config: str) -> tuple[tuple[str, str], ...]:
    files = ("OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE", "OCIFS_CONFIG_LOCATION")
    return (*((name, config) for name in files), ("OCIFS_IAM_TYPE", "api_key"), ("OCI_CLI_AUTH", "api_key"))


def lease_files(values: Mapping[str, Secret], folder: str) -> tuple[tuple[str, bytes], ...]:
    """The files of one lease, by name; `folder` is where they are going to stand, whatever the link leads to then."""
    if KEY_CONTENT not in values:
        return ((TOKEN_FILE, values[TOKEN].open().encode()), (KEY_FILE, values[KEY].open().encode()))
    lines = [f"{field}={values[name].open()}" for field, name in _CONFIG.items()]
    config = "\n".join(("[DEFAULT]", *lines, f"key_file={folder}/{API_KEY_FILE}", ""))
    return ((API_KEY_FILE, values[KEY_CONTENT].open().encode()), (CONFIG_FILE, config.encode()))
