"""`credbroker get`: one lease on standard output, or kept fresh in a file."""

import json
import os
import time
from pathlib import Path

import click

from broker.cli.options import daemon, socket_option
from broker.cli.worker import TOKEN_VARIABLE, left
from broker.control_client import as_worker
from broker.errors import BrokerError, NoDaemon
from broker.files import FreshFile, next_look
from broker.worker_env.environment import Environment
from broker.worker_env.formats import to_shell

FORMATS = ("json", "credential-process", "token", "env")


@click.command("get")
@click.argument("name")
@click.option("--format", "form", type=click.Choice(FORMATS), default="json", show_default=True)
@click.option("--watch", "file", metavar="FILE", help="Keep this private file fresh until ended, instead of printing.")
@socket_option
def command(name: str, form: str, file: str | None, explicit: str | None) -> None:
    """Print the lease of credential NAME.

    \b
      json                the variables and when they end
      credential-process  what the AWS CLI's credential_process expects
      token               the bare access token, without a newline in a file
      env                 lines for a shell to eval

    In a worker it asks as that worker; elsewhere as you, over the daemon's socket.
    """
    if file is None:
        click.echo(rendered(_lease(name, explicit), form))
        return
    fresh, told, written = FreshFile(Path(file)), False, False
    while True:
        try:
            lease = _lease(name, explicit)
        except BrokerError as error:
            if not written and not isinstance(error, NoDaemon):
                raise
            if not told:
                click.echo(f"credbroker: warning: {error.advice}; trying on", err=True)
            told = True
            time.sleep(next_look(0))
            continue
        told, written = False, True
        fresh.put(lease["expires_at"], rendered(lease, form).encode())
        time.sleep(next_look(left(lease)))


def rendered(lease: dict[str, str], form: str) -> str:
    """The lease in one of FORMATS. Raises BrokerError where its kind has no such form."""
    match form:
        case "credential-process":
            return json.dumps(_process_credentials(lease))
        case "token":
            return _of(lease, TOKEN_VARIABLE, "an access token")
        case "env":
            variables = tuple((name, value) for name, value in lease.items() if name.isupper())
            return to_shell(Environment(set=variables)).rstrip("\n")
    return json.dumps(lease, indent=2)


def _process_credentials(lease: dict[str, str]) -> dict[str, object]:
    """The schema of the AWS CLI's user guide, "Sourcing credentials with an external process"."""
    keys = {
        "Version": 1,
        "AccessKeyId": _of(lease, "AWS_ACCESS_KEY_ID", "AWS keys"),
        "SecretAccessKey": lease["AWS_SECRET_ACCESS_KEY"],
        "Expiration": lease["expires_at"],
    }
    token = lease.get("AWS_SESSION_TOKEN")
    return keys | ({"SessionToken": token} if token else {})


def _of(lease: dict[str, str], variable: str, what: str) -> str:
    if variable not in lease:
        raise BrokerError(f"this credential has no {what}: choose another --format", code="WrongFormat")
    return lease[variable]


def _lease(name: str, explicit: str | None) -> dict[str, str]:
    inside = None if explicit else as_worker(os.environ)
    return daemon(explicit).lease(name) if inside is None else inside.lease(name)
