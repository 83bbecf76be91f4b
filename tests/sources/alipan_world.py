"""The file of a refresh token, and a fake Alipan that knows what stands in it."""

from pathlib import Path

from broker.model import Reference
from broker.sources.alipan_refresh import refresh
from tests.fakes.alipan import FakeAlipan


class Kept:
    """A token's file, and Alipan, which knows it."""

    def __init__(self, folder: Path, fake: FakeAlipan) -> None:
        self.fake = fake
        self.path = folder / "token"
        self.record = folder / "token.refreshed"
        self.write("first\n")
        fake.refresh_tokens.add("first")

    def write(self, text: str) -> None:
        """What its owner does after a login."""
        self.path.write_text(text)
        self.path.chmod(0o600)

    @property
    def token(self) -> str:
        """What stands there."""
        return self.path.read_text().removesuffix("\n")

    @property
    def asked(self) -> int:
        """How often Alipan was asked."""
        return self.fake.calls["/token/refresh"]

    def refresh(self, url: str | None = None) -> None:
        """As a mint does it."""
        refresh(Reference(file=str(self.path)), url or self.fake.url)
