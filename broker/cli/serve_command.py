"""`credbroker serve`: the daemon in the foreground."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from broker import __version__
from broker.callers import match
from broker.callers.accounts import look_up
from broker.cli.options import config_option, configuration
from broker.cli.words import NO_IDENTITY, say
from broker.config import zero
from broker.config.shape import Address, Config, Snapshot
from broker.errors import BrokerError, IdentityMissing
from broker.identity import take_identity
from broker.safefile import private_folder, write_private

if TYPE_CHECKING:  # the daemon is heavy, and --help must not load it
    from broker.daemon import Daemon, Start


@click.command("serve")
@config_option
@click.option("--private", nargs=2, type=(int, str), hidden=True, help="For exec: its socket and folder.")
@click.option("--as", "caller", hidden=True, help="For exec: its caller, if it names one.")
@click.option(
    "--use", hidden=True, multiple=True, help="For exec: the credentials that it is to have, if it names any."
)
def command(config: str | None, private: tuple[int, str] | None, caller: str | None, use: tuple[str, ...]) -> None:
    """Run the daemon in the foreground.

    \b
      credbroker check --config config.toml    # first: is it right, and who will it be?
      credbroker serve --config config.toml
      credbroker serve                         # for yourself alone, without a configuration

    It listens, mints what it is configured to mint, and says it is ready (systemd, /readyz) once every required
    credential is held. SIGHUP reloads the configuration; SIGTERM drains and stops, a second one stops at once.

    With no configuration file it serves one user, its own (never root), with whatever identity boto3 and google-auth
    find, on a free port that it writes to $XDG_RUNTIME_DIR/credbroker/port. That is a convenience on one's own machine,
    not a boundary.
    """
    import uvloop

    from broker import logs

    if private is None:
        start = prepare(config, None)
        logs.configure(start.config.daemon.log_level)
        uvloop.run(_serve(start))
        return
    logs.hush()
    with socket.socket(fileno=private[0]) as watch:
        try:
            start = prepare(config, private[1])
            wanted = msgspec.structs.replace(start, config=_wanted(start.config, caller, use))
            uvloop.run(_serve_privately(wanted, watch))
        except BrokerError as error:
            watch.settimeout(None)
            with contextlib.suppress(OSError):
                watch.sendall(json.dumps({"error": error.advice, "exit_status": error.exit_status}).encode() + b"\n")
        finally:
            shutil.rmtree(private[1], ignore_errors=True)  # whatever became of `exec`, nothing of it stays behind


def prepare(config: str | None, private_folder: str | None) -> "Start":
    """Everything that a Daemon is started with. Raises BrokerError."""
    from broker.control_client import check_outer
    from broker.daemon import Start
    from broker.server.sockets import systemd_sockets

    identity = take_identity(os.environ)
    check_outer(os.environ)
    settings, snapshot, path = configuration(config) or _zero(private_folder or _own_runtime_folder(os.environ))
    handed = systemd_sockets(os.environ)
    return Start(
        config=_alone(settings) if private_folder else settings,
        snapshot=snapshot,
        identity=identity,
        runtime_dir=private_folder or _runtime_folder(settings, os.environ),
        config_path=path,
        handed={} if private_folder else handed,
        audited=private_folder is None,
    )


def _zero(folder: str) -> tuple[Config, Snapshot, None]:
    return zero.configuration(folder, os.geteuid()), Snapshot(zero=(folder, os.geteuid())), None


async def _serve(start: "Start") -> None:
    from broker.daemon import Daemon

    async with Daemon(start) as daemon:
        _mind_signals(daemon)
        if start.config.zero:
            await _only_what_is_found(daemon)
        with _port_told(daemon, start):
            say(_greeting(daemon))
            await daemon.run()


@contextlib.contextmanager
def _port_told(daemon: "Daemon", start: "Start") -> Iterator[None]:
    """A file with the free port of zero configuration; gone with us, since the port may be another's then."""
    if not start.config.zero:
        yield
        return
    file = Path(start.runtime_dir, "port")
    write_private(file, str(daemon.facts.port).encode())
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


async def _serve_privately(start: "Start", watch: socket.socket) -> None:
    """For one `exec`: say where, then live until it lets go of its end.

    Silent until it says that its command is there: what is wrong before, it tells by itself.
    """
    from broker import logs
    from broker.daemon import Daemon

    def heard() -> None:
        if watch.recv(1):
            logs.configure("warning")
        else:
            daemon.stop()

    async with Daemon(start) as daemon:
        if start.config.zero:
            await _only_what_is_found(daemon)
        watch.sendall(json.dumps({"socket": daemon.socket_path}).encode() + b"\n")
        watch.settimeout(0)
        asyncio.get_running_loop().add_reader(watch.fileno(), heard)
        await daemon.run()


async def _only_what_is_found(daemon: "Daemon") -> None:
    if not await daemon.narrow():
        raise IdentityMissing(NO_IDENTITY)


def _mind_signals(daemon: "Daemon") -> None:
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, _stop, daemon)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload_soon)


def _stop(daemon: "Daemon") -> None:
    if daemon.stopping:
        os._exit(1)  # asked twice: at once, undrained
    daemon.stop()


def _alone(config: Config) -> Config:
    """The same credentials and callers, on a free port and a socket of its own, minted as the user."""
    listen = (Address("127.0.0.1", 0),)
    daemon = msgspec.structs.replace(
        config.daemon,
        listen=listen,
        admin=None,
        socket=None,
        minter_socket=None,
        audit_file=None,
        state_dir=None,  # two daemons must not keep their leases in one folder
        state_key=None,
    )
    return msgspec.structs.replace(config, daemon=daemon)


def _wanted(config: Config, caller: str | None, use: tuple[str, ...]) -> Config:
    """With no more grants than one `exec` has use for: what it does not want must not be minted for it.

    Names that are not there change nothing: it is told about them when it asks.
    """
    names = {caller} if caller else _own(config)
    callers = [one for one in config.callers if one.name in names] or config.callers
    narrowed = (
        msgspec.structs.replace(one, grants=tuple(name for name in one.grants if name in use or not use))
        for one in callers
    )
    return msgspec.structs.replace(config, callers=tuple(narrowed))


def _own(config: Config) -> set[str]:
    """The callers that our own uid matches, as which `exec` is served where it names none."""
    try:
        known = match.match_uid(config.callers, look_up(os.geteuid()))
    except OSError:  # nobody knows our groups; who asks is looked up again
        return set()
    return {facts.caller for facts in known.matches} if known else set()


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
        raise _refused(
            "root does not serve without a configuration: write one (`credbroker config example > config.toml`) and "
            "name it by --config, or use `credbroker exec -- CMD`",
            "NoConfiguration",
        )
    base = environ.get("XDG_RUNTIME_DIR")
    if not base:
        raise _refused(
            "XDG_RUNTIME_DIR is not set, so there is no private place for the socket: log in by a session that sets it "
            "(not `su`), name a `socket` in a configuration, or use `credbroker exec -- CMD`",
            "NoRuntimeFolder",
        )
    folder = Path(base, "credbroker")
    try:
        private_folder(folder)
    except BrokerError as error:
        raise _refused(f"XDG_RUNTIME_DIR is of no use here: {error.advice}", "NoRuntimeFolder") from None
    return str(folder)


def _refused(advice: str, code: str) -> BrokerError:
    """It has to be started in another way."""
    error = BrokerError(advice, code=code)
    error.exit_status = 2
    return error


def _greeting(daemon: "Daemon") -> str:
    facts = daemon.facts
    lines = [f"{__version__} serves workers at {', '.join(f'http://{one}' for one in facts.listen)}"]
    lines.append(f"  control socket  {daemon.socket_path}")
    if facts.admin:
        lines.append(f"  health, metrics http://{facts.admin}/readyz, /metrics")
    if facts.attestation != "on":
        lines.append(f"  ATTESTATION IS OFF: {facts.attestation}")
    if facts.imds == "on":
        lines.append(f"  IMDSv2, alone   AWS_EC2_METADATA_SERVICE_ENDPOINT=http://{facts.listen[0]}")
    elif facts.imds != "off":
        lines.append(f"  IMDS IS OFF: {facts.imds}")
    lines.append('  a worker uses it by `credbroker exec -- CMD`, or `eval "$(credbroker env)"` in its shell')
    return "\n".join(lines)
