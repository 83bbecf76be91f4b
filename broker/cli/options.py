"""Options that several commands share, and how they find the configuration and the daemon. Thin."""

import os
import pwd
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from broker import control_client
from broker.cli.names import callers, credential_list, credentials
from broker.config import find
from broker.config.durations import seconds
from broker.config.shape import Config, Snapshot
from broker.errors import BrokerError

NO_UID = 2**32 - 1  # what the kernel calls nobody at all

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def duration(_: click.Context, __: click.Parameter, text: str) -> int:
    """A callback: `45m` as seconds."""
    lives = int(text) if text.isascii() and text.isdecimal() else seconds(text)
    if not lives:
        raise click.BadParameter('a duration is "45m", "8h", "1h30m", or a number of seconds')
    return lives


socket_option: Decorator = click.option(
    "--socket",
    "explicit",
    metavar="PATH",
    type=click.Path(),
    help="The daemon's control socket. Default: $CREDBROKER_SOCKET, else the one that the configuration names, "
    "$XDG_RUNTIME_DIR/credbroker/broker.sock or /run/credbroker/broker.sock.",
)
config_option: Decorator = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(),
    help="The configuration. Default: $CREDBROKER_CONFIG, else credbroker/config.toml in $XDG_CONFIG_HOME (~/.config) "
    "or in /etc.",
)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
as_option: Decorator = click.option(
    "--as",
    "caller",
    metavar="CALLER",
    shell_complete=callers,
    help="Be this caller, where several match you or you issue its tokens.",
)
use_option: Decorator = click.option(
    "--use",
    metavar="NAME,...",
    shell_complete=credential_list,
    help="Only these credentials; the first of a cloud is what SDKs get.",
)
without_option: Decorator = click.option(
    "--without", metavar="aws,gcp", help="Leave these clouds alone: the machine's own role takes over."
)
ttl_option: Decorator = click.option(
    "--ttl",
    metavar="DURATION",
    default="8h",
    show_default=True,
    callback=duration,
    help='How long it lives: "45m", "8h", or seconds; 30 days at most.',
)
credential_argument: Decorator = click.argument("name", metavar="NAME", shell_complete=credentials)


def uid_of(text: str | None, option: str = "--uid") -> int | None:
    """A user by name or number. Raises click's usage error."""
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and int(text) < NO_UID:
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise click.BadParameter(f"there is no user {text!r}", param_hint=option) from None


def daemon(explicit: str | None) -> control_client.Client:
    """The daemon that answers. Raises NoDaemon."""
    return control_client.find(explicit, os.environ, configured_socket())


def configured_socket() -> str | None:
    """The socket that the configuration names, as far as it can be read.

    It may have mistakes by now: its daemon runs on with what it read before, and is who can report them. Nor need a
    user be able to read the system's file to talk to its daemon.
    """
    try:
        path = find.locate(None, os.environ)
        settings = tomllib.loads(path.read_text("utf-8")).get("daemon") if path else None
    except (BrokerError, OSError, ValueError):
        return None
    if path is None or not isinstance(settings, dict):
        return None
    for key, name in (("socket", ""), ("runtime_dir", "broker.sock")):
        if isinstance(place := settings.get(key), str) and place:
            return str(Path(path.parent, place, name))
    return None


def configuration(explicit: str | None) -> tuple[Config, Snapshot, Path] | None:
    """The configuration in force, or None for zero configuration. Raises ConfigError with every mistake."""
    path = find.locate(explicit, os.environ)
    if path is None:
        return None
    from broker import vetting

    return (*vetting.load(path), path)
