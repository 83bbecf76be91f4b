"""`credbroker whoami`: which caller am I, and what may I have."""

import click
import msgspec

from broker import control_api as api
from broker.cli.options import daemon, json_option, socket_option
from broker.cli.tables import table


@click.command("whoami")
@json_option
@socket_option
def command(as_json: bool, explicit: str | None) -> None:
    """Show which caller you are to the running daemon, how it knows, and what you may have.

    DEFAULT marks what SDKs get that cannot name a credential. Exit status 4 where no caller of the configuration is
    you.
    """
    who = daemon(explicit).get("/whoami", api.Who)
    click.echo(msgspec.json.encode(who) if as_json else _page(who))
    if not who.callers:
        click.get_current_context().exit(4)


def _page(who: api.Who) -> str:
    name = f"uid {who.uid}" + (f" ({who.user})" if who.user else "")
    callers = ", ".join(who.callers) or "nobody: no caller in the configuration matches you"
    lines = [f"{name} is {callers}", f"known by {who.how}", *(["an operator"] if who.operator else [])]
    rows = [(one.name, one.kind, "yes" if one.first else "no", one.region, one.project) for one in who.granted]
    grants = table(("CREDENTIAL", "KIND", "DEFAULT", "REGION", "PROJECT"), rows) if rows else ""
    return "\n".join([*lines, *(["", grants] if grants else [])])
