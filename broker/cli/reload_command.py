"""`credbroker reload`: as SIGHUP, with an answer."""

import click

from broker.cli.options import daemon, socket_option


@click.command("reload")
@socket_option
def command(explicit: str | None) -> None:
    """Make the running daemon read its configuration again.

    A file with mistakes changes nothing, and every mistake is reported. Warm leases stay.
    """
    answer = daemon(explicit).post("/reload", {}, dict[str, str])
    click.echo(f"credbroker: reloaded, generation {answer['generation'][:12]}", err=True)
