"""`credbroker serve`: the daemon in the foreground."""

import asyncio
import json
import os
import shutil
import signal
import socket
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from broker import __version__, logs
from broker.cli.options import config_option, configuration
from broker.config import zero
from broker.config.shape import Address, Config, Snapshot
from broker.errors import BrokerError, IdentityMissing
from broker.identity import take_identity
from broker.safefile import private_folder, write_private

if TYPE_CHECKING:  # the daemon is heavy, and --help must not load it
    from broker.daemon import Daemon, Start

NO_IDENTITY = (
    "no cloud identity was found: boto3 looked in the environment, ~/.aws, SSO and instance metadata, google-auth at "
    "GOOGLE_APPLICATION_CREDENTIALS and gcloud's folder. Log in with `aws configure`, `aws sso login` or "
    "`gcloud auth application-default login`, or write a configuration (`credbroker config example`)"
)


@click.command("serve")
@config_option
@click.option("--private", "private", nargs=2, type=(int, str), hidden=True, help="For exec: its socket and folder.")
def command(config: str | None, private: tuple[int, str] | None) -> None:
    """Run the daemon in the foreground.

    It listens, mints what it is configured to mint, and says it is ready (systemd, /readyz) once every required
    credential is held. SIGHUP reloads the configuration, SIGTERM drains and stops.

    With no configuration file it serves one user, its own, with whatever identity boto3 and google-auth find. That is a
    convenience on one's own machine, not a boundary.
    """
    import uvloop

    start, watch = prepare(config, private)
    logs.configure("warning" if private else start.config.daemon.log_level)
    if private is None:
        uvloop.run(_serve(start))
        return
    try:
        uvloop.run(_serve_privately(start, watch))
    finally:
        shutil.rmtree(private[1], ignore_errors=True)  # whatever became of `exec`, nothing of it stays behind


def prepare(config: str | None, private: tuple[int, str] | None) -> "tuple[Start, socket.socket | None]":
    """Everything that a Daemon is started with. Raises BrokerError."""
    from broker.daemon import Start
    from broker.server.sockets import systemd_sockets

    identity = take_identity(os.environ)
    loaded = configuration(config)
    handed = systemd_sockets(os.environ)
    watch = socket.socket(fileno=private[0]) if private else None
    if loaded is None:
        folder = private[1] if private else _own_runtime_folder(os.environ)
        snapshot = Snapshot(zero=(folder, os.geteuid()))
        settings = zero.configuration(folder, os.geteuid())
        start = Start(
            config=settings, snapshot=snapshot, identity=identity, runtime_dir=folder, audited=private is None
        )
        return start, watch
    settings, snapshot, path = loaded
    folder = private[1] if private else _runtime_folder(settings, os.environ)
    if private:
        settings = _alone(settings)
    start = Start(
        config=settings,
        snapshot=snapshot,
        identity=identity,
        runtime_dir=folder,
        config_path=path,
        handed=handed,
        audited=private is None,
    )
    return start, watch


async def _serve(start: "Start") -> None:
    from broker.daemon import Daemon

    async with Daemon(start) as daemon:
        _mind_signals(daemon)
        if start.config.zero:
            await _only_what_is_found(daemon)
            write_private(Path(start.runtime_dir, "port"), str(daemon.facts.port).encode())
        click.echo(_greeting(daemon), err=True)
        await daemon.run()


async def _serve_privately(start: "Start", watch: socket.socket | None) -> None:
    """For one `exec`: say where, then live until it lets go of its end."""
    from broker.daemon import Daemon

    assert watch is not None
    try:
        async with Daemon(start) as daemon:
            if start.config.zero:
                await _only_what_is_found(daemon)
            watch.sendall(json.dumps({"socket": daemon.socket_path}).encode() + b"\n")
            watch.settimeout(0)
            asyncio.get_running_loop().add_reader(watch.fileno(), daemon.stop)
            await daemon.run()
    except BrokerError as error:
        watch.settimeout(None)
        watch.sendall(json.dumps({"error": error.advice, "exit_status": error.exit_status}).encode() + b"\n")


async def _only_what_is_found(daemon: "Daemon") -> None:
    if not await daemon.narrow():
        raise IdentityMissing(NO_IDENTITY)


def _mind_signals(daemon: "Daemon") -> None:
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, _stop, daemon)
    loop.add_signal_handler(signal.SIGHUP, _reload, daemon)


def _stop(daemon: "Daemon") -> None:
    if daemon.stopping:
        os._exit(1)  # asked twice: at once, undrained
    daemon.stop()


def _reload(daemon: "Daemon") -> None:
    try:
        daemon.reload()
    except BrokerError:
        return  # told in the log; nothing has changed


def _alone(config: Config) -> Config:
    """The same credentials and callers, on a free port and a socket of its own."""
    daemon = msgspec.structs.replace(
        config.daemon, listen=(Address("127.0.0.1", 0),), admin=None, socket=None, audit_file=None
    )
    return msgspec.structs.replace(config, daemon=daemon)


def _runtime_folder(config: Config, environ: MutableMapping[str, str]) -> str:
    if config.daemon.runtime_dir or environ.get("RUNTIME_DIRECTORY"):
        return config.daemon.runtime_dir or environ["RUNTIME_DIRECTORY"].split(":")[0]
    if config.daemon.socket:
        return str(Path(config.daemon.socket).parent)
    if os.geteuid() == 0:
        folder = Path("/run/credbroker")
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)  # any user may reach the control socket in it; who he is decides
        return str(folder)
    return _own_runtime_folder(environ)


def _own_runtime_folder(environ: MutableMapping[str, str]) -> str:
    if os.geteuid() == 0:
        advice = "write one (`credbroker config example`), or use `credbroker exec`"
        raise BrokerError(f"root does not serve without a configuration: {advice}", code="NoConfiguration")
    base = environ.get("XDG_RUNTIME_DIR")
    if not base:
        advice = "log in by a session that sets it, name a socket in a configuration, or use `credbroker exec`"
        raise BrokerError(
            f"XDG_RUNTIME_DIR is not set, so there is no private place for the socket: {advice}", code="NoRuntimeFolder"
        )
    folder = Path(base, "credbroker")
    private_folder(folder)
    return str(folder)


def _greeting(daemon: "Daemon") -> str:
    facts = daemon.facts
    lines = [f"credbroker {__version__} serves workers at {', '.join(f'http://{one}' for one in facts.listen)}"]
    lines.append(f"  control socket  {daemon.socket_path}")
    if facts.admin:
        lines.append(f"  health, metrics http://{facts.admin}/readyz, /metrics")
    if facts.attestation != "on":
        lines.append(f"  ATTESTATION IS OFF: {facts.attestation}")
    lines.append('  a worker uses it by `credbroker exec -- CMD`, or `eval "$(credbroker env)"` in its shell')
    return "\n".join(lines)
