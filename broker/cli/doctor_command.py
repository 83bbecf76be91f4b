"""`credbroker doctor`: in this very environment, whose credentials will each SDK and tool use?"""

import os
import shutil

import click
import msgspec

from broker.cli.options import daemon, json_option, socket_option
from broker.cli.tables import table
from broker.doctor.report import Report, examine

NO_DAEMON = 3
BARE = (
    "nothing of the broker is in this environment: run `credbroker exec -- credbroker doctor`, "
    'or first `eval "$(credbroker env)"`, to see what a worker gets'
)


@click.command("doctor")
@click.option(
    "--python",
    metavar="PROGRAM",
    type=click.Path(),
    help="The workers' interpreter, whose packages are looked at. Default: `python` of $PATH, else `python3`.",
)
@json_option
@socket_option
def command(python: str | None, as_json: bool, explicit: str | None) -> None:
    """Say for each SDK and tool found here which credentials it will use, and what shadows the broker.

    \b
      credbroker doctor                            # in a worker's shell
      credbroker exec -- credbroker doctor         # what `exec` makes of this one
      credbroker doctor --python .venv/bin/python  # of another interpreter's packages
      credbroker doctor --json                     # for a node's health check

    Run it as the worker, where the worker runs: it reads the variables and files that the clients read. WINS is the
    provider as the client names it; ok means that it is the broker, SHADOWED that another identity comes first, none
    that the client finds nothing. It imports no SDK, shows no secret, asks for one lease of each cloud as a client
    does, and knocks at the addresses of instance metadata without a word.

    Exit status: 0 all is well, 1 something shadows the broker or fails, 3 no daemon answers that may be trusted.
    """
    report = examine(os.environ, chosen(python), lambda: daemon(explicit))
    click.echo(msgspec.json.encode(report) if as_json else page(report))
    if not report.broker:
        click.get_current_context().exit(NO_DAEMON)
    if not report.ok:
        click.get_current_context().exit(1)


def chosen(python: str | None) -> str | None:
    """The interpreter: the named one, else the first of PATH. Raises click's usage error."""
    found = shutil.which(python) if python else shutil.which("python") or shutil.which("python3")
    if python and found is None:
        raise click.BadParameter(f"{python!r} is no program", param_hint="--python")
    return found


def page(report: Report) -> str:
    """One screen: the clients, then what was looked at beside them."""
    rows = [
        (one.client, one.cloud, one.provider, one.verdict, f"{one.why}: {one.remedy}" if one.remedy else one.why)
        for one in report.clients
    ]
    clients = table(("CLIENT", "CLOUD", "WINS", "VERDICT", "WHY, AND WHAT TO DO"), rows)
    checks = [
        (one.name, "ok" if one.ok else "FAILED", f"{one.said}: {one.remedy}" if one.remedy else one.said)
        for one in report.checks
    ]
    found = clients if rows else "no client of a cloud that the broker grants was found"
    return "\n\n".join(
        (
            *([BARE] if report.bare else []),
            f"packages of {report.python or 'no interpreter'}",
            found,
            table(("CHECK", "RESULT", "FOUND"), checks),
        )
    )
