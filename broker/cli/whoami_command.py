"""`credbroker whoami`: which caller am I, how is that known, and what may I have."""

import os
from datetime import datetime

import click
import msgspec

from broker import control_api as api
from broker.cli.options import daemon, json_option, socket_option
from broker.cli.tables import table
from broker.control_client import worker_digest
from broker.errors import NoDaemon
from broker.worker_env.outer import WORKER, WORKER_SOCKET


@click.command("whoami")
@json_option
@socket_option
def command(as_json: bool, explicit: str | None) -> None:
    """Show which caller you are to the running daemon, how it knows, and what you may have.

    \b
      credbroker whoami                       # as your user, by the kernel's word
      credbroker exec -- credbroker whoami    # as that worker, by its token

    Under `exec` and `env` what the worker shows decides alone, as for its SDKs: a token that is over is never made up
    for by the user. The token is not sent: the daemon knows it by its digest. --socket asks that daemon as your user.

    DEFAULT marks what SDKs get that cannot name a credential. Exit status 4 where no caller of the configuration is
    you, or the token is over.
    """
    who = _who(explicit)
    click.echo(msgspec.json.encode(who) if as_json else _page(who))
    if not who.callers:
        click.get_current_context().exit(4)


def _who(explicit: str | None) -> api.Who:
    digest = None if explicit else worker_digest(os.environ)
    if digest is None:
        return daemon(explicit).get("/whoami", api.Who)
    try:
        client = daemon(os.environ.get(WORKER_SOCKET))
    except NoDaemon as error:
        where = os.environ.get(WORKER, "elsewhere")
        error.advice += (
            f"\nthis process is a worker of the broker at {where}, which tells who it is on its control socket alone: "
            "make that reachable from here, or look at `credbroker token list` where it is"
        )
        raise
    return client.post("/whoami", api.WhoOrder(digest=digest), api.Who)


def _page(who: api.Who) -> str:
    name = f"uid {who.uid}" + (f" ({who.user})" if who.user else "")
    subject = f"this worker, run by {name}," if who.token else name
    callers = ", ".join(who.callers) or "nobody: no caller in the configuration matches you"
    how = f"known by {who.how}" + (f", until {_until(who.token)}" if who.token else "")
    lines = [f"{subject} is {callers}", how, *(["an operator"] if who.operator else [])]
    rows = [(one.name, one.kind, "yes" if one.first else "no", one.region, one.project) for one in who.granted]
    grants = table(("CREDENTIAL", "KIND", "DEFAULT", "REGION", "PROJECT"), rows) if rows else ""
    return "\n".join([*lines, *(["", grants] if grants else [])])


def _until(token: api.Token) -> str:
    if token.expires_at is None:
        return "its command ends"
    return datetime.fromtimestamp(token.expires_at).astimezone().strftime("%Y-%m-%d %H:%M %Z")
