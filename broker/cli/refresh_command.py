"""`credbroker refresh`: mint anew, now."""

import click

from broker import control_api as api
from broker.cli.options import daemon, socket_option
from broker.cli.tables import span
from broker.cli.worker import ask_mfa_code
from broker.errors import BrokerError


@click.command("refresh")
@click.argument("name")
@socket_option
def command(name: str, explicit: str | None) -> None:
    """Mint credential NAME anew, now; the held lease is served until the new one is there.

    Asks for an MFA code where the credential needs one.
    """
    client = daemon(explicit)
    try:
        rows = client.post(f"/refresh/{name}", api.RefreshOrder(), list[api.LeaseRow])
    except BrokerError as error:
        if error.code != "MfaRequired":
            raise
        rows = client.post(f"/refresh/{name}", api.RefreshOrder(mfa_code=ask_mfa_code(name)), list[api.LeaseRow])
    for row in rows:
        ends = span(row.left)
        click.echo(f"credbroker: {row.credential} for {row.caller}: lease {row.serial}, {ends} to live", err=True)
