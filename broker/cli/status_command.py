"""`credbroker status`: what the running daemon holds."""

import time

import click
import msgspec

from broker import control_api as api
from broker.cli.options import daemon, json_option, socket_option
from broker.cli.tables import LASTING, span, table

PAUSE = 2.0


@click.command("status")
@click.option("--watch", is_flag=True, help="Repeat every 2 seconds until ended; with --json a line each.")
@json_option
@socket_option
def command(as_json: bool, watch: bool, explicit: str | None) -> None:
    """Show the running daemon's leases and callers, as far as you may see them.

    \b
      fresh    held, its last refresh went well
      stale    held and served, but its last refresh failed: see below the table
      minting  the first mint is under way
      failing  nothing is held, tried again in NEXT IN
      denied   nothing is held, upstream said no
      cold     nobody has asked for it yet

    What is "not short-lived" is handed out as somebody else made it; its lease ends, the secret itself does not.
    """
    client = daemon(explicit)
    while True:
        status = client.get("/status", api.Status)
        if watch and not as_json:
            click.clear()
        click.echo(msgspec.json.encode(status) if as_json else page(status))
        if not watch:
            return
        time.sleep(PAUSE)


def page(status: api.Status) -> str:
    """The status as one screen."""
    about = [
        f"credbroker {status.version}, pid {status.pid}, {'ready' if status.ready else 'NOT READY'}",
        f"workers at {', '.join(status.listen)}, attestation {status.attestation}",
        f"configuration {', '.join(status.files) or 'none: zero configuration'} ({status.generation[:12]})",
        *([f"state {status.state}"] if status.state else []),
        *([_refusal(status.reload_refused)] if status.reload_refused else []),
    ]
    callers = table(
        ("CALLER", "GRANTS", "TOKENS"),
        [(caller.name, ", ".join(caller.grants), str(caller.tokens)) for caller in status.callers],
    )
    advice = [f"{lease.credential}: {lease.advice}" for lease in status.leases if lease.advice]
    notes = [f"{lease.credential}: {lease.note}" for lease in status.leases if lease.note]
    if not status.callers:
        return "\n\n".join(("\n".join(about), "you are none of its callers, and see none: `credbroker whoami`"))
    return "\n\n".join(part for part in ("\n".join(about), _leases(status), callers, "\n".join(advice + notes)) if part)


def _refusal(refused: api.ReloadRefused) -> str:
    """That the file on the disk is not what is in force, and why."""
    told = f"LAST RELOAD REFUSED {_ago(refused.at)}, what was read before is in force"
    if refused.mistake is None:
        return f"{told}; operators are told why"
    others = (refused.mistakes or 1) - 1
    return f"{told}: {refused.mistake}" + (f" (and {others} more: `credbroker reload` lists them)" if others else "")


def _leases(status: api.Status) -> str:
    """A line each; whose they are only where there is one that is somebody's own."""
    head = ("CREDENTIAL", "CALLER", "STATE", "IDENTITY", "EXPIRES IN", "REFRESHED", "NEXT IN", "SERVED", "LAST ERROR")
    rows = [
        (
            lease.credential,
            lease.caller,
            lease.state,
            lease.identity,
            span(lease.left) if lease.short_lived or lease.left is None else LASTING,
            _ago(lease.refreshed_at),
            span(lease.next_refresh_in),
            str(lease.served),
            lease.error,
        )
        for lease in status.leases
    ]
    whose = [lease.whose for lease in status.leases]
    if not any(whose):
        return table(head, rows)
    return table(
        (*head[:2], "USER", *head[2:]), [(*row[:2], who, *row[2:]) for row, who in zip(rows, whose, strict=True)]
    )


def _ago(moment: float | None) -> str | None:
    return None if moment is None else f"{span(time.time() - moment)} ago"
