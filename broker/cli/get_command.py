"""`credbroker get`: one lease on standard output, or kept fresh in a file."""

import json
import os
import time
from pathlib import Path
from typing import Never

import click

from broker.cli.held import EXPIRY, TOKEN_VARIABLE, left
from broker.cli.options import credential_argument, daemon, socket_option
from broker.cli.words import told_of, warn
from broker.control_client import as_worker
from broker.errors import BrokerError, NoDaemon
from broker.files import FreshFile, next_look
from broker.worker_env.environment import Environment
from broker.worker_env.formats import to_shell

FORMATS = ("json", "credential-process", "token", "env")
TOKENS = (
    TOKEN_VARIABLE,
    "DATABRICKS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_ACCESS_TOKEN",
)  # where a lease has a bearer token


@click.command("get")
@credential_argument
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="json", show_default=True, help="What to print; see above."
)
@click.option(
    "--watch",
    "file",
    metavar="FILE",
    type=click.Path(),
    help="Keep this private file fresh until ended, instead of printing.",
)
@socket_option
def command(name: str, form: str, file: str | None, explicit: str | None) -> None:
    """Print the lease of credential NAME. It is a secret: mind where it goes.

    \b
      json                the variables and when they end
      credential-process  what the AWS CLI's credential_process expects
      token               the bare access token
      env                 lines for a shell to eval

    Under `exec` and `env` it asks as that worker; elsewhere as you, over the daemon's socket. FILE is replaced whole
    at each new lease, mode 0600, without a last newline; while no daemon answers it stays as it is.
    """
    if file is not None:
        watch(name, form, Path(file), explicit)
    click.echo(rendered(lease_of(name, explicit), form))


def watch(name: str, form: str, path: Path, explicit: str | None) -> Never:
    """Keep the file fresh for ever. Raises BrokerError where the first lease cannot be had or written."""
    file, begun, quiet = FreshFile(path), False, False
    while True:
        pause = next_look(0)
        try:
            lease = lease_of(name, explicit)
            text = rendered(lease, form).encode()
            file.put(text, text)  # two leases may end in the same second
            pause, begun, quiet = next_look(left(lease)), True, False
        except BrokerError as error:
            if not begun and not isinstance(error, NoDaemon):
                raise
            if not quiet:
                warn(f"{error.advice}; trying on")
            quiet = True
        time.sleep(pause)


def rendered(lease: dict[str, str], form: str) -> str:
    """The lease in one of FORMATS. Raises BrokerError where its kind has no such form."""
    match form:
        case "credential-process":
            return json.dumps(_process_credentials(lease))
        case "token":
            return _of(lease, next((name for name in TOKENS if name in lease), TOKEN_VARIABLE), "access token")
        case "env":
            variables = tuple((name, value) for name, value in lease.items() if name != EXPIRY)
            return to_shell(Environment(set=variables)).rstrip("\n")
    return json.dumps(lease, indent=2)


def _process_credentials(lease: dict[str, str]) -> dict[str, object]:
    """The schema of the AWS CLI's user guide, "Sourcing credentials with an external process"."""
    keys = {
        "Version": 1,
        "AccessKeyId": _of(lease, "AWS_ACCESS_KEY_ID", "AWS keys"),
        "SecretAccessKey": lease["AWS_SECRET_ACCESS_KEY"],
        "Expiration": lease[EXPIRY],
    }
    token = lease.get("AWS_SESSION_TOKEN")
    return keys | ({"SessionToken": token} if token else {})


def _of(lease: dict[str, str], variable: str, what: str) -> str:
    if variable not in lease:
        error = BrokerError(f"this credential has no {what}: choose another --format", code="WrongFormat")
        error.exit_status = 2
        raise error
    return lease[variable]


def lease_of(name: str, explicit: str | None) -> dict[str, str]:
    """The lease as variables and `expires_at`, asked for as the worker that we are or else as the user."""
    inside = None if explicit else as_worker(os.environ)
    try:
        return daemon(explicit).lease(name) if inside is None else inside.lease(name)
    except NoDaemon:
        raise
    except BrokerError as error:
        if error.advice.startswith("not granted"):  # it names nothing, since a worker may be anybody
            error.advice = "not granted to you, or there is no such credential: `credbroker whoami` lists what is"
        raise told_of(name, error) from None
