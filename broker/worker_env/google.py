"""What makes Google's libraries in a worker use the broker and nothing else. Pure."""

import msgspec

from broker.secret import Secret
from broker.worker_env.environment import Environment, Plane, Text

UNSET = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "NO_GCE_CHECK",
    "GCS_KEY",
    "GCS_SECRET",
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT",  # object_store reads these four before anything else
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "SERVICE_ACCOUNT",
)
TOKEN_FILE = "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"  # noqa: S105  # the name of a variable
TOKEN = "CLOUDSDK_AUTH_ACCESS_TOKEN"  # noqa: S105  # likewise


class GoogleGrant(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker may have of Google.

    `access_token` is the lease held now, if it is known. `token_in_file` where somebody keeps the file fresh;
    `token_in_variable` unless --no-token-env: gcloud prefers the variable, and it goes stale with its lease.
    """

    project: str | None = None
    quota_project: str | None = None
    access_token: Secret | None = None
    token_in_file: bool = True
    token_in_variable: bool = True


def token_file(plane: Plane) -> str:
    """The file that gcloud reads an access token from."""
    return f"{plane.folder}/google-token"


def metadata_variables(plane: Plane) -> tuple[tuple[str, Text], ...]:
    """What leads Google's libraries to the metadata server here, and keeps them from asking more of it than it has."""
    host = plane.metadata_host
    return (
        # google-auth asks IP whether it is there, C++ and gcloud know only ROOT, Go and Java only HOST.
        ("GCE_METADATA_HOST", host),
        ("GCE_METADATA_IP", host),
        ("GCE_METADATA_ROOT", host),
        ("GCE_METADATA_MTLS_MODE", "none"),
        ("METADATA_SERVER_DETECTION", "assume-present"),  # Node
        ("GOOGLE_API_ENABLE_RUNTIME_BOUND_TOKEN", "false"),
    )


def google_environment(plane: Plane, grant: GoogleGrant) -> Environment:
    """The Google part of a worker's environment."""
    empty = f"{plane.folder}/gcloud"
    variables: list[tuple[str, Text]] = [
        *metadata_variables(plane),
        ("CLOUDSDK_CONFIG", empty),  # a stray ADC file beats the metadata server
        ("GOOGLE_GCLOUD_ADC_PATH_OVERRIDE", f"{empty}/none.json"),  # google-cloud-cpp (pyarrow) looks for it by itself
    ]
    if grant.project:
        variables.append(("GOOGLE_CLOUD_PROJECT", grant.project))
    if grant.quota_project:
        variables.append(("GOOGLE_CLOUD_QUOTA_PROJECT", grant.quota_project))
    token = _token(plane, grant)
    # What is not given here may not come from outside either.
    unset = tuple(name for name in (TOKEN_FILE, TOKEN) if name not in token.names())
    return Environment(set=(*variables, *token.set), unset=(*UNSET, *unset), folders=(empty,), files=token.files)


def _token(plane: Plane, grant: GoogleGrant) -> Environment:
    if grant.access_token is None:
        return Environment()
    path = token_file(plane)
    in_file = ((TOKEN_FILE, path),) if grant.token_in_file else ()
    in_variable = ((TOKEN, grant.access_token),) if grant.token_in_variable else ()
    return Environment(set=(*in_file, *in_variable), files=((path, grant.access_token),) if grant.token_in_file else ())
