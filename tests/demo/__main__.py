"""`make demo`: a broker between two made-up clouds and unchanged programs, in under three minutes.

moto stands in for AWS; a strict fake STS with an S3 that refuses expired keys issues leases of 90 s, so that one can be
seen rotating; a strict fake Google checks signatures, expiry and scopes. Everything is on loopback and ends by itself.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.clients.stage import CREDBROKER, Cloud, Daemon, free_address
from tests.fakes.moto_process import Moto

PROGRAMS = Path(__file__).parent / "programs"
LIFETIME = 90  # seconds; a refresh is due at half of it
WATCHED = 62  # so one rotation by itself is seen, and one that is asked for

_CONFIG = """\
[daemon]
listen = ["127.0.0.1:0"]
admin = "{admin}"
socket = "{folder}/broker.sock"
runtime_dir = "{folder}/run"

[credentials.team]                        # a role, assumed by the daemon's own identity (at moto)
source = "aws-assume-role"
role_arn = "arn:aws:iam::123456789012:role/team"
endpoint_url = "{moto}"
region = "eu-west-1"

[credentials.project]                     # a role chained from it
source = "aws-assume-role"
role_arn = "arn:aws:iam::123456789012:role/project"
from = "team"
endpoint_url = "{moto}"
region = "eu-west-1"

[credentials.rotating]                    # leases of {lifetime} s, from a strict fake STS
source = "aws-assume-role"
role_arn = "{role}"
duration = "15m"
profile = "strict"
endpoint_url = "{sts}"
region = "eu-west-1"

[credentials.data]                        # a Google service account
source = "gcp-adc"
file = "{key_file}"
scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
project = "my-project"

[callers.me]
uid = {uid}
allow_root = true
grants = ["project", "rotating", "data"]
"""

_IDENTITY = """\
[default]
aws_access_key_id = AKIAMADEUPMADEUPMADE
aws_secret_access_key = made-up-for-moto
[strict]
aws_access_key_id = {key_id}
aws_secret_access_key = {secret}
"""


class Show:
    """The running demo: says what it does, does it, and stops at the first thing that fails."""

    def __init__(self, environment: Mapping[str, str], facts: Mapping[str, str]) -> None:
        self._environment = environment
        self.facts = facts

    def say(self, text: str) -> None:
        """A line for the one who watches."""
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}", flush=True)

    def broker(self, *arguments: str) -> None:
        """Run a credbroker command."""
        print(f"$ credbroker {' '.join(arguments)}", flush=True)
        subprocess.run([*CREDBROKER, *arguments], env=self._environment, check=True)

    def worker(self, *options: str, program: str, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Start an unchanged program under `credbroker exec`."""
        print(f"$ credbroker exec {' '.join(options)} -- python {program} ...", flush=True)
        command = [*CREDBROKER, "exec", *options, "--", sys.executable, str(PROGRAMS / program), *arguments]
        return subprocess.Popen(command, env=self._environment)


def main() -> None:
    """Set the stage, show it, clear it away."""
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        show = stack.enter_context(_staged(stack))
        show.say("Who is the broker on each cloud, and what does it hold?")
        show.broker("status")
        show.say("boto3, unchanged, reads a bucket through a chained role. It holds no key that lasts.")
        _done(show.worker("--use", "project", program="boto3_bucket.py", arguments=(show.facts["moto"],)))
        show.say("google-auth, unchanged, finds what it takes for a metadata server.")
        _done(show.worker("--use", "data", program="google_default.py", arguments=_store(show)))
        show.say("A program that builds Credentials from CLOUDSDK_AUTH_ACCESS_TOKEN, as Coiled's users do.")
        _done(show.worker("--use", "data", program="google_token.py", arguments=_store(show)))
        show.say(f"A lease of {LIFETIME} s rotates under a running boto3; the store refuses expired keys.")
        running = show.worker(
            "--use", "rotating", program="boto3_forever.py", arguments=(show.facts["s3"], str(WATCHED))
        )
        time.sleep(8)
        show.say("... once because we ask for it (the next one comes by itself, at half of the lease's life)")
        show.broker("refresh", "rotating")
        _done(running)
        show.say("At the end:")
        show.broker("status")
    print(f"\nDone in {time.monotonic() - began:.0f} s, without a cloud account and without an error.")


@contextlib.contextmanager
def _staged(stack: contextlib.ExitStack) -> Iterator[Show]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="credbroker-demo-")))
    moto = stack.enter_context(Moto()).url
    aws = stack.enter_context(Cloud("tests.fakes.aws_cloud", "--lifetime", str(LIFETIME)))
    google = stack.enter_context(Cloud("tests.fakes.google_cloud", "--folder", str(folder)))
    aws.put("demo/in.bin")
    google.put("demo/in.bin")
    key_id, secret = aws.facts["user"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "CREDBROKER_SOCKET": str(folder / "broker.sock"),
    }
    identity = folder / "identity"  # what only the daemon is told about
    identity.write_text(_IDENTITY.format(key_id=key_id, secret=secret))
    facts = {"moto": moto, "s3": aws.facts["s3"], "gcs": google.facts["gcs"]}
    admin, config = free_address(), folder / "config.toml"
    config.write_text(
        _CONFIG.format(
            admin=admin,
            folder=folder,
            moto=moto,
            role=aws.facts["roles"][0],
            sts=aws.facts["sts"],
            key_file=google.facts["key_file"],
            uid=os.getuid(),
            lifetime=LIFETIME,
        )
    )
    show = Show(environment, facts)
    show.say("The configuration:")
    print(config.read_text())
    with Daemon(config, admin, {**environment, "AWS_SHARED_CREDENTIALS_FILE": str(identity)}):
        yield show


def _store(show: Show) -> tuple[str, ...]:
    return (show.facts["gcs"], "data", "demo/in.bin")


def _done(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise SystemExit(f"the program ended with status {process.returncode}")


if __name__ == "__main__":
    main()
