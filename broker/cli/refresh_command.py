"""`credbroker refresh`: mint anew, now."""

import click

from broker.cli.mfa import mint
from broker.cli.options import credential_argument, daemon, socket_option
from broker.cli.tables import span
from broker.cli.words import say, told_of
from broker.errors import BrokerError


@click.command("refresh")
@credential_argument
@socket_option
def command(name: str, explicit: str | None) -> None:
    """Mint credential NAME anew, now.

    The held lease is served until the new one is there, and stays if nothing can be minted. Asks for an MFA code where
    the credential, or one that it chains from, needs one.
    """
    client = daemon(explicit)
    try:
        rows = mint(client, name)
    except BrokerError as error:
        raise told_of(name, error) from None
    for row in rows:
        whose = f" ({row.whose})" if row.whose else ""
        say(f"{row.credential} for {row.caller}{whose}: lease {row.serial}, {span(row.left)} to live")
