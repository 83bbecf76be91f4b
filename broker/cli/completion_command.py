"""`credbroker completion`: the script that a shell loads."""

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell: commands, options, and the running daemon's credentials and callers.

    \b
      source <(credbroker completion bash)     # for this shell
      credbroker completion bash > ~/.local/share/bash-completion/completions/credbroker
      credbroker completion zsh > "${fpath[1]}/_credbroker"
      credbroker completion fish > ~/.config/fish/completions/credbroker.fish
    """
    root = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(root, {}, "credbroker", "_CREDBROKER_COMPLETE").source())
