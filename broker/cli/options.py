"""Options that several commands share, and how they find the daemon. Thin."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from broker import control_client
from broker.config import find, read
from broker.config.shape import Config, Snapshot
from broker.errors import BrokerError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

socket_option: Decorator = click.option(
    "--socket",
    "explicit",
    metavar="PATH",
    help="The daemon's control socket. Default: $CREDBROKER_SOCKET, then the usual places.",
)
config_option: Decorator = click.option(
    "--config",
    metavar="FILE",
    help="The configuration. Default: $CREDBROKER_CONFIG, then credbroker/config.toml in ~/.config, then in /etc.",
)
json_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def daemon(explicit: str | None) -> control_client.Client:
    """The daemon that answers. Raises NoDaemon."""
    return control_client.find(explicit, os.environ, configured_socket())


def configured_socket() -> str | None:
    """The socket that the configuration names, if there is one that can be read."""
    try:
        path = find.locate(None, os.environ)
        return read.read(path).daemon.socket if path else None
    except BrokerError:
        return None  # a user need not be able to read the system's file to talk to its daemon


def configuration(explicit: str | None) -> tuple[Config, Snapshot, Path] | None:
    """The configuration in force, or None for zero configuration. Raises ConfigError with every mistake."""
    path = find.locate(explicit, os.environ)
    if path is None:
        return None
    return (*read.load(path), path)
