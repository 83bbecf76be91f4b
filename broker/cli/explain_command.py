"""`credbroker explain`: which rule allows or denies, what upstream would be asked, and why that 401 or 403."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from broker import control_api as api
from broker.cli.names import callers, credentials
from broker.cli.options import configuration, daemon, json_option, socket_option, uid_of
from broker.cli.tables import span
from broker.control_client import Client, quoted
from broker.errors import NoDaemon

DENIED = 4
_ID = re.compile(r"[0-9a-f]{16}")
_DURATIONS = ("duration", "lifetime")
_CLIENTS = {"aws": "AWS", "gcp": "Google"}


@click.command("explain")
@click.option("--caller", metavar="NAME", shell_complete=callers, help="Whose right to CREDENTIAL it is about.")
@click.option(
    "--uid",
    "--user",
    "user",
    metavar="USER",
    help="Whose process it would be, by name or number: what {uid}, {user} and {group} stand for. Default: you, if you "
    "are that caller; else a token that is bound to no uid.",
)
@click.option("--request", "request_id", metavar="ID", help="A refusal's request id: say why it was refused.")
@click.option("--config", metavar="FILE", type=click.Path(), help="Explain by this configuration, and ask no daemon.")
@json_option
@socket_option
@click.argument("credential", required=False, shell_complete=credentials)
def command(
    *,
    credential: str | None,
    caller: str | None,
    user: str | None,
    request_id: str | None,
    config: str | None,
    as_json: bool,
    explicit: str | None,
) -> None:
    """Say why a caller may have a credential or not, or why a request was refused.

    \b
      credbroker explain --caller trainer train
          # which rule decides, and what upstream would be asked
      credbroker explain --caller trainer --uid alice home
          # what {user} makes of it for one of alice's processes
      credbroker explain --config new.toml --caller trainer train
          # by a file that no daemon has read yet
      credbroker explain --request 0f3a5c7e9b1d2468
          # why that 401 or 403: the id stands in its body

    The running daemon answers, by what it has in force; with --config the file does, and no daemon is asked. Nothing
    here is a secret, but only operators are told everything: others about callers that they are or issue tokens for,
    and about refusals of their own.

    Refusals are remembered until a restart, the last 256 of each uid; the audit log has all. One that says `of too
    many` has no id: its uid failed to say who it is more than 100 times within 10 s, and was counted only.

    Exit status: 0 allowed, or the refusal is explained; 4 denied; 2 wrong usage; 3 no daemon answers.
    """
    if request_id is not None:
        _only_alone(credential, caller, user, config)
        _tell_denial(_denial(request_id, explicit), as_json=as_json)
        return
    if caller is None or credential is None:
        raise click.UsageError("say --caller NAME and a CREDENTIAL, or --request ID")
    if config and explicit:
        raise click.UsageError("--config asks no daemon: leave --socket out")
    order = api.ExplainOrder(caller=caller, credential=credential, uid=uid_of(user, "--uid"))
    explanation = _by_file(config, order) if config else _by_daemon(explicit, order)
    click.echo(msgspec.json.encode(explanation) if as_json else page(explanation))
    if not explanation.allowed:
        click.get_current_context().exit(DENIED)


def _only_alone(*others: str | None) -> None:
    if any(other is not None for other in others):
        raise click.UsageError("--request ID stands alone: the daemon knows who asked for what")


def _by_daemon(explicit: str | None, order: api.ExplainOrder) -> api.Explanation:
    client = _found(explicit, "or name the configuration by --config FILE to explain it without one")
    return client.post("/explain", order, api.Explanation)


def _by_file(config: str, order: api.ExplainOrder) -> api.Explanation:
    from broker.explaining import by_files

    loaded = configuration(config)
    assert loaded is not None  # it is named
    return by_files(loaded[0], loaded[1].files, order)


def _found(explicit: str | None, hint: str) -> Client:
    try:
        return daemon(explicit)
    except NoDaemon as error:
        error.advice += f"\n{hint}"
        raise


def _denial(text: str, explicit: str | None) -> api.DenialRow:
    if not _ID.fullmatch(text):
        raise click.BadParameter(
            "a request id is 16 digits of 0-9a-f, as in `(request 0f3a5c7e9b1d2468)`; a refusal `of too many` has "
            "none, since its uid failed to say who it is more than 100 times within 10 s",
            param_hint="--request",
        )
    client = _found(explicit, "what a daemon has refused only it can tell; the audit log has it too")
    return client.get(f"/denials/{quoted(text)}", api.DenialRow)


def page(explanation: api.Explanation) -> str:
    """The answer as one screen."""
    one = explanation
    lines = [f"{'allowed' if one.allowed else 'DENIED'}: {one.why}"]
    if one.advice:
        lines.append(f"what to do: {one.advice}")
    lines += [
        "",
        f"caller   {one.caller}, entry {one.nth} of {one.callers}: {one.place}",
        f"grants   {_grants(one)}",
        f"process  {_process(one)}",
    ]
    if one.mints:
        lines += ["", "upstream would be asked for" if one.allowed else "upstream would be asked for, were it allowed"]
        lines += [line for number, mint in enumerate(one.mints, 1) for line in _mint(number, mint)]
    return "\n".join(lines)


def _grants(one: api.Explanation) -> str:
    among = ", ".join(one.grants) or "nothing"
    if one.grant is None:
        return among
    default = f"; {_CLIENTS.get(one.default_of, one.default_of)}'s default" if one.default_of else ""
    return f"{among}: {one.credential} is number {one.grant} of {len(one.grants)}{default}"


def _process(one: api.Explanation) -> str:
    if one.uid is None:
        pods = f"{one.matched}, by their own tokens; " if one.matched else ""
        return f"{pods}any that shows a worker token which is bound to no uid (--uid names another)"
    name = f"uid {one.uid}" + (f" ({one.user})" if one.user else "")
    how = f"this caller by {one.matched}" if one.matched else "this caller only with a worker token"
    also = f"; also {', '.join(one.also)}, whose grants it has too" if one.also else ""
    first = f"; known by its uid it gets {one.credential} as {one.first}, who comes first" if one.first else ""
    return f"{name}: {how}{also}{first}"


def _mint(number: int, mint: api.MintAsked) -> Iterator[str]:
    yield f"  {number}. {mint.credential}: {mint.source} ({mint.place}){'' if mint.rendered else ', not rendered'}"
    width = max(map(len, mint.spec), default=0)
    for key, value in mint.spec.items():
        yield f"       {key.ljust(width)}  {_value(key, value)}"


def _value(key: str, value: Any) -> str:
    if key in _DURATIONS and isinstance(value, int):
        return span(value) or ""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)


def _tell_denial(row: api.DenialRow, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(row))
        return
    when = dt.datetime.fromtimestamp(row.at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    rows = {
        "when": when,
        "uid": str(row.uid) if row.uid is not None else "not attested",
        "caller": row.caller or "not known",
        "token": row.token_id,
        "dialect": row.dialect,
        "credential": row.credential,
    }
    click.echo(f"{row.status}, {row.reason}: {row.what}\nwhat to do: {row.advice}\n")
    click.echo("\n".join(f"{name.ljust(10)}  {value}" for name, value in rows.items() if value))
    if row.caller and row.credential and "+" not in row.caller:
        click.echo(f"\nthe rule: credbroker explain --caller {row.caller} {row.credential}")
