"""`credbroker config`: an example to start from, and the schema."""

import json

import click


@click.group("config")
def command() -> None:
    """Print an example configuration, or the JSON schema of the file."""


@command.command("example")
def example() -> None:
    """Print a commented example: `credbroker config example > config.toml`."""
    from broker.config.example import EXAMPLE

    click.echo(EXAMPLE, nl=False)


@command.command("schema")
def schema() -> None:
    """Print the JSON schema of the file, for editors."""
    from broker.config.schema import schema as make

    click.echo(json.dumps(make(), indent=2))
