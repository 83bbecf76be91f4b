"""The command `credbroker`. One file a command, loaded only when it is used; thin: the work is done elsewhere.

Data goes to standard output, words for people to standard error. Exit status: 0 done, 1 failed at run time, 2 wrong
usage or configuration, 3 no daemon answers, 4 denied.
"""

import importlib
import os
import sys

import click

from broker import __version__
from broker.errors import BrokerError
from broker.process import harden

_COMMANDS = {
    "serve": "Run the daemon in the foreground.",
    "exec": "Run a command whose SDKs get their credentials from the broker.",
    "env": "Print the environment that makes SDKs use the broker.",
    "get": "Print one lease, or keep it fresh in a file.",
    "check": "Mint every credential once and say who each one is.",
    "status": "Show the running daemon's leases and callers.",
    "whoami": "Show which caller you are and what you may have.",
    "token": "Issue, list and revoke worker tokens.",
    "refresh": "Mint a credential anew, now.",
    "reload": "Make the daemon read its configuration again.",
    "config": "Print an example configuration, or the JSON schema.",
    "completion": "Print the shell completion script.",
}


class _Lazy(click.Group):
    """Finds a command in the file of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"broker.cli.{cmd_name}_command")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="credbroker")
def credbroker() -> None:
    """Short-lived cloud credentials for unchanged worker processes.

    On a laptop, around one command:

    \b
      credbroker exec -- python train.py

    On a node, as a daemon:

    \b
      credbroker config example > config.toml     # then edit it
      credbroker check --config config.toml       # who am I, on each cloud?
      credbroker serve --config config.toml
      eval "$(credbroker env)"                     # in a worker's shell

    Exit status: 0 done, 1 failed at run time, 2 wrong usage or configuration, 3 no daemon answers, 4 denied.
    """


def main() -> None:
    """The console script."""
    inherited = harden()
    try:
        sys.exit(credbroker.main(prog_name="credbroker", standalone_mode=False, obj=inherited) or 0)
    except BrokerError as error:
        sys.exit(_told(error))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has had enough
        sys.exit(1)


def _told(error: BrokerError) -> int:
    for line in error.advice.splitlines():
        click.echo(f"credbroker: {line}", err=True)
    return error.exit_status
