"""From what the daemon grants to a worker's environment: shared by `exec` and `env`. Thin."""

import contextlib
import getpass
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import click
import msgspec

from broker import control_api as api
from broker import worker_env
from broker.cli.words import say, warn
from broker.config.shape import Address
from broker.control_client import Client, WorkerPlane
from broker.errors import BrokerError, IdentityMissing
from broker.model import VALUES, Kind, Settings, Variables
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

CLOUDS = {
    "aws": Kind.AWS,
    "gcp": Kind.GOOGLE,
    "gcs-hmac": Kind.GCS_HMAC,
    "azure": Kind.AZURE,
    "azure-sas": Kind.AZURE_SAS,
    "databricks": Kind.DATABRICKS,
    "oci": Kind.OCI,
    "alipan": Kind.ALIPAN,
    "env": Kind.ENV,
}
# Held by no SDK that asks: these go into the environment itself.
OF_VARIABLES = frozenset(str(kind) for kind, value in VALUES.items() if value is Variables)
TOKEN_VARIABLE = "CLOUDSDK_AUTH_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
EXPIRY = "expires_at"  # stands beside the variables of a lease
NEEDS_CODE, CODE_REFUSED = "MfaRequired", "MfaRefused"
CHANCES = 3  # to type a code, as `sudo` gives for a password


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


class Firsts(NamedTuple):
    """The credentials that a worker starts with; of the clouds that SDKs ask for, the ones that plain SDKs get."""

    aws: api.Granted | None
    google: api.Granted | None
    azure: api.Granted | None = None
    databricks: api.Granted | None = None
    oci: api.Granted | None = None
    variables: tuple[api.Granted, ...] = ()

    @property
    def all(self) -> tuple[api.Granted, ...]:
        """Each of them."""
        clouds = (self.aws, self.google, self.azure, self.databricks, self.oci)
        return tuple(one for one in (*clouds, *self.variables) if one)


class Fetched(NamedTuple):
    """The secrets of now that stand in a worker's environment itself."""

    token: Secret | None = None
    oci: tuple[str, ...] = ()  # only the names: the secrets stand in files
    variables: tuple[VariablesGrant, ...] = ()


def firsts(worker: api.Worker, making: Making) -> Firsts:
    """The first of each kind that is wanted; of private-env every one, since each has names of its own."""
    wanted = [one for one in worker.granted if Kind(one.kind) not in making.without]
    found = {one.kind: one for one in wanted if one.first}
    variables = (one for one in wanted if one.kind in OF_VARIABLES and (one.first or one.kind == Kind.ENV))
    return Firsts(
        aws=found.get(Kind.AWS),
        google=found.get(Kind.GOOGLE),
        azure=found.get(Kind.AZURE),
        databricks=found.get(Kind.DATABRICKS),
        oci=found.get(Kind.OCI),
        variables=tuple(variables),
    )


def settle(client: Client, worker: api.Worker, making: Making) -> None:
    """Wait until what the worker starts with is minted, asking for MFA codes, so that its first request is answered.

    What cannot be minted is told; the error is raised only where nothing at all can.
    """
    wanted = [one.name for one in firsts(worker, making).all]
    if not wanted:
        warn(f"{worker.caller} is granted nothing that is wanted here")
    failed = []
    for name in wanted:
        try:
            _settle(client, worker, name)
        except BrokerError as error:
            failed.append(told_of(name, error))
    if failed and len(failed) == len(wanted):
        for other in failed[:-1]:
            say(other.advice)
        raise failed[-1]
    for one in failed:
        warn(one.advice)


def _settle(client: Client, worker: api.Worker, name: str) -> None:
    try:
        plane_of(worker).lease(name)
    except BrokerError as error:
        if error.code != NEEDS_CODE:
            raise
        mint(client, name, tuple(worker.caller.split("+")))


def mint(client: Client, name: str, callers: tuple[str, ...] = ()) -> list[api.LeaseRow]:
    """Mint anew, now, asking for the MFA codes that are needed; one that is refused may be typed again."""
    code = None
    for chance in range(CHANCES + 1):
        try:
            return client.refresh(name, api.RefreshOrder(mfa_code=code, callers=callers))
        except BrokerError as error:
            if error.code not in {NEEDS_CODE, CODE_REFUSED} or chance == CHANCES:
                raise
            if code is not None:
                say(f"{name}: {'one more code is needed' if error.code == NEEDS_CODE else error.advice}")
        code = ask_mfa_code(name)
    raise AssertionError


def ask_mfa_code(name: str) -> str:
    """The code from the user's device, asked for at his terminal. Raises BrokerError where he has none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        advice = (
            f"{name} needs an MFA code, and there is no terminal to ask at: run this in one, or before it "
            f"`credbroker refresh {name}`, if a daemon is running"
        )
        raise IdentityMissing(advice, code=NEEDS_CODE) from None
    return getpass.getpass(f"MFA code for {name}: ").strip()


def told_of(name: str, error: BrokerError) -> BrokerError:
    """The error, which now says of which credential it is."""
    if not error.advice.startswith((f"{name} ", f"{name}: ")):
        error.advice = f"{name}: {error.advice}"
        error.args = (error.advice,)
    return error


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
    _tell_left_out(fetched.variables, changes)
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


def _tell_left_out(variables: tuple[VariablesGrant, ...], changes: Environment) -> None:
    given = dict(changes.set)
    for grant in variables:
        if any(given.get(name) is not value for name, value in grant.values):
            warn(f"{grant.name} is left out: another credential has variables of it; choose with --use or --without")


def plane_of(worker: api.Worker) -> WorkerPlane:
    """The worker plane, asked as this worker."""
    return WorkerPlane(worker.host, worker.port, Secret(worker.header_token))


def fetched(worker: api.Worker, making: Making) -> Fetched:
    """What is held now of the credentials that a worker starts with; what is not is told by `settle`."""
    plane, first = plane_of(worker), firsts(worker, making)
    token, variables = None, []
    oci: tuple[str, ...] = ()
    if first.google:
        with contextlib.suppress(BrokerError):
            token = Secret(plane.lease(first.google.name, 0)[TOKEN_VARIABLE])
    if first.oci:
        with contextlib.suppress(BrokerError):
            oci = tuple(plane.lease(first.oci.name, 0))
    for one in first.variables:
        with contextlib.suppress(BrokerError):
            lease = plane.lease(one.name, 0)
            plain = dict(one.settings)
            values = ((name, Secret(value)) for name, value in lease.items() if name not in plain and name != EXPIRY)
            grant = VariablesGrant(name=one.name, kind=one.kind, values=tuple(values), settings=one.settings)
            variables.append(grant)
    return Fetched(token, oci, tuple(variables))


def left(lease: dict[str, str]) -> float:
    """Seconds of life left in a lease as the daemon gives it."""
    return (datetime.fromisoformat(lease[EXPIRY]) - datetime.now(UTC)).total_seconds()


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


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
