"""What the tests of the AWS sources share: a user, a role, a home folder, and one plain call."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from broker.errors import IdentityMissing
from broker.model import AwsKeys, Minted
from broker.secret import Secret
from broker.sources import aws_identity, aws_sts
from broker.sources.aws_identity import Identity
from broker.sources.aws_specs import Session
from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts

ALICE = ("AKIAFAKEALICE0000001", "alice/secret+key")
IDENTITY = Identity(place="alice's keys", keys=AwsKeys(ALICE[0], Secret(ALICE[1]), Secret("")))
TRAIN = "arn:aws:iam::123456789012:role/train"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}


class AwsHome:
    """What `~/.aws` says in a test."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        self.credentials = folder / "credentials"

    def profile(self, name: str = "default", **settings: str) -> None:
        """Add a profile to the config file."""
        self.section(name if name == "default" else f"profile {name}", **settings)

    def section(self, title: str, **settings: str) -> None:
        """Add a section to the config file."""
        lines = [f"[{title}]", *(f"{key} = {value}" for key, value in settings.items()), ""]
        with self.config.open("a") as file:
            file.write("\n".join(lines))

    def keys(self, key_id: str, secret: str, token: str = "", profile: str = "default") -> None:
        """Write the credentials file."""
        extra = f"aws_session_token = {token}\n" if token else ""
        text = f"[{profile}]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n{extra}"
        self.credentials.write_text(text)


def asked(sts: FakeSts, **where: object) -> aws_sts.Answer:
    """One GetSessionToken."""
    spec = Session(endpoint_url=sts.url, **where)  # type: ignore[arg-type]  # whatever a test names
    local = aws_identity.opened(None, spec.region)
    return aws_sts.ask(local, spec, IDENTITY, "get_session_token", "get a session")


def script(folder: Path, printed: object) -> str:
    """A credential_process that prints this."""
    program = folder / "process.py"
    program.write_text(f"print({json.dumps(printed if isinstance(printed, str) else json.dumps(printed))})")
    return f"{sys.executable} {program}"


def role_profile(aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch, sts: FakeSts, **more: str) -> None:
    """A profile that assumes a role, as a person's `~/.aws/config` has it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    aws_home.profile("train", role_arn=TRAIN, source_profile="default", role_session_name="me", **more)


def sso_profile(aws_home: AwsHome) -> None:
    """A profile of the older kind of SSO."""
    aws_home.profile(
        "work",
        sso_start_url="https://example.invalid/start",
        sso_region="eu-west-1",
        sso_account_id="123456789012",
        sso_role_name="Developer",
    )


def missing(profile: str | None) -> IdentityMissing:
    """How the chain fails to find an identity."""
    with pytest.raises(IdentityMissing) as failed:
        aws_identity.found(aws_identity.opened(profile))
    return failed.value


def session_spec(sts: FakeSts | Moto, **more: object) -> Session:
    """A session asked for at a fake."""
    return Session(endpoint_url=sts.url, **more)  # type: ignore[arg-type]  # whatever a test names


def keys(minted: Minted) -> AwsKeys:
    """What was minted, which is keys."""
    assert isinstance(minted.value, AwsKeys)
    return minted.value


def environment(monkeypatch: pytest.MonkeyPatch, held: AwsKeys, **more: str) -> None:
    """A session in the environment, as `aws configure export-credentials` prints it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", held.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", held.secret_access_key.open())
    monkeypatch.setenv("AWS_SESSION_TOKEN", held.session_token.open())
    for name, text in more.items():
        monkeypatch.setenv(name, text)
