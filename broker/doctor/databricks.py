"""databricks-sdk: its unified authentication, as far as it comes to the metadata service. Pure.

The order is that of `databricks.sdk.credentials_provider.DefaultCredentials`; what comes after OAuth clients (logins by
other tools, a cluster's own) is not looked for.
"""

from broker.doctor.chain import WRAP, Chain, Finds, Found, Step, authority, unset, variable
from broker.doctor.facts import Facts

HOST, URL, TYPE = "DATABRICKS_HOST", "DATABRICKS_METADATA_SERVICE_URL", "DATABRICKS_AUTH_TYPE"
_PROFILE = "DATABRICKS_CONFIG_PROFILE"
# By the way of signing in that they belong to: two ways at once are an error where no type is told.
_WAYS = {
    "pat": ("DATABRICKS_TOKEN",),
    "env-oidc": ("DATABRICKS_OIDC_TOKEN_ENV",),
    "file-oidc": ("DATABRICKS_OIDC_TOKEN_FILEPATH", "DATABRICKS_OIDC_TOKEN_FILE"),
    "basic": ("DATABRICKS_USERNAME", "DATABRICKS_PASSWORD"),
    "oauth": ("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"),
    "google": ("DATABRICKS_GOOGLE_SERVICE_ACCOUNT", "GOOGLE_CREDENTIALS"),
    "azure": ("DATABRICKS_AZURE_RESOURCE_ID", "ARM_USE_MSI", "ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID"),
    "metadata-service": (URL,),
}


def no_such_profile(facts: Facts) -> Found | None:
    """A profile that is named and not in the file: it raises. Where there is no file the name is passed over."""
    name, file = facts.value(_PROFILE), facts.aws_file(facts.databricks_path)
    if not name or not file.profiles or any(one.name == name for one in file.profiles):
        return None
    return Found(f"{_PROFILE} names {name}, which {file.path} has not: it fails", unset(_PROFILE))


def two_ways(facts: Facts) -> Found | None:
    """More than one way of signing in, and no type: it raises before it tries any."""
    used = [next(filter(facts.value, names)) for names in _WAYS.values() if any(map(facts.value, names))]
    if facts.value(TYPE) or len(used) < 2:  # noqa: PLR2004 - one way is what is wanted
        return None
    others = [name for name in used if name != URL]
    return Found(f"{' and '.join(used)} are set, more than one way to sign in: it fails", unset(*others))


def where_type_is(name: str, finds: Finds) -> Finds:
    """Asked only where DATABRICKS_AUTH_TYPE is this, or not told; and of no use without a workspace."""

    def asked(facts: Facts) -> Found | None:
        return finds(facts) if facts.value(TYPE) in {"", name} and facts.value(HOST) else None

    return asked


def metadata_service(facts: Facts) -> Found | None:
    """The metadata service, which is ours if it is at the worker plane."""
    if not facts.value(URL):
        return None
    where = authority(facts.value(URL))
    if where in facts.planes:
        return Found(f"{URL} is the broker at {where}", broker=True)
    return Found(f"{URL} is at {where}, which is not the broker", WRAP)


def own_profile(facts: Facts) -> Found | None:
    """The file, which is read where the environment names a profile, or nothing at all to sign in with."""
    name = facts.value(_PROFILE) or "DEFAULT"
    ways = (one for names in _WAYS.values() for one in names)
    if name == "DEFAULT" and (facts.value(HOST) or any(map(facts.value, ways))):
        return None
    file = facts.aws_file(facts.databricks_path)
    return Found(f"[{name}] in {file.path} is read", WRAP) if "host" in file.keys(name) else None


CHAIN: Chain = (
    Step("error", no_such_profile),
    Step("error", two_ways),
    Step("pat", where_type_is("pat", variable("DATABRICKS_TOKEN"))),
    Step("basic", where_type_is("basic", variable("DATABRICKS_USERNAME", "DATABRICKS_PASSWORD"))),
    Step("metadata-service", where_type_is("metadata-service", metadata_service)),
    Step("oauth-m2m", where_type_is("oauth-m2m", variable("DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET"))),
    Step("profile", own_profile),
)
