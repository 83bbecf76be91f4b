"""Names for shell completion: what the running daemon lets the user see. Nothing, quickly, where none answers."""

import contextlib
import os

import click
from click.shell_completion import CompletionItem

from broker import control_api as api
from broker.control_client import Client, find
from broker.errors import BrokerError

PATIENCE = 0.3  # seconds; a shell waits for this at each Tab


def credentials(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Credentials that a visible caller is granted."""
    granted = (name for caller in _callers() for name in caller.grants)
    return [name for name in dict.fromkeys(granted) if name.startswith(incomplete)]


def credential_list(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The last of several, with commas between."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in credentials(ctx, parameter, last)]


def callers(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Visible callers."""
    return [caller.name for caller in _callers() if caller.name.startswith(incomplete)]


def files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whatever the shell finds: the words of another command."""
    return [CompletionItem(incomplete, type="file")]


def _callers() -> tuple[api.CallerRow, ...]:
    from broker.cli.options import configured_socket

    with contextlib.suppress(BrokerError):
        client = find(None, os.environ, configured_socket())
        return Client(client.path, PATIENCE).get("/status", api.Status).callers
    return ()
