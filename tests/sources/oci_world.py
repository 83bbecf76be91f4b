"""What the sources of Oracle's cloud need around them: the strict fake, and files with secrets in them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from broker.model import Reference
from tests.fakes.google.registry import key_of
from tests.fakes.oci import BROKER, JOBS, REGION, TENANCY, FakeOci
from tests.fakes.oci_signature import fingerprint


class OciWorld:
    """The fake, where it answers, and a folder."""

    def __init__(self, fake: FakeOci, url: str, folder: Path) -> None:
        self.fake = fake
        self.url = url
        self.folder = folder

    def file(self, name: str, text: str) -> Reference:
        """A private file with that text."""
        (path := self.folder / name).touch(0o600)
        path.write_text(text)
        return Reference(file=str(path))

    def key_file(self, name: str) -> Reference:
        """Of that user's private key."""
        return self.file(f"{name[-6:]}.pem", pem(name))

    def by_key(self, by: str = BROKER) -> dict[str, Any]:
        """The parameters of a spec by which this user makes and ends keys of `JOBS`."""
        return {
            "tenancy": TENANCY,
            "user": JOBS,
            "identity": by,
            "fingerprint": fingerprint(key_of(by).public_key()),
            "private_key": self.key_file(by),
            "region": REGION,
            "endpoint_url": self.url,
        }


def pem(name: str) -> str:
    """A user's private key as text."""
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key_of(name).private_bytes(serialization.Encoding.PEM, *form).decode()


def keyring(url: str) -> str:
    """Settings by which `BROKER`, whose private key is in broker.secret, makes and ends keys of `JOBS`."""
    return f"""tenancy = "{TENANCY}"
    user = "{JOBS}"
    identity = "{BROKER}"
    fingerprint = "{fingerprint(key_of(BROKER).public_key())}"
    private_key = {{ file = "broker.secret" }}
    region = "{REGION}"
    endpoint_url = "{url}"
"""


@contextlib.contextmanager
def oci_world(folder: Path, fake: FakeOci | None = None) -> Iterator[OciWorld]:
    """A fake of its own, or this one."""
    fake = fake or FakeOci()
    with fake.serve() as served:
        yield OciWorld(fake, served.url, folder)
