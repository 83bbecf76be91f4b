"""`credbroker exec`: a command whose SDKs get their credentials from the broker and from nowhere else."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from broker import control_api as api
from broker import run_command
from broker.cli.options import config_option, configured_socket, socket_option
from broker.cli.worker import TOKEN_VARIABLE, Making, environment, firsts, fresh_token, left, plane_of, program, settle
from broker.cli.workspace import workspace
from broker.control_client import Client, UnknownHere, WorkerPlane, candidates
from broker.errors import BrokerError, NoDaemon
from broker.files import FreshFile, lay_out, next_look
from broker.process import Inherited
from broker.worker_env import applied, contents, unwrapped, warnings

START_PATIENCE = 30.0


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--as", "caller", metavar="CALLER", help="Be this caller, where several match you or you issue its tokens."
)
@click.option("--use", metavar="NAME,...", help="Only these credentials; the first of a kind is what SDKs get.")
@click.option("--without", metavar="aws,gcp", help="Leave these clouds alone: the machine's own role takes over.")
@click.option("--private-home", is_flag=True, help="An empty HOME, for programs that look only there.")
@click.option(
    "--no-token-env", is_flag=True, help="Do not set CLOUDSDK_AUTH_ACCESS_TOKEN: it goes stale with its lease."
)
@config_option
@socket_option
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_obj
def command(inherited: Inherited, /, cmd: tuple[str, ...], explicit: str | None, config: str | None, **how: Any) -> int:
    """Run CMD in an environment in which SDKs use the broker, and no other identity slips past it.

    The broker is your own running daemon, else the system's if it knows you, else one that lives as long as CMD. Its
    tokens end with CMD. Exit status: CMD's own; 126 and 127 as in a shell; else credbroker's.

    \b
      credbroker exec -- python train.py
      credbroker exec --use train,data -- torchrun train.py
      credbroker exec --without gcp -- aws s3 ls
    """
    making = Making.from_options(**how)
    with workspace() as folder, _engaged(folder, making, explicit, config) as (client, worker, alive):
        settle(client, worker, making)
        token = fresh_token(worker, making)
        changes = environment(worker, making, folder, token, kept_fresh=True)
        lay_out(changes.folders, contents(changes))
        whole = applied(changes, unwrapped(os.environ))
        for warning in warnings(whole, whole.get("HOME", "")):
            click.echo(f"credbroker: warning: {warning}", err=True)
        google = firsts(worker, making).google
        file = TokenFile(plane_of(worker), google.name, Path(folder, "google-token")) if google else None
        return _run(cmd, whole, inherited, file, alive)


def _run(
    cmd: tuple[str, ...], whole: dict[str, str], inherited: Inherited, file: "TokenFile | None", alive: int
) -> int:
    passed_on = run_command.forwarded()
    running = run_command.start(cmd, whole, inherited)
    for signum in passed_on:
        signal.signal(signum, lambda number, _frame: running.send(number))
    watching = select.poll()
    watching.register(running.pidfd, select.POLLIN)
    watching.register(alive, select.POLLIN | select.POLLHUP)
    pause = file.refresh() if file else None
    while running.pidfd not in (ready := {number for number, _ in watching.poll(pause and pause * 1000)}):
        if alive in ready:
            watching.unregister(alive)
            click.echo("credbroker: warning: the daemon has ended, and with it this command's credentials", err=True)
        pause = file.refresh() if file else None
    return running.status()


@contextlib.contextmanager
def _engaged(
    folder: str, making: Making, explicit: str | None, config: str | None
) -> Iterator[tuple[Client, api.Worker, int]]:
    """A worker's tokens, of the first daemon that knows us, for as long as this context lasts."""
    order = api.WorkerOrder(caller=making.caller, use=making.use, hold=True)
    with contextlib.ExitStack() as stack:
        for path in () if config else candidates(explicit, os.environ, configured_socket()):
            client, named = Client(path), bool(explicit or os.environ.get("CREDBROKER_SOCKET"))
            try:
                worker, alive = stack.enter_context(client.held(order))
            except (NoDaemon, UnknownHere):
                if named:
                    raise
                continue
            click.echo(f"credbroker: caller {worker.caller} of the daemon at {path}", err=True)
            yield client, worker, alive
            return
        client = stack.enter_context(_embedded(folder, config))
        worker, alive = stack.enter_context(client.held(order))
        click.echo(f"credbroker: caller {worker.caller} of a broker for this command alone", err=True)
        yield client, worker, alive


@contextlib.contextmanager
def _embedded(folder: str, config: str | None) -> Iterator[Client]:
    """A daemon of our own, in a process of its own: should we be killed, it still cleans up."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [
                    *program(),
                    "serve",
                    "--private",
                    str(theirs.fileno()),
                    folder,
                    *(("--config", config) if config else ()),
                ],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the command, which may need its credentials to clean up
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        ours.settimeout(START_PATIENCE)
        try:
            yield Client(_started(ours))
        finally:
            ours.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(START_PATIENCE)


def _started(ours: socket.socket) -> str:
    """Where the daemon listens. Raises BrokerError with what it said instead."""
    try:
        with ours.makefile("rb") as lines:
            said = json.loads(lines.readline() or b"{}")
    except (OSError, ValueError):
        said = {}
    if "socket" not in said:
        error = BrokerError(said.get("error", "the broker for this command did not start; see above"))
        error.exit_status = said.get("exit_status", 1)
        raise error
    return str(said["socket"])


class TokenFile:
    """The file that CLOUDSDK_AUTH_ACCESS_TOKEN_FILE names, kept fresh while the command runs."""

    def __init__(self, plane: WorkerPlane, name: str, path: Path) -> None:
        self._plane = plane
        self._name = name
        self._file = FreshFile(path)

    def refresh(self) -> float:
        """Put the held token into the file if it is a new one; seconds until the next look."""
        try:
            lease = self._plane.lease(self._name, 0)
            self._file.put(lease["expires_at"], lease[TOKEN_VARIABLE].encode())
        except BrokerError:
            return next_look(0)  # the daemon keeps trying, and so do we
        return next_look(left(lease))
