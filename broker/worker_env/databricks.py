"""What makes Databricks' SDKs and tools in a worker use the broker and nothing else. Pure.

DATABRICKS_HOST is no business of this file: it follows from the credential, and travels with it.
"""

import msgspec

from broker.secret import Secret
from broker.worker_env.environment import Environment, Plane, Text

UNSET = (
    "DATABRICKS_TOKEN",
    "DATABRICKS_CLIENT_ID",
    "DATABRICKS_CLIENT_SECRET",
    "DATABRICKS_USERNAME",
    "DATABRICKS_PASSWORD",
    "DATABRICKS_CONFIG_PROFILE",  # with a host in the environment, only a profile by name is read from ~/.databrickscfg
    "DATABRICKS_AZURE_RESOURCE_ID",
    "DATABRICKS_GOOGLE_SERVICE_ACCOUNT",
    "DATABRICKS_OIDC_TOKEN_ENV",
)


class DatabricksGrant(msgspec.Struct, frozen=True, kw_only=True):
    """The credential that plain SDKs get."""

    name: str


def databricks_environment(plane: Plane, grant: DatabricksGrant) -> Environment:
    """The Databricks part of a worker's environment."""
    return Environment(
        set=(
            ("DATABRICKS_METADATA_SERVICE_URL", _url(plane, grant.name)),
            ("DATABRICKS_AUTH_TYPE", "metadata-service"),
        ),
        unset=UNSET,
    )


def _url(plane: Plane, name: str) -> Text:
    """Its clients have no header for a token of ours: it stands in the path."""
    if plane.path_token is None:
        return f"http://{plane.address}/databricks/{name}"
    return Secret(f"http://{plane.address}/w/{plane.path_token.open()}/databricks/{name}")
