"""The command `credbroker`. One file a command, loaded only when it is used; thin: the work is done elsewhere.

Data goes to standard output, words for people to standard error. Exit status: 0 done, 1 failed at run time, 2 wrong
usage or configuration, 3 no daemon answers, 4 denied.
"""

import importlib
import os
import sys

import click

from broker import __version__
from broker.cli.words import say
from broker.errors import BrokerError
from broker.process import harden

_COMMANDS = {
    "serve": "Run the daemon in the foreground.",
    "exec": "Run a command whose SDKs get their credentials from the broker.",
    "env": "Print the environment that makes SDKs use the broker.",
    "get": "Print one lease, or keep it fresh in a file.",
    "check": "Mint every credential once and say who each one is.",
    "doctor": "Say whose credentials each SDK and tool here will use.",
    "status": "Show the running daemon's leases and callers.",
    "whoami": "Show which caller you are and what you may have.",
    "explain": "Say why a caller may have a credential or not, or why a request was refused.",
    "token": "Issue, list and revoke worker tokens.",
    "refresh": "Mint a credential anew, now.",
    "reload": "Make the daemon read its configuration again.",
    "config": "Print an example configuration, or the JSON schema.",
    "completion": "Print the shell completion script.",
}


class _Lazy(click.Group):
    """Finds a command in the file of its name, and one that is misspelt by what resembles it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"broker.cli.{cmd_name}_command")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:
            from broker.config.table import did_you_mean

            ctx.fail(f"There is no such command{did_you_mean(args[0], *_COMMANDS)}")
        return super().resolve_command(ctx, args)

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
        status = credbroker.main(prog_name="credbroker", standalone_mode=False, obj=inherited) or 0
    except BrokerError as error:
        say(error.advice)
        status = error.exit_status
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.parent is None:
            click.echo("An option stands behind its command: credbroker COMMAND --option", err=True)
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has had enough
        status = 1
    except OSError as error:  # a full disk behind standard output, say
        say(f"{error.filename or 'output'}: {error.strerror or type(error).__name__}")
        status = 1
    sys.exit(status)
