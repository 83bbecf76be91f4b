"""`credbroker reload`: as SIGHUP, with an answer."""

import click

from broker.cli.options import daemon, socket_option
from broker.cli.words import say


@click.command("reload")
@socket_option
def command(explicit: str | None) -> None:
    """Make the running daemon read its configuration again.

    A file with mistakes changes nothing, and every mistake is reported (exit status 2). Warm leases stay. A change that
    needs a restart is a mistake too: of [daemon], all but operators, include and kubernetes.
    """
    answer = daemon(explicit).post("/reload", {}, dict[str, str])
    say(f"reloaded, generation {answer['generation'][:12]}")
