"""What the sources of Oracle's cloud need around them: the strict fake, and files with secrets in them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from broker.model import Reference
from tests.fakes.google.registry import key_of
from tests.fakes.oci import FakeOci


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


def pem(name: str) -> str:
    """A user's private key as text."""
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key_of(name).private_bytes(serialization.Encoding.PEM, *form).decode()


@contextlib.contextmanager
def oci_world(folder: Path, fake: FakeOci | None = None) -> Iterator[OciWorld]:
    """A fake of its own, or this one."""
    fake = fake or FakeOci()
    with fake.serve() as served:
        yield OciWorld(fake, served.url, folder)
