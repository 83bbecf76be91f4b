"""From what the daemon grants to a worker's environment: shared by `exec` and `env`. Thin."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import click
import msgspec

from broker import control_api as api
from broker.config.shape import Address
from broker.control_client import Client, WorkerPlane
from broker.errors import BrokerError
from broker.model import Kind
from broker.secret import Secret
from broker.worker_env import (
    AwsGrant,
    Environment,
    GoogleGrant,
    Plane,
    Settings,
    Worker,
    profile_settings,
    unwrapped,
    worker_environment,
)

CLOUDS = {"aws": Kind.AWS, "gcp": Kind.GOOGLE}
TOKEN_VARIABLE = "CLOUDSDK_AUTH_ACCESS_TOKEN"  # noqa: S105 - the name of a variable


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """How the environment is to be made, by the command's options."""

    caller: str | None = None
    use: tuple[str, ...] = ()
    without: frozenset[Kind] = frozenset()
    private_home: bool = False
    no_token_env: bool = False

    @classmethod
    def from_options(cls, use: str | None, without: str | None, **rest: Any) -> Self:
        """From the options as click gives them. Raises click's usage error."""
        clouds = _listed(without)
        unknown = [cloud for cloud in clouds if cloud not in CLOUDS]
        if unknown:
            raise click.BadParameter(f"{unknown[0]!r} is not a cloud: {', '.join(CLOUDS)}", param_hint="--without")
        return cls(use=_listed(use), without=frozenset(CLOUDS[cloud] for cloud in clouds), **rest)


class Firsts(msgspec.Struct, frozen=True):
    """The credentials that dialects serve which cannot name one, by cloud; None where there is none."""

    aws: api.Granted | None
    google: api.Granted | None


def firsts(worker: api.Worker, making: Making) -> Firsts:
    """The first of each kind that is wanted."""
    found = {one.kind: one for one in worker.granted if one.first and Kind(one.kind) not in making.without}
    return Firsts(found.get(Kind.AWS), found.get(Kind.GOOGLE))


def settle(client: Client, worker: api.Worker, making: Making) -> None:
    """Wait until what the worker starts with is minted, asking for MFA codes, so that its first request is answered.

    What cannot be minted is told; the error is raised only where nothing at all can.
    """
    errors = []
    wanted = [one for one in msgspec.structs.astuple(firsts(worker, making)) if one is not None]
    for one in wanted:
        try:
            if one.needs_mfa:
                client.post(
                    f"/refresh/{one.name}", api.RefreshOrder(mfa_code=ask_mfa_code(one.name)), list[api.LeaseRow]
                )
            plane_of(worker).lease(one.name)
        except BrokerError as error:
            errors.append(error)
            if len(wanted) > 1:
                click.echo(f"credbroker: warning: {one.name}: {error.advice}", err=True)
    if errors and len(errors) == len(wanted):
        raise errors[0]
    if not wanted:
        click.echo(f"credbroker: warning: {worker.caller} is granted nothing that is wanted here", err=True)


def ask_mfa_code(name: str) -> str:
    """The code from the user's device. Raises BrokerError where there is no terminal to ask at."""
    if not sys.stdin.isatty():
        raise BrokerError(f"{name} needs an MFA code: run this in a terminal once, or `credbroker refresh {name}`")
    return str(click.prompt(f"MFA code for {name}", err=True, hide_input=True))


def environment(
    worker: api.Worker, making: Making, folder: str, token: Secret | None, *, kept_fresh: bool
) -> Environment:
    """What to change in this process's environment; `kept_fresh` where somebody renews the token file."""
    first = firsts(worker, making)
    plane = Plane(
        address=Address(worker.host, worker.port),
        folder=folder,
        program=program(),
        header_token=Secret(worker.header_token),
        path_token=Secret(worker.path_token),
    )
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
            access_token=token,
            token_in_file=kept_fresh,
            token_in_variable=not making.no_token_env,
        )
    home = str(Path(folder, "home")) if making.private_home else None
    made = Worker(plane=plane, aws=aws, google=google, without=making.without, private_home=home)
    return worker_environment(made, os.environ)


def plane_of(worker: api.Worker) -> WorkerPlane:
    """The worker plane, asked as this worker."""
    return WorkerPlane(worker.host, worker.port, Secret(worker.header_token))


def fresh_token(worker: api.Worker, making: Making) -> Secret | None:
    """The Google token held now, if there is one."""
    google = firsts(worker, making).google
    if google is None:
        return None
    try:
        return Secret(plane_of(worker).lease(google.name, 0)[TOKEN_VARIABLE])
    except BrokerError:
        return None  # told by `settle`


def left(lease: dict[str, str]) -> float:
    """Seconds of life left in a lease as the daemon gives it."""
    return (datetime.fromisoformat(lease["expires_at"]) - datetime.now(UTC)).total_seconds()


def own_settings(profile: str | None) -> Settings:
    """The non-secret settings of the user's own AWS profile."""
    environ = unwrapped(os.environ)
    path = Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()
    chosen = profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    try:
        return profile_settings(path.read_text(encoding="utf-8", errors="replace"), chosen)
    except OSError:
        return Settings()


def program() -> tuple[str, ...]:
    """How this very credbroker is started, by absolute path."""
    return (sys.executable, "-P", "-m", "broker.cli")


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
