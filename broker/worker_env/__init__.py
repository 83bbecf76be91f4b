"""The environment of a worker: each variable that makes an unchanged SDK ask the broker, and none to slip past it by.

Pure: values in, an Environment out; `files.lay_out` writes what it names. A further cloud is one file beside these and
its lines here. For a cloud without a grant, or one that `--without` names, nothing is set or unset, so that the
instance's own role takes over.
"""

from collections.abc import Mapping

import msgspec

from broker import model
from broker.model import Kind
from broker.worker_env.aws import AwsGrant, aws_environment
from broker.worker_env.azure import azure_environment
from broker.worker_env.databricks import DatabricksGrant, databricks_environment
from broker.worker_env.environment import Environment, Plane, applied, contents, joined
from broker.worker_env.google import GoogleGrant, google_environment, token_file
from broker.worker_env.oci import CURRENT as OCI_CURRENT
from broker.worker_env.oci import OciGrant, lease_files, oci_environment, oci_folder
from broker.worker_env.outer import WORKER, WORKER_SOCKET, WORKER_TOKEN_FILE, remembered, unwrapped
from broker.worker_env.profile import Settings, profile_settings
from broker.worker_env.shadows import warnings
from broker.worker_env.variables import VariablesGrant, fitting, variables_environment

__all__ = [
    "OCI_CURRENT",
    "AwsGrant",
    "DatabricksGrant",
    "Environment",
    "GoogleGrant",
    "OciGrant",
    "Plane",
    "Settings",
    "VariablesGrant",
    "Worker",
    "applied",
    "contents",
    "lease_files",
    "oci_folder",
    "profile_settings",
    "token_file",
    "unwrapped",
    "warnings",
    "worker_environment",
]


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a worker's environment depends on, but for the environment that it changes.

    `variables` are secrets that clients read from the environment itself; `settings` what travels with the clouds, and
    comes before what travels with those.
    `without` are the clouds that `--without` names; `private_home` is the folder of `--private-home`.
    """

    plane: Plane
    aws: AwsGrant | None = None
    google: GoogleGrant | None = None
    azure: bool = False
    databricks: DatabricksGrant | None = None
    oci: OciGrant | None = None
    variables: tuple[VariablesGrant, ...] = ()
    settings: model.Settings = ()
    without: frozenset[Kind] = frozenset()
    private_home: str | None = None


def worker_environment(worker: Worker, environ: Mapping[str, str]) -> Environment:
    """What to change in `environ` to make it this worker's; apply it to `unwrapped(environ)`."""
    environ = unwrapped(environ)
    clouds = []
    if worker.aws is not None and Kind.AWS not in worker.without:
        clouds.append(aws_environment(worker.plane, worker.aws))
    if worker.google is not None and Kind.GOOGLE not in worker.without:
        clouds.append(google_environment(worker.plane, worker.google))
    if worker.azure and Kind.AZURE not in worker.without:
        clouds.append(azure_environment(worker.plane))
    if worker.databricks is not None and Kind.DATABRICKS not in worker.without:
        clouds.append(databricks_environment(worker.plane, worker.databricks))
    if worker.oci is not None and Kind.OCI not in worker.without:
        clouds.append(oci_environment(worker.plane, worker.oci))
    common, no_proxy = _common(worker), _no_proxy(worker, environ)
    # Neither secrets nor settings are remembered: a broker within this one leaves them as they are.
    fit = tuple(fitting(worker.variables, (common, no_proxy, *clouds)))
    settings = (Environment(set=one) for one in reversed((worker.settings, *(grant.settings for grant in fit))))
    variables = (variables_environment(one) for one in fit)
    return joined(common, *clouds, *settings, *variables, no_proxy, remembered(environ, common, *clouds))


def _common(worker: Worker) -> Environment:
    """How our own commands know that they are in a worker, and where to ask; the empty home."""
    plane, home = worker.plane, worker.private_home
    return Environment(
        set=(
            (WORKER, f"http://{plane.address}"),
            (WORKER_TOKEN_FILE, plane.token_file),
            *(((WORKER_SOCKET, plane.socket),) if plane.socket is not None else ()),
            *((("HOME", home),) if home is not None else ()),
        ),
        folders=(plane.folder, *((home,) if home is not None else ())),
        files=((plane.token_file, plane.authorization),),
    )


def _no_proxy(worker: Worker, environ: Mapping[str, str]) -> Environment:
    """Both spellings, each extended by itself; a proxy in between breaks every client (seen)."""
    upper, lower = environ.get("NO_PROXY"), environ.get("no_proxy")
    hosts = ("127.0.0.1", "localhost", worker.plane.address.host)
    return Environment(
        set=(
            ("NO_PROXY", _extended(upper if upper is not None else lower, hosts)),
            ("no_proxy", _extended(lower if lower is not None else upper, hosts)),
        )
    )


def _extended(value: str | None, hosts: tuple[str, ...]) -> str:
    if value is not None and value.strip() == "*":  # everything already, and curl knows it only alone
        return value
    known = [host.strip() for host in (value or "").split(",")]
    return ",".join(dict.fromkeys(host for host in (*known, *hosts) if host))
