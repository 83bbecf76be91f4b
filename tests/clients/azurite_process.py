"""Azurite, Microsoft's emulator of Blob storage, over TLS and with OAuth, as a process of its own.

It reads a bearer token's issuer, audience and times, and verifies the signature of a SAS; it does not verify that of a
token, nor does it know who may do what.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.clients.stage import ROOT
from tests.fakes.certificates import Certificate

ACCOUNT = "devstoreaccount1"  # Azurite's own, and its documented key below
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_LISTENS = re.compile(r"successfully listens on https://127\.0\.0\.1:([0-9]+)")


def program() -> list[str]:
    """How it is started."""
    installed = Path(os.environ.get("CREDBROKER_AZURITE", ROOT / ".azurite"))
    main = installed / "node_modules/azurite/dist/src/blob/main.js"
    node = shutil.which("node")
    if not main.exists() or node is None:
        raise FileNotFoundError(f"{main} and node are needed: run `make clients`, or set CREDBROKER_AZURITE")
    return [node, str(main)]


class Azurite:
    """A running one, in a folder of its own."""

    def __init__(self, certificate: Certificate, folder: Path) -> None:
        files = ["--cert", str(certificate.certificate), "--key", str(certificate.key)]
        how = ["--inMemoryPersistence", "--oauth", "basic", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        self._process = subprocess.Popen(
            [*program(), "--blobHost", "127.0.0.1", "--blobPort", "0", *how, *files],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.host = f"127.0.0.1:{self._port()}/{ACCOUNT}"
        self.url = f"https://{self.host}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._process:
            self._process.terminate()

    def _port(self) -> int:
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if found := _LISTENS.search(line):
                return int(found[1])
        raise AssertionError(f"Azurite did not start:\n{said}")
