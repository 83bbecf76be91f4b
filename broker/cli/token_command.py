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

AT_ONCE = 1_000  # ids in one order: a body is 64 KiB at most


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
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--caller", metavar="NAME", shell_complete=callers, help="Every token of this caller.")
@click.option("--all", "everything", is_flag=True, help="Every token that `token list` shows you.")
@json_option
@socket_option
def revoke(ids: tuple[str, ...], caller: str | None, everything: bool, as_json: bool, explicit: str | None) -> None:
    """End tokens now, by their ids, by a caller, or all; the next request that shows one is refused.

    A worker has two, one for headers and one for paths: the second ends with the first. A command under `exec` loses
    its own too, and with it its credentials, until it is started again. Exit status 1 if there is no token of some ID
    that you may see; the others have ended then.
    """
    if bool(ids) + (caller is not None) + everything != 1:
        raise click.UsageError("which tokens? Name their ids, or one of --caller and --all")
    client = daemon(explicit)
    parts = [ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE)] or [()]
    orders = [api.RevokeOrder(ids=part, caller=caller, everything=everything) for part in parts]
    answers = [client.post("/tokens/revoke", order, api.Revoked) for order in orders]
    revoked = api.Revoked(
        ids=tuple(one for answer in answers for one in answer.ids),
        missing=tuple(one for answer in answers for one in answer.missing),
    )
    if as_json:
        click.echo(msgspec.json.encode(revoked))
    else:
        say(f"{len(revoked.ids)} {'token is' if len(revoked.ids) == 1 else 'tokens are'} revoked")
    if revoked.missing:
        advice = f"no token of that id that you may see: {', '.join(revoked.missing)}; credbroker token list has them"
        raise BrokerError(advice, code="NotFound")


def _when(token: api.Token) -> str:
    if token.expires_at is None:
        return "its command ends"
    return dt.datetime.fromtimestamp(token.expires_at).astimezone().strftime("%Y-%m-%d %H:%M %Z")
