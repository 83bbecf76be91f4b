"""`credbroker check`: is the configuration right, and who am I on each cloud?"""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from broker.cli.exposed import warn_of_exposed
from broker.cli.mfa import ask_mfa_code
from broker.cli.options import config_option, configuration, json_option
from broker.cli.tables import LASTING, span, table
from broker.cli.words import LOG_IN, NO_IDENTITY, say
from broker.config import references, zero
from broker.config.shape import Config, Snapshot
from broker.control_client import check_outer
from broker.errors import ConfigError, IdentityMissing
from broker.identity import minter_environment, take_identity

if TYPE_CHECKING:  # asyncio's and the minters' side is not needed for --help
    from broker.checking import Checker, Finding
    from broker.state.outlook import Outlook

Loaded = tuple[Config, Snapshot, Path] | None

NOTICEABLE_SKEW = 5.0


@click.command("check")
@config_option
@click.option("--offline", is_flag=True, help="Only read the configuration; mint nothing.")
@json_option
def command(config: str | None, *, offline: bool, as_json: bool) -> None:
    """Read the configuration, mint every credential once, and say who each one is.

    \b
      credbroker check                         # who am I, on each cloud?
      credbroker check --config config.toml    # before `serve` or `reload` reads it
      credbroker check --offline               # only its mistakes

    It mints as you, not as the daemon's account: run it as that account to see what the daemon sees. It needs no
    daemon, and asks for MFA codes. It looks at state_dir and its key too, and changes neither.

    Exit status 1 if anything cannot be minted or no lease be kept in state_dir, 2 if the configuration has mistakes:
    all of them are listed, with --json as `mistakes` on standard output too.
    """
    loaded = _configuration(config, as_json=as_json)
    state = _state(loaded)
    for one in state.wrong if state else ():
        say(f"{one}; a daemon would start, and keep no lease for the next start")
    keyless = bool(state and state.wrong)
    warn_of_exposed(loaded[0].credentials if loaded else ())
    if offline:
        click.echo(_offline_json(loaded, state) if as_json else _offline_page(loaded, state))
        click.get_current_context().exit(int(keyless))
    checker, findings, lost = asyncio.run(_findings(loaded[:2] if loaded else None))
    more = [*_absent(loaded, findings, lost), *_in_a_daemon(checker), *_forgotten(loaded)]
    click.echo(msgspec.json.encode(findings) if as_json else _page(_where(loaded), findings, more))
    for name, advice in lost.items():
        say(f"{name}: nobody could look for an identity: {advice}")
    _say_no_service(loaded)
    if keyless or lost or any(finding.error for finding in findings):
        click.get_current_context().exit(1)


def _configuration(config: str | None, *, as_json: bool) -> Loaded:
    """As it is read. Its mistakes are told by who catches them, in words; to programs here."""
    try:
        return configuration(config)
    except ConfigError as error:
        if as_json:
            click.echo(msgspec.json.encode({"mistakes": error.mistakes}))
        raise


def _state(loaded: Loaded) -> "Outlook | None":
    """Whether leases could be kept; None where they are not to be."""
    daemon = loaded[0].daemon if loaded else None
    if daemon is None or daemon.state_dir is None:
        return None
    from broker.state import outlook

    return outlook.look(Path(daemon.state_dir), daemon.state_key, os.environ)


def _where(loaded: Loaded) -> str:
    return f"configuration: {loaded[2]}" if loaded else "configuration: none, so whatever boto3 and google-auth find"


def _offline_json(loaded: Loaded, state: "Outlook | None") -> bytes:
    files = loaded[0].files if loaded else ()
    credentials, callers = _names(loaded)
    return msgspec.json.encode(
        {"files": files, "credentials": credentials, "callers": callers, "state": state, "mistakes": ()}
    )


def _offline_page(loaded: Loaded, state: "Outlook | None") -> str:
    if loaded is None:
        return _where(loaded)
    credentials, callers = _names(loaded)
    lines = [
        f"{_where(loaded)}, without a mistake",
        f"credentials: {', '.join(credentials) or 'none'}",
        f"callers: {', '.join(callers) or 'none'}",
    ]
    if state:
        key = f"sealed with {state.key}" if state.key else "without a key here"
        lines += [f"state: {state.folder}, {'NOT KEPT, see above' if state.wrong else key}", *state.notes]
    return "\n".join(lines)


def _names(loaded: Loaded) -> tuple[list[str], list[str]]:
    """Of credentials, and of callers."""
    if loaded is None:
        return [], []
    return [one.name for one in loaded[0].credentials], [one.name for one in loaded[0].callers]


def _absent(loaded: Loaded, findings: "list[Finding]", lost: Mapping[str, str]) -> list[str]:
    """Without a configuration: the clouds on which the user is nobody yet."""
    known = {finding.credential for finding in findings} | lost.keys()
    return [] if loaded else [f"{name}: {LOG_IN[name]}" for name in zero.CREDENTIALS if name not in known]


def _in_a_daemon(checker: "Checker") -> Iterator[str]:
    """Where one would differ from the table, which has a row for each caller, and `/readyz` a name for each lease."""
    for name in checker.idle():
        yield f"{name}: granted to nobody, so no daemon mints it"
    if missing := checker.missing():
        code = "; it has no MFA code until somebody brings one" if checker.with_code else ""
        yield f"readiness: a daemon would wait for {', '.join(missing)}: its /readyz counts these as missing{code}"


def _forgotten(loaded: Loaded) -> Iterator[str]:
    """What a daemon that is restarted cannot know any more."""
    if loaded and loaded[0].daemon.state_dir is None:
        for one in loaded[0].credentials:
            if one.spec.per_job:
                yield f"{one.name}: without state_dir a restart forgets the keys of running jobs, which age then ends"


def _say_no_service(loaded: Loaded) -> None:
    """A word where the minters of a service are not there: what was minted here was minted by children of ours."""
    path = loaded[0].daemon.minter_socket if loaded else None
    if path is None:
        return
    with socket.socket(socket.AF_UNIX) as knock:
        try:
            knock.connect(path)
        except OSError as error:
            say(f"minter_socket: no minter answers at {path}: {error.strerror}; the daemon mints there alone, and this")
            say("  command by itself: see `systemctl status credbroker-minter.socket`")


async def _findings(loaded: tuple[Config, Snapshot] | None) -> tuple["Checker", "list[Finding]", dict[str, str]]:
    """By whom what was minted, and which identities nobody could look for, and why."""
    from broker.checking import Checker, looked_for
    from broker.minter.client import Launch, Pool
    from broker.plan import make_book

    identity = take_identity(os.environ)
    check_outer(os.environ)
    if loaded:
        identity |= take_identity(os.environ, references.variables(loaded[0].credentials))
    settings, snapshot = loaded or (zero.configuration("", os.geteuid()), Snapshot(zero=("", os.geteuid())))
    pool = Pool(Launch(snapshot, minter_environment(identity, os.environ, ())), lambda _: None)
    lost: dict[str, str] = {}
    try:
        if loaded is None:
            looked = await looked_for(make_book(settings), pool)
            lost = {name: error.advice for name, error in looked.lost}
            settings = zero.narrowed(settings, looked.found)
            if not settings.credentials:
                raise IdentityMissing(NO_IDENTITY)
        checker = Checker(make_book(settings), pool, ask_mfa_code)
        return checker, await checker.findings(), lost
    finally:
        await pool.close()


def _page(where: str, findings: "list[Finding]", more: list[str]) -> str:
    rows = [
        (
            one.credential,
            one.caller,
            one.source,
            one.facts.identity or ("-" if one.error else "unknown"),
            one.facts.account or one.facts.project,
            span(one.lifetime) if one.short_lived else LASTING,
            f"FAILED: {one.error}" if one.error else "ok",
        )
        for one in findings
    ]
    head = ("CREDENTIAL", "CALLER", "SOURCE", "WHO", "ACCOUNT", "LIVES", "RESULT")
    notes = [f"{one.credential}: {one.advice}" for one in findings if one.advice]
    notes += [f"{one.credential}: {one.facts.note}" for one in findings if one.facts.note]
    notes += sorted({_skew(one.skew) for one in findings if one.skew is not None and abs(one.skew) > NOTICEABLE_SKEW})
    parts = (where, table(head, rows), "\n".join(dict.fromkeys(notes + more)))
    return "\n\n".join(part for part in parts if part)


def _skew(skew: float) -> str:
    return f"clock: this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} upstream; set it by NTP"
