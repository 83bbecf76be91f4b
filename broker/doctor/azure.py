"""azure-identity's DefaultAzureCredential, which azure-storage-blob's programs use, and adlfs on it. Pure.

The order is that of `azure.identity.DefaultAzureCredential`; AZURE_TOKEN_CREDENTIALS leaves parts of it out. Of the
logins of developers only that of `az` is looked for: Visual Studio Code, PowerShell and azd come beside it.
"""

import re

from broker.doctor.chain import FIREWALL, WRAP, Chain, Finds, Found, Step, authority, unset, variable
from broker.doctor.facts import Facts

ENDPOINT, HEADER = "IDENTITY_ENDPOINT", "IDENTITY_HEADER"
METADATA = "169.254.169.254"
_CHOICE = "AZURE_TOKEN_CREDENTIALS"
_CLIENT, _TENANT = "AZURE_CLIENT_ID", "AZURE_TENANT_ID"
_GROUPS = {
    "prod": ("environmentcredential", "workloadidentitycredential", "managedidentitycredential"),
    "dev": ("visualstudiocodecredential", "azureclicredential", "azurepowershellcredential"),
}
_OTHERS = ("azuredeveloperclicredential", "interactivebrowsercredential")
_NAMES = frozenset({*_GROUPS, *_OTHERS, *(name for group in _GROUPS.values() for name in group)})
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# EnvironmentCredential asks whether these are there, be they empty.
_PROOFS = (
    (_CLIENT, "AZURE_CLIENT_SECRET", _TENANT),
    (_CLIENT, "AZURE_CLIENT_CERTIFICATE_PATH", _TENANT),
    (_CLIENT, "AZURE_USERNAME", "AZURE_PASSWORD"),
)
_FEDERATED = (_CLIENT, _TENANT, "AZURE_FEDERATED_TOKEN_FILE")
_KEYS = ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN")


def no_such_choice(facts: Facts) -> Found | None:
    """A name that azure-identity does not know: it raises."""
    choice = facts.value(_CHOICE).strip().lower()
    if not choice or choice in _NAMES:
        return None
    return Found(f"{_CHOICE} names no credential that azure-identity has: it fails", unset(_CHOICE))


def unless_left_out(name: str, finds: Finds) -> Finds:
    """Asked only where AZURE_TOKEN_CREDENTIALS leaves this one in."""

    def asked(facts: Facts) -> Found | None:
        choice = facts.value(_CHOICE).strip().lower()
        return finds(facts) if not choice or choice == name or name in _GROUPS.get(choice, ()) else None

    return asked


def client(facts: Facts) -> Found | None:
    """A client with its proof, in the environment."""
    for names in _PROOFS:
        if all(name in facts.environ for name in names):
            return Found(f"{' and '.join(names)} are set", unset(*names))
    return None


def managed_identity(facts: Facts) -> Found | None:
    """The endpoint of App Service, which is ours if it is at the worker plane, else those of other places."""
    if facts.value(ENDPOINT):
        return _at_endpoint(facts)
    if facts.value("MSI_ENDPOINT"):
        return Found("MSI_ENDPOINT is set", unset("MSI_ENDPOINT", "MSI_SECRET"))
    if facts.value("AZURE_POD_IDENTITY_AUTHORITY_HOST"):
        return Found("AZURE_POD_IDENTITY_AUTHORITY_HOST is set", unset("AZURE_POD_IDENTITY_AUTHORITY_HOST"))
    if METADATA in facts.reachable:
        return Found(f"the instance metadata server answers at {METADATA}", FIREWALL)
    return None


def _at_endpoint(facts: Facts) -> Found | None:
    if not facts.value(HEADER):
        return Found("IMDS_ENDPOINT is set", unset("IMDS_ENDPOINT")) if facts.value("IMDS_ENDPOINT") else None
    if facts.value("IDENTITY_SERVER_THUMBPRINT"):
        name = "IDENTITY_SERVER_THUMBPRINT"
        return Found(f"{name} is set: it takes {ENDPOINT} for Service Fabric's", unset(name))
    where = authority(facts.value(ENDPOINT))
    if where not in facts.planes:
        return Found(f"{ENDPOINT} is at {where}, which is not the broker", WRAP)
    if _GUID.fullmatch(facts.value(_CLIENT)):
        return Found(f"it asks the broker for {_CLIENT}, a GUID, which is no credential's name", unset(_CLIENT))
    return Found(f"{ENDPOINT} is the broker at {where}", broker=True)


def login(facts: Facts) -> Found | None:
    """Somebody logged in by `az`."""
    if "az" not in facts.commands or facts.azure_profile not in facts.files:
        return None
    return Found(f"{facts.azure_profile} has a login", f"export {_CHOICE}=managedidentitycredential")


def own_key(facts: Facts) -> Found | None:
    """What adlfs alone reads, and what opens the account without any identity."""
    return next((found for name in _KEYS if (found := variable(name)(facts))), None)


IDENTITY: Chain = (
    Step("error", no_such_choice),
    Step("EnvironmentCredential", unless_left_out("environmentcredential", client)),
    Step(
        "WorkloadIdentityCredential",
        unless_left_out("workloadidentitycredential", variable(*_FEDERATED, remedy=unset(*_FEDERATED))),
    ),
    Step("ManagedIdentityCredential", unless_left_out("managedidentitycredential", managed_identity)),
    Step("AzureCliCredential", unless_left_out("azureclicredential", login)),
)
ADLFS: Chain = (
    Step("account", own_key),
    Step("client", variable("AZURE_STORAGE_CLIENT_ID")),
    *IDENTITY,
)
