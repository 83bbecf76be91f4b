"""What the tests of Google's sources ask for: scopes, an audience, and one mint from an identity file."""

from typing import Any

from broker.model import Given, Minted
from broker.sources.google import Adc, mint_adc
from tests.fakes.google import CLOUD_PLATFORM

READ = "https://www.googleapis.com/auth/devstorage.read_only"
AUDIENCE = "https://service.example"
OPENID = ("openid", "https://www.googleapis.com/auth/userinfo.email", CLOUD_PLATFORM)


def mint(file: str | None, **more: Any) -> Minted:
    """By ADC, of that file or of the one that is found."""
    return mint_adc(Adc(file=file, **more), Given())
