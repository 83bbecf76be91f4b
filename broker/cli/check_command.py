"""`credbroker check`: is the configuration right, and who am I on each cloud?"""

import asyncio
import os
from typing import TYPE_CHECKING

import click
import msgspec

from broker.cli.options import config_option, configuration, json_option
from broker.cli.serve_command import NO_IDENTITY
from broker.cli.tables import span, table
from broker.cli.worker import ask_mfa_code
from broker.config import zero
from broker.config.shape import Config, Snapshot
from broker.errors import IdentityMissing
from broker.identity import minter_environment, take_identity

if TYPE_CHECKING:  # asyncio's and the minters' side is not needed for --help
    from broker.checking import Finding

NOTICEABLE_SKEW = 5.0


@click.command("check")
@config_option
@click.option("--offline", is_flag=True, help="Only read the configuration; mint nothing.")
@json_option
def command(config: str | None, *, offline: bool, as_json: bool) -> None:
    """Read the configuration, mint every credential once, and say who each one is.

    It mints as you, not as the daemon's account: run it as that account to see what the daemon sees. Exit status 1 if
    anything cannot be minted, 2 if the configuration has mistakes (all of them are listed).
    """
    loaded = configuration(config)
    where = str(loaded[2]) if loaded else "none: zero configuration"
    if offline:
        settings = loaded[0] if loaded else zero.configuration("", os.geteuid())
        counts = f"{len(settings.credentials)} credentials, {len(settings.callers)} callers"
        click.echo(f"configuration {where}: {counts}, no mistake")
        return
    findings = asyncio.run(_findings(loaded[:2] if loaded else None))
    click.echo(msgspec.json.encode(findings) if as_json else _page(where, findings))
    if any(finding.error for finding in findings):
        click.get_current_context().exit(1)


async def _findings(loaded: tuple[Config, Snapshot] | None) -> "list[Finding]":
    from broker.checking import Checker, found_identities
    from broker.minter.client import Launch, Pool
    from broker.plan import make_book

    identity = take_identity(os.environ)
    settings, snapshot = loaded or (zero.configuration("", os.geteuid()), Snapshot(zero=("", os.geteuid())))
    pool = Pool(Launch(snapshot, minter_environment(identity, os.environ, ())), lambda _: None)
    try:
        if loaded is None:
            found = await found_identities(make_book(settings), pool)
            settings = zero.narrowed(settings, found)
            if not settings.credentials:
                raise IdentityMissing(NO_IDENTITY)
        return await Checker(make_book(settings), pool, ask_mfa_code).findings()
    finally:
        await pool.close()


def _page(where: str, findings: "list[Finding]") -> str:
    rows = [
        (
            one.credential,
            one.caller,
            one.source,
            one.facts.identity or ("-" if one.error else "unknown"),
            one.facts.account or one.facts.project,
            span(one.lifetime),
            f"FAILED: {one.error}" if one.error else "ok",
        )
        for one in findings
    ]
    head = ("CREDENTIAL", "CALLER", "SOURCE", "WHO", "ACCOUNT", "LIVES", "RESULT")
    notes = [f"{one.credential}: {one.advice}" for one in findings if one.advice]
    notes += [f"{one.credential}: {one.facts.note}" for one in findings if one.facts.note]
    notes += sorted({_skew(one.skew) for one in findings if one.skew is not None and abs(one.skew) > NOTICEABLE_SKEW})
    parts = (f"configuration {where}", table(head, rows), "\n".join(dict.fromkeys(notes)))
    return "\n\n".join(part for part in parts if part)


def _skew(skew: float) -> str:
    return f"clock: this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} upstream; set it by NTP"
