"""`credbroker env`: the environment of a worker, as text."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import click

from broker import control_api as api
from broker.cli.options import daemon, socket_option
from broker.cli.worker import Making, environment, firsts, fresh_token
from broker.config.durations import seconds
from broker.control_client import check_port
from broker.files import lay_out
from broker.safefile import private_folder
from broker.worker_env import contents
from broker.worker_env.formats import FORMATS

DEFAULT_TTL = "8h"


@click.command("env")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="sh", show_default=True)
@click.option(
    "--as", "caller", metavar="CALLER", help="Be this caller, where several match you or you issue its tokens."
)
@click.option("--use", metavar="NAME,...", help="Only these credentials; the first of a kind is what SDKs get.")
@click.option("--without", metavar="aws,gcp", help="Leave these clouds alone.")
@click.option("--ttl", default=DEFAULT_TTL, show_default=True, help="How long its worker tokens live.")
@socket_option
def command(form: str, ttl: str, explicit: str | None, **how: Any) -> None:
    """Print the environment that makes SDKs use the running daemon, the unsets included.

    \b
      eval "$(credbroker env)"                      # this shell and what it starts
      credbroker env --format dotenv > worker.env   # docker run --env-file worker.env
      credbroker env --format slurm                 # printed by a Slurm TaskProlog

    The files it names live in $XDG_RUNTIME_DIR/credbroker, or your temporary folder, as long as its tokens do.
    CLOUDSDK_AUTH_ACCESS_TOKEN is the token of now: `credbroker get NAME --watch FILE` keeps a file fresh.
    """
    making = Making.from_options(**how)
    lives = seconds(ttl)
    if not lives:
        raise click.BadParameter('a duration such as "45m" or "8h"', param_hint="--ttl")
    client = daemon(explicit)
    worker = client.post("/worker", api.WorkerOrder(caller=making.caller, use=making.use, ttl=lives), api.Worker)
    check_port(worker)
    folder = _folder(worker.token_ids[0], lives)
    changes = environment(worker, making, str(folder), fresh_token(worker, making), kept_fresh=False)
    lay_out(changes.folders, contents(changes))
    if not any((firsts(worker, making).aws, firsts(worker, making).google)):
        click.echo(f"credbroker: warning: {worker.caller} is granted nothing that is wanted here", err=True)
    click.echo(FORMATS[form](changes), nl=False)


def _folder(token_id: str, lives: float) -> Path:
    """A private folder named by when its tokens end, so that a later call knows which are over."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache", "credbroker")
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    private_folder(base)
    for old in base.glob("env-*-*"):
        ends = old.name.split("-")[1]
        if ends.isdecimal() and int(ends) < time.time():
            shutil.rmtree(old, ignore_errors=True)
    return base / f"env-{int(time.time() + lives)}-{token_id}"
