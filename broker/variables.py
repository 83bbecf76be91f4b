"""Which variables of a worker's environment a configuration may name: in `env`, as they stand, or as secrets. Pure.

What `exec` and `env` set keeps SDKs from slipping past the broker, so no setting may take its place.
`tests/worker_env/test_init.py` holds that nothing they set or unset is missing here.
"""

import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")

# Set for a worker: nothing else may stand there.
SET = frozenset(
    {
        *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        *("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
        *("AWS_EC2_METADATA_DISABLED", "BOTO_CONFIG"),
        *("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT", "GCE_METADATA_MTLS_MODE"),
        *("METADATA_SERVER_DETECTION", "GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN", "CLOUDSDK_CONFIG"),
        *("GOOGLE_GCLOUD_ADC_PATH_OVERRIDE", "CLOUDSDK_AUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"),
        *("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_TOKEN_CREDENTIALS"),
        *("DATABRICKS_METADATA_SERVICE_URL", "DATABRICKS_AUTH_TYPE"),
        *("NO_PROXY", "no_proxy"),
        *("OCI_RESOURCE_PRINCIPAL_VERSION", "OCI_RESOURCE_PRINCIPAL_REGION", "OCI_RESOURCE_PRINCIPAL_RPST"),
        *("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", "OCIFS_IAM_TYPE", "OCI_CLI_AUTH"),
    }
)
# Unset for a worker, where its cloud is granted: each would be asked before the broker.
UNSET = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE"),
        *("AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL_STS"),
        *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT"),
        *("AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_CREDENTIAL_FILE"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK", "GCS_KEY", "GCS_SECRET", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        *("CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE", "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"),
        *("GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "GOOGLE_SERVICE_ACCOUNT_KEY", "SERVICE_ACCOUNT"),
        *("IDENTITY_SERVER_THUMBPRINT", "MSI_ENDPOINT", "MSI_SECRET", "AZURE_ACCOUNT_ACCESS_KEY"),
        *("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"),
        *("AZURE_USERNAME", "AZURE_PASSWORD", "AZURE_STORAGE_ANON", "AZURE_STORAGE_ACCOUNT_KEY"),
        *("AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_CLIENT_SECRET", "AZURE_STORAGE_TENANT_ID", "AZURE_STORAGE_TOKEN"),
        *("AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"),
        *("AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY"),
        *("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_USERNAME"),
        *("DATABRICKS_PASSWORD", "DATABRICKS_CONFIG_PROFILE", "DATABRICKS_AZURE_RESOURCE_ID"),
        *("DATABRICKS_GOOGLE_SERVICE_ACCOUNT", "DATABRICKS_OIDC_TOKEN_ENV"),
        *("ALIPAN_WEB_REFRESH_TOKEN", "ALIPAN_ENCRYPT_PASSWORD", "ALIPAN_ENCRYPT_TYPE"),
        *("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE", "OCI_RESOURCE_PRINCIPAL_RPT_ENDPOINT"),
        *("OCI_RESOURCE_PRINCIPAL_RPST_ENDPOINT", "OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE", "OCI_CLI_PROFILE"),
        *("OCI_CLI_USER", "OCI_CLI_TENANCY", "OCI_CLI_FINGERPRINT", "OCI_CLI_KEY_FILE", "OCI_CLI_KEY_CONTENT"),
        *("OCI_CLI_PASSPHRASE", "OCI_CLI_SECURITY_TOKEN_FILE", "OCIFS_CONFIG_LOCATION", "OCIFS_CONFIG_PROFILE"),
    }
)
# What a source knows too, and a user may know better.
FREE = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"})
# What decides which programs run and where they look for everything: no business of a credential's.
_OF_THE_PROCESS = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "ENV", "BASH_ENV", "IFS", "TMPDIR", "NODE_OPTIONS", "PERL5OPT"}
)
_FAMILIES = ("CREDBROKER_", "DYLD_", "LD_", "PYTHON")
_BESIDE = "expires_at"  # stands in `/env/NAME` beside the variables
_SECRET = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|SAS|(?:API|ACCESS|SECRET|PRIVATE|ACCOUNT)_?KEY)$",
    re.IGNORECASE,
)
_WITH_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")


def fault(name: str) -> str | None:
    """What is wrong with a variable's name, be it a plain one's or a secret's."""
    if not NAME.fullmatch(name):
        return "is no name of a variable: letters, digits and underscores, no digit first, 128 at most"
    if name in SET:
        return "is what the broker itself sets for a worker, and nothing may take its place"
    if name in _OF_THE_PROCESS or name.startswith(_FAMILIES) or name == _BESIDE:
        return "is not for a credential to set: it decides what runs, or how the broker is found"
    return None


def plain_fault(name: str, value: str) -> str | None:
    """What is wrong with a variable that stands plainly in the file."""
    if (found := fault(name)) is not None:
        return found
    if name in UNSET:
        return "would be asked before the broker, which unsets it for a worker"
    if _SECRET.search(name) or _WITH_PASSWORD.search(value):
        return 'is a secret by its name or form: give it as a reference, in a credential with source = "private-env"'
    if "\n" in value:
        return "has a line break"
    return None
