"""Unchanged clients as they stand in a pod: a projected token in a file, and what docs/kubernetes.md tells to set."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clients.stage import PROGRAMS, ROOT, Cloud, Seen, seen

# The entrypoint that the page gives to pods with Google's clients, and where that expects what.
ENTRYPOINT = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "kubernetes.md").read_text(), re.DOTALL)[0]
BROKER, TOKEN_FILE = "http://169.254.170.23:9911", "/var/run/secrets/credbroker/token"


class Pod:
    """A pod's own view: its files, and how its programs are started."""

    def __init__(self, folder: Path, broker: str, enter: Sequence[str] = ()) -> None:
        self.token_file = folder / "projected-token"
        self._home = folder / "home"
        self._home.mkdir()
        self._url = f"http://{broker}"
        self._enter = tuple(enter)

    def mount(self, token: str) -> None:
        """As the kubelet does: the whole file, replaced."""
        aside = self.token_file.with_suffix(".new")
        aside.write_text(token)
        aside.rename(self.token_file)

    def boto3(self, cloud: Cloud, endpoint: str, folder: str) -> Seen:
        """Read and write objects, by the environment that a pod spec gives."""
        variables = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self._url}/aws/train",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.token_file),
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return seen(self._start("boto3_s3", (endpoint, str(cloud.facts["bucket"]), folder), variables))

    def google_auth(self, cloud: Cloud, endpoint: str, folder: str) -> Seen:
        """Read and write objects, behind the entrypoint that swaps the token."""
        entrypoint = ENTRYPOINT.replace(BROKER, self._url).replace(TOKEN_FILE, str(self.token_file))
        script = self._home / "entrypoint.py"
        script.write_text(entrypoint)
        arguments = (endpoint, str(cloud.facts["bucket"]), folder)
        return seen(self._start("google_auth", arguments, {"GOOGLE_APPLICATION_CREDENTIALS": "/stray"}, str(script)))

    def _start(
        self, program: str, arguments: tuple[str, ...], variables: Mapping[str, str], *before: str
    ) -> subprocess.Popen[str]:
        python = (sys.executable, *before, sys.executable) if before else (sys.executable,)
        command = [*self._enter, *python, str(PROGRAMS / f"{program}.py"), *arguments]
        environment = self._environment(variables)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self._home), "LANG": "C.UTF-8", **variables}
