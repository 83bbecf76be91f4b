"""`credbroker exec`: a command whose SDKs get their credentials from the broker and from nowhere else."""

import contextlib
import functools
import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from broker import control_api as api
from broker import run_command
from broker.cli.firsts import Making, firsts
from broker.cli.held import fetched, plane_of, settle
from broker.cli.kept_fresh import OciFiles, TokenFile
from broker.cli.names import files
from broker.cli.options import as_option, config_option, configured_socket, socket_option, use_option, without_option
from broker.cli.words import say, warn
from broker.cli.worker import environment, program
from broker.cli.workspace import workspace
from broker.control_client import Client, UnknownHere, Untrusted, candidates
from broker.errors import BrokerError, NoDaemon
from broker.files import lay_out
from broker.hold import Hold
from broker.process import Inherited
from broker.worker_env import applied, contents, oci_folder, unwrapped, warnings

START_PATIENCE = 30.0


class Engaged(NamedTuple):
    """A worker's tokens, held, and the daemon that gave them: `begun` tells it that CMD is there."""

    client: Client
    hold: Hold
    begun: Callable[[], None]


@click.command("exec", context_settings={"allow_interspersed_args": False})
@as_option
@use_option
@without_option
@click.option("--private-home", is_flag=True, help="An empty HOME, for programs that look only there.")
@click.option(
    "--no-token-env", is_flag=True, help="Do not set CLOUDSDK_AUTH_ACCESS_TOKEN: it goes stale with its lease."
)
@config_option
@socket_option
@click.argument("cmd", nargs=-1, required=True, type=click.UNPROCESSED, shell_complete=files)
@click.pass_obj
def command(inherited: Inherited, /, cmd: tuple[str, ...], explicit: str | None, config: str | None, **how: Any) -> int:
    """Run CMD in an environment in which SDKs use the broker, and no other identity slips past it.

    \b
      credbroker exec -- python train.py
      credbroker exec --use train,data -- torchrun train.py
      credbroker exec --without gcp -- aws s3 ls

    The broker is your own running daemon, else the system's if it knows you, else one that lives as long as CMD;
    --config asks for the last. It says which, and asks for an MFA code where a credential needs one. Signals are
    passed on. CMD's tokens end with it.

    Exit status: CMD's own, 128+N where signal N ended it; 127 and 126 where it is not found or cannot be run, as in a
    shell; else credbroker's.
    """
    making = Making.from_options(**how)
    run_command.look_up(cmd[0], os.environ)  # before anybody is asked for a code
    relay = run_command.Relay()
    with workspace() as space, _engaged(space.folder, making, explicit, config) as engaged:
        worker = engaged.hold.worker
        settle(engaged.client, worker, making)
        secrets, path = fetched(worker, making, settled=True), engaged.client.path
        changes = environment(worker, making, space.folder, secrets, kept_fresh=True, socket=path)
        lay_out(changes.folders, contents(changes))
        whole = applied(changes, unwrapped(os.environ))
        for warning in warnings(whole, whole.get("HOME", "")):
            warn(warning)
        fresh = _kept_fresh(worker, making, space.folder)
        relay.ready()
        running = run_command.start(cmd, whole, inherited)
        space.holds(running.pid)
        relay.to(running)
        engaged.begun()
        _await(running, fresh, engaged.hold)
        space.close()
        return running.status()


def _kept_fresh(worker: api.Worker, making: Making, folder: str) -> "tuple[TokenFile | OciFiles, ...]":
    """What changes while the command runs; Oracle's pair of files is laid out by this, and the rest was before."""
    first, plane = firsts(worker, making), plane_of(worker)
    google = (TokenFile(plane, first.google.name, Path(folder, "google-token")),) if first.google else ()
    oci = (OciFiles(plane, first.oci.name, oci_folder(folder)),) if first.oci else ()
    for pair in oci:
        pair.refresh()
    return (*google, *oci)


def _await(running: run_command.Running, fresh: "tuple[TokenFile | OciFiles, ...]", hold: Hold) -> None:
    """Until the command has ended, keep its files fresh and its tokens held."""
    watcher = Watcher(hold)
    due = dict.fromkeys(fresh, time.monotonic())
    while True:
        if hold.pause is None:  # a daemon that is away has nothing new
            due |= {file: time.monotonic() + file.refresh() for file in fresh if time.monotonic() >= due[file]}
        looks = (max(at - time.monotonic(), 0.0) for at in due.values() if hold.pause is None)
        pauses = [one for one in (hold.pause, *looks) if one is not None]
        ready = _ready(running.pidfd, hold.fileno(), min(pauses, default=None))
        if running.pidfd in ready:
            return
        if hold.fileno() in ready or hold.pause is not None:
            watcher.look()


def _ready(command: int, daemon: int | None, pause: float | None) -> set[int]:
    """Which of the two has something to say, within so many seconds."""
    watching = select.poll()
    watching.register(command, select.POLLIN)
    if daemon is not None:
        watching.register(daemon, select.POLLIN)
    return {number for number, _ in watching.poll(None if pause is None else pause * 1000 + 1)}


class Watcher:
    """Tells the user what becomes of the tokens: nothing, as long as a restart of the daemon is quick."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._told = False

    def look(self) -> None:
        """Look, and say what is new."""
        self._hold.look()
        if self._hold.over:
            warn(f"{self._hold.over}; this command's credentials are over")
        elif self._hold.long_lost and not self._told:
            self._told = True
            warn("the daemon has ended, and with it this command's credentials, unless it comes back")
        elif self._told and not self._hold.lost:
            self._told = False
            say("the daemon is back, and with it this command's credentials")


@contextlib.contextmanager
def _engaged(folder: str, making: Making, explicit: str | None, config: str | None) -> Iterator[Engaged]:
    """A worker's tokens, of the first daemon that knows us, for as long as this context lasts."""
    order = api.WorkerOrder(caller=making.caller, use=making.use, hold=True)
    with contextlib.ExitStack() as stack:
        for path in () if config else candidates(explicit, os.environ, configured_socket()):
            client, named = Client(path), bool(explicit or os.environ.get("CREDBROKER_SOCKET"))
            try:
                hold = stack.enter_context(contextlib.closing(Hold.engage(client, order)))
            except (NoDaemon, UnknownHere) as error:
                if named:
                    raise
                if isinstance(error, Untrusted):
                    warn(error.advice)
                continue
            say(f"caller {hold.worker.caller} of the daemon at {path}")
            yield Engaged(client, hold, lambda: None)
            return
        client, begun = stack.enter_context(_embedded(folder, making, config))
        hold = stack.enter_context(contextlib.closing(Hold.engage(client, order, claims=False)))
        say(f"caller {hold.worker.caller} of a broker for this command alone")
        yield Engaged(client, hold, begun)


@contextlib.contextmanager
def _embedded(folder: str, making: Making, config: str | None) -> Iterator[tuple[Client, Callable[[], None]]]:
    """A daemon of our own, in a process of its own: should we be killed, it still cleans up.

    It is quiet until it is told that the command has begun: what is wrong before then, we say ourselves.
    """
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
                    *((f"--as={making.caller}",) if making.caller else ()),
                    *(f"--use={name}" for name in making.use),
                ],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the command, which may need its credentials to clean up
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        ours.settimeout(START_PATIENCE)
        try:
            yield Client(_started(ours)), functools.partial(_tell, ours)
        finally:
            ours.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(START_PATIENCE)


def _tell(ours: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended, which `alive` tells too
        ours.sendall(b"\n")


def _started(ours: socket.socket) -> str:
    """Where the daemon listens. Raises BrokerError with what it said instead."""
    try:
        with ours.makefile("rb") as lines:
            said = json.loads(lines.readline() or b"{}")
    except (OSError, ValueError):
        said = {}
    if "socket" not in said:
        error = BrokerError(said.get("error", "the broker for this command ended before it listened"))
        error.exit_status = said.get("exit_status", error.exit_status)
        raise error
    return str(said["socket"])
