"""Words for people: lines on standard error that begin with our name, so that they are told from the command's own."""

import click

from broker.errors import BrokerError

LOG_IN = {
    "aws": "boto3 found no identity in the environment, ~/.aws, SSO or instance metadata: run `aws configure` or "
    "`aws sso login`",
    "gcp": "google-auth found no identity in GOOGLE_APPLICATION_CREDENTIALS, gcloud's folder or instance metadata: run "
    "`gcloud auth application-default login`",
}
NO_IDENTITY = "\n".join(
    (
        "you have no identity on any cloud, and there is no configuration",
        *(f"  {name}: {advice}" for name, advice in LOG_IN.items()),
        "or write a configuration: `credbroker config example > config.toml`",
    )
)


def say(text: str) -> None:
    """Something to know, one line or several."""
    for line in text.splitlines():
        click.echo(f"credbroker: {line}", err=True)


def warn(text: str) -> None:
    """Something that may surprise later."""
    say(f"warning: {text}")


def told_of(name: str, error: BrokerError) -> BrokerError:
    """The error, which now says of which credential it is."""
    if not error.advice.startswith((f"{name} ", f"{name}: ")):
        error.advice = f"{name}: {error.advice}"
        error.args = (error.advice,)
    return error
