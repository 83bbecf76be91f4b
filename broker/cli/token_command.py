"""`credbroker token`: worker tokens of the running daemon."""

import datetime as dt
from pathlib import Path
from typing import Literal

import click
import msgspec

from broker import control_api as api
from broker.cli.names import callers
from broker.cli.options import daemon, json_option, socket_option, ttl_option, uid_of
from broker.cli.tables import table
from broker.cli.words import say
from broker.control_client import quoted
from broker.errors import BrokerError
from broker.safefile import write_private


@click.group("token")
def command() -> None:
    """Issue, list and revoke worker tokens.

    A worker token says which caller its holder is. `exec` and `env` issue their own; this is for workers that are
    started in other ways, such as containers.
    """


@command.command("issue")
@click.option("--caller", required=True, metavar="NAME", shell_complete=callers, help="Which caller its holder is.")
@ttl_option
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["header", "path"]),
    default="header",
    show_default=True,
    help="Where it is shown: the Authorization header, or the path of a URL for clients without one.",
)
@click.option("--uid", metavar="USER", help="The only user, by name or number, who may show it.")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(),
    help="Write it to this private file, without a newline, instead of printing.",
)
@socket_option
def issue(
    caller: str, ttl: int, purpose: Literal["header", "path"], uid: str | None, output: str | None, explicit: str | None
) -> None:
    """Issue a worker token.

    \b
      credbroker token issue --caller trainer --output token
          # AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=token
      credbroker token issue --caller trainer --for path
          # GCE_METADATA_HOST=127.0.0.1:PORT/w/TOKEN
    """
    order = api.TokenOrder(caller=caller, ttl=ttl, purpose=purpose, uid=uid_of(uid))
    client = daemon(explicit)
    token = client.post("/tokens", order, api.Token)
    assert token.token is not None
    if output is None:
        click.echo(token.token)
        return
    try:
        write_private(Path(output), token.token.encode())
    except BrokerError:
        client.delete(f"/tokens/{quoted(token.id)}", api.Token)  # nobody has it
        raise
    say(f"token {token.id} of {token.caller} is in {output}, until {_when(token)}")


@command.command("list")
@json_option
@socket_option
def list_(as_json: bool, explicit: str | None) -> None:
    """List live tokens, never the tokens themselves."""
    tokens = daemon(explicit).get("/tokens", list[api.Token])
    if as_json:
        click.echo(msgspec.json.encode(tokens))
        return
    rows = [
        (
            one.id,
            one.caller,
            one.purpose,
            "any" if one.uid is None else str(one.uid),
            one.pod or str(one.issued_by),
            _when(one),
        )
        for one in tokens
    ]
    click.echo(table(("ID", "CALLER", "FOR", "UID", "ISSUED BY", "UNTIL"), rows))


@command.command("revoke")
@click.argument("token_id", metavar="ID")
@socket_option
def revoke(token_id: str, explicit: str | None) -> None:
    """End a token now; the next request that shows it is refused."""
    token = daemon(explicit).delete(f"/tokens/{quoted(token_id)}", api.Token)
    say(f"token {token.id} of {token.caller} is revoked")


def _when(token: api.Token) -> str:
    if token.expires_at is None:
        return "its command ends"
    return dt.datetime.fromtimestamp(token.expires_at).astimezone().strftime("%Y-%m-%d %H:%M %Z")
