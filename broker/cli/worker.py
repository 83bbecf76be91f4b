"""From what the daemon grants and holds to a worker's environment: shared by `exec` and `env`. Thin."""

import os
import sys
from pathlib import Path

from broker import control_api as api
from broker import worker_env
from broker.cli.firsts import Firsts, Making, firsts
from broker.cli.held import Fetched
from broker.cli.words import warn
from broker.config.shape import Address
from broker.model import Kind, Settings
from broker.secret import Secret
from broker.worker_env import (
    AwsGrant,
    DatabricksGrant,
    Environment,
    GoogleGrant,
    OciGrant,
    Plane,
    VariablesGrant,
    Worker,
    profile_settings,
    unwrapped,
    worker_environment,
)


def environment(
    worker: api.Worker,
    making: Making,
    folder: str,
    fetched: Fetched,
    *,
    kept_fresh: bool,
    socket: str | None = None,
) -> Environment:
    """What to change in this process's environment; `kept_fresh` where somebody renews the token file.

    `socket` is the daemon's control socket.
    """
    first = firsts(worker, making)
    aws = google = None
    if first.aws:
        regions = tuple((one.name, one.region) for one in worker.granted if one.kind == Kind.AWS)
        aws = AwsGrant(
            name=first.aws.name, region=first.aws.region, profiles=regions, settings=own_settings(first.aws.profile)
        )
    if first.google:
        google = GoogleGrant(
            project=first.google.project,
            quota_project=first.google.quota_project,
            access_token=fetched.token,
            token_in_file=kept_fresh,
            token_in_variable=not making.no_token_env,
        )
    home = str(Path(folder, "home")) if making.private_home else None
    made = Worker(
        plane=_plane(worker, folder, socket),
        aws=aws,
        google=google,
        azure=first.azure is not None,
        databricks=DatabricksGrant(name=first.databricks.name) if first.databricks else None,
        oci=OciGrant(holds=frozenset(fetched.oci), region=first.oci.region) if first.oci else None,
        variables=fetched.variables,
        settings=settings(first),
        without=making.without,
        private_home=home,
    )
    changes = worker_environment(made, os.environ)
    _tell_left_out(first, fetched.variables, changes)
    return changes


def _plane(worker: api.Worker, folder: str, socket: str | None) -> Plane:
    return Plane(
        address=Address(worker.host, worker.port),
        folder=folder,
        program=program(),
        header_token=Secret(worker.header_token),
        path_token=Secret(worker.path_token),
        socket=socket and str(Path(socket).absolute()),
    )


def settings(first: Firsts) -> Settings:
    """The plain variables of the clouds: where two name one, the first decides."""
    clouds = (one for one in (first.oci, first.databricks, first.azure, first.google, first.aws) if one)
    return tuple(dict(pair for one in clouds for pair in one.settings).items())


def _tell_left_out(first: Firsts, variables: tuple[VariablesGrant, ...], changes: Environment) -> None:
    given = dict(changes.set)
    for one in first.left_out:
        warn(f"{one.name} is left out, and no key is made: a Google token is granted too; choose with --without gcp")
    for grant in variables:
        if any(given.get(name) is not value for name, value in grant.values):
            warn(f"{grant.name} is left out: another credential has variables of it; choose with --use or --without")


def own_settings(profile: str | None) -> worker_env.Settings:
    """The non-secret settings of the user's own AWS profile."""
    environ = unwrapped(os.environ)
    path = Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    chosen = profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    try:
        return profile_settings(path.read_text(encoding="utf-8", errors="replace"), chosen)
    except OSError:
        return worker_env.Settings()


def program() -> tuple[str, ...]:
    """How this very credbroker is started, by absolute path."""
    return (sys.executable, "-P", "-m", "broker.cli")
