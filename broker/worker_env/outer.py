"""A worker's environment that can be undone: `exec` within `exec`, or a daemon started in a shell that `env` changed.

What a worker's environment hides of the user's own (a profile's name, the paths of his files, never a secret) is kept
in one variable, so that a broker started in there begins where the first one did and does not mistake another identity
for his. Where keys or a token stood in the environment itself they cannot be given back: then that cloud stays as it
is, and the inner broker's identity is the outer one's lease. Pure.
"""

import json
from collections.abc import Mapping

from broker.worker_env.environment import Environment

WORKER = "CREDBROKER_WORKER"  # the address of the worker plane
WORKER_TOKEN_FILE = "CREDBROKER_WORKER_TOKEN_FILE"  # noqa: S105  # the name of a variable
WORKER_SOCKET = "CREDBROKER_WORKER_SOCKET"  # the control socket of the same daemon
OUTER = "CREDBROKER_OUTER"

_IDENTITY = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AZURE_CLIENT_SECRET",
        "AZURE_PASSWORD",
        "DATABRICKS_CLIENT_SECRET",
        "DATABRICKS_PASSWORD",
        "DATABRICKS_TOKEN",
        "IDENTITY_HEADER",
        "MSI_SECRET",
        "OCI_CLI_KEY_CONTENT",
    }
)
_SECRET = frozenset(
    {
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "AZURE_ACCOUNT_ACCESS_KEY",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_CLIENT_SECRET",
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_STORAGE_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_TOKEN",
        "CLOUDSDK_AUTH_ACCESS_TOKEN",
        "GCS_KEY",
        "GCS_SECRET",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
        "OCI_CLI_PASSPHRASE",
        "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE",
    }
)


def remembered(environ: Mapping[str, str], common: Environment, *clouds: Environment) -> Environment:
    """The variable that lets `unwrapped` undo these parts of a worker's environment.

    A cloud is undone whole or not at all; where one is not, the marks stay too.
    """
    undone = [cloud for cloud in clouds if not any(_is_lost(name, environ.get(name, "")) for name in cloud.names())]
    previous: dict[str, str | None] = {}
    for part in (common, *undone):
        previous |= {name: environ.get(name) for name, _ in part.set}
        previous |= {name: environ[name] for name in part.unset if name in environ}
    previous |= dict.fromkeys(_SECRET & previous.keys())
    if len(undone) < len(clouds):
        for name in (WORKER, WORKER_TOKEN_FILE, WORKER_SOCKET):
            previous.pop(name, None)
    return Environment(set=((OUTER, json.dumps(previous, separators=(",", ":"))),))


def unwrapped(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment as it was before a broker made it a worker's; a copy where none did."""
    result = dict(environ)
    for name, value in _previous(result.pop(OUTER, "")).items():
        if isinstance(value, str):
            result[name] = value
        else:
            result.pop(name, None)
    return result


def _previous(text: str) -> dict[str, object]:
    try:
        previous = json.loads(text)
    except ValueError:  # not written by us
        return {}
    return previous if isinstance(previous, dict) else {}


def _is_lost(name: str, value: str) -> bool:
    """Whether this is an identity that may not be kept: keys, or an address with a path token in it."""
    return bool(value) and (name in _IDENTITY or "/w/cbp_" in value)
