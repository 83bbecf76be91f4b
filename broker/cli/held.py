"""What is held for a worker: waited for at its start, then fetched over the worker plane, as the worker would."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from broker import control_api as api
from broker.cli.firsts import Making, firsts
from broker.cli.mfa import NEEDS_CODE, mint
from broker.cli.words import say, told_of, warn
from broker.control_client import PATIENCE, Client, WorkerPlane
from broker.errors import BrokerError
from broker.secret import Secret
from broker.worker_env import VariablesGrant

TOKEN_VARIABLE = "CLOUDSDK_AUTH_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
EXPIRY = "expires_at"  # stands beside the variables of a lease


class Fetched(NamedTuple):
    """The secrets of now that stand in a worker's environment itself."""

    token: Secret | None = None
    oci: tuple[str, ...] = ()  # only the names: the secrets stand in files
    variables: tuple[VariablesGrant, ...] = ()


def plane_of(worker: api.Worker) -> WorkerPlane:
    """The worker plane, asked as this worker."""
    return WorkerPlane(worker.host, worker.port, Secret(worker.header_token))


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


def fetched(worker: api.Worker, making: Making, *, settled: bool) -> Fetched:
    """What is held now of the credentials that a worker starts with.

    Where that is not `settled`, it is waited for, and what there is not is told: an environment is made only once.
    """
    first, take = firsts(worker, making), _taking(worker, settled=settled)
    google = take(first.google.name) if first.google else {}
    oci = take(first.oci.name) if first.oci else {}
    variables = []
    for one in first.variables:
        if lease := take(one.name):
            plain = dict(one.settings)
            values = ((name, Secret(value)) for name, value in lease.items() if name not in plain and name != EXPIRY)
            grant = VariablesGrant(name=one.name, kind=one.kind, values=tuple(values), settings=one.settings)
            variables.append(grant)
    return Fetched(Secret(google[TOKEN_VARIABLE]) if google else None, tuple(oci), tuple(variables))


def _taking(worker: api.Worker, *, settled: bool) -> Callable[[str], dict[str, str]]:
    """How one lease is taken; nothing where there is none."""
    plane = plane_of(worker)

    def take(name: str) -> dict[str, str]:
        try:
            return plane.lease(name, 0 if settled else PATIENCE)
        except BrokerError as error:
            if not settled:
                warn(told_of(name, error).advice)
            return {}

    return take


def left(lease: dict[str, str]) -> float:
    """Seconds of life left in a lease as the daemon gives it."""
    return (datetime.fromisoformat(lease[EXPIRY]) - datetime.now(UTC)).total_seconds()
