"""`credbroker env`: the environment of a worker, as text."""

import shutil
import time
from pathlib import Path
from typing import Any

import click

from broker import control_api as api
from broker.cli.firsts import Making, firsts
from broker.cli.held import fetched, plane_of
from broker.cli.kept_fresh import OciFiles
from broker.cli.options import as_option, daemon, socket_option, ttl_option, use_option, without_option
from broker.cli.words import warn
from broker.cli.worker import environment
from broker.cli.workspace import runtime_folder
from broker.control_client import check_port
from broker.errors import BrokerError
from broker.files import lay_out
from broker.safefile import private_folder
from broker.worker_env import contents, oci_folder
from broker.worker_env.formats import FORMATS


@click.command("env")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="sh", show_default=True, help="For whom; see above."
)
@as_option
@use_option
@without_option
@ttl_option
@socket_option
def command(form: str, ttl: int, explicit: str | None, **how: Any) -> None:
    """Print the environment that makes SDKs use the running daemon, the unsets included.

    \b
      eval "$(credbroker env)"                      # this shell and what it starts
      credbroker env --format dotenv > worker.env   # docker run --env-file worker.env
      credbroker env --format slurm                 # printed by a Slurm TaskProlog
      credbroker env --format json                  # {"set": {...}, "unset": [...]}

    It contains worker tokens, which live for --ttl: keep it as private as a password. The files that it names live as
    long, in $XDG_RUNTIME_DIR/credbroker or ~/.cache/credbroker. CLOUDSDK_AUTH_ACCESS_TOKEN is the token of now:
    `credbroker get NAME --watch FILE` keeps a file fresh. For one command, `credbroker exec` does it all.
    """
    making, base = Making.from_options(**how), _base()
    client = daemon(explicit)
    worker = client.post("/worker", api.WorkerOrder(caller=making.caller, use=making.use, ttl=ttl), api.Worker)
    check_port(worker)
    folder = base / f"env-{int(time.time() + ttl)}-{worker.token_ids[0]}"
    secrets = fetched(worker, making, settled=False)
    changes = environment(worker, making, str(folder), secrets, kept_fresh=False, socket=client.path)
    lay_out(changes.folders, contents(changes))
    first = firsts(worker, making)
    if first.oci and secrets.oci:
        OciFiles(plane_of(worker), first.oci.name, oci_folder(str(folder))).refresh()
        warn(f"{first.oci.name}: its files are the lease of now, and nobody renews them; `credbroker exec` does")
    if not first.all:
        warn(f"{worker.caller} is granted nothing that is wanted here")
    click.echo(FORMATS[form](changes), nl=False)


def _base() -> Path:
    """Where the private folders go, each named by when its tokens end; those that are over go."""
    base = runtime_folder()
    if base is None:
        base = Path.home() / ".cache" / "credbroker"
        try:
            base.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise BrokerError(
                f"cannot make {base.parent} for the files of the environment: {error.strerror}; set XDG_RUNTIME_DIR to "
                "a folder of your own, or use `credbroker exec`",
                code="NoRuntimeFolder",
            ) from None
        private_folder(base)
    for old in base.glob("env-*-*"):
        ends = old.name.split("-")[1]
        if ends.isdecimal() and int(ends) < time.time():
            shutil.rmtree(old, ignore_errors=True)
    return base
