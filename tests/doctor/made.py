"""Made-up facts for the tests of doctor."""

from typing import Any

from broker.doctor.facts import AwsFile, Facts, Profile

HOME = "/home/alice"
PLANE = "127.0.0.1:9911"
CREDENTIALS = f"{HOME}/.aws/credentials"
CONFIG = f"{HOME}/.aws/config"
ADC = f"{HOME}/.config/gcloud/application_default_credentials.json"
KEYS = ("aws_access_key_id", "aws_secret_access_key")
AWS_WORKER = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{PLANE}/aws/train",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/run/w/token",
}
GOOGLE_WORKER = dict.fromkeys(("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"), f"{PLANE}/w/cbp_x")


def facts(environ: dict[str, str] | None = None, **more: Any) -> Facts:
    """Those of alice, whose broker is at PLANE."""
    return Facts(environ=environ or {}, home=HOME, **({"planes": frozenset({PLANE})} | more))


def aws_file(path: str, *keys: str, name: str = "default") -> AwsFile:
    """A file with one profile."""
    return AwsFile(path, (Profile(name, frozenset(keys)),))
