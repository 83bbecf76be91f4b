"""`alipan`: the refresh token of an Alipan account, dispensed as its clients read it. Mints nothing.

There is nothing to mint from it: the refresh token is the account. It may be kept fresh in its file.
"""

from typing import Annotated, ClassVar, Literal, get_args

from msgspec import Meta

from broker.errors import IdentityMissing
from broker.model import Facts, Given, Kind, Minted, Reference, Spec, Value, Variables
from broker.secret import Secret
from broker.sources import alipan_refresh, references
from broker.sources.aws_specs import EndpointUrl
from broker.sources.handing import REREAD, Reread, handed
from broker.sources.source import Source
from broker.sources.web import is_safe

Encryption = Literal["Simple", "ChaCha20", "AES256CBC"]  # what alipcs_py and streaming know


class Alipan(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`alipan`: the refresh token of an Alipan account, and how its files are encrypted."""

    kind: ClassVar[Kind] = Kind.ALIPAN
    short_lived: ClassVar[bool] = False

    refresh_token: Annotated[Reference, Meta(description="where the web refresh token is read")]
    encrypt_password: Annotated[
        Reference | None, Meta(description="where the password is read by which files are encrypted")
    ] = None
    encrypt_type: Annotated[
        Encryption | Reference | None,
        Meta(description="how uploads are encrypted: Simple, ChaCha20 or AES256CBC; or where that is read"),
    ] = None
    keep_fresh: Annotated[
        bool,
        Meta(description="exchange the refresh token at Alipan before it ages, and write the new one into its file"),
    ] = False
    api_url: Annotated[EndpointUrl, Meta(description="where Alipan's API is, for `keep_fresh`")] = alipan_refresh.API
    reread: Reread = REREAD

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """Encryption without a password, which clients would do with an empty one; nowhere to write; no TLS."""
        found = []
        if self.encrypt_type is not None and self.encrypt_password is None:
            found.append(("encrypt_type", "needs encrypt_password: clients would encrypt with an empty password"))
        if self.keep_fresh and not self.refresh_token.file:
            found.append(("keep_fresh", "needs refresh_token = { file = ... }: a variable cannot be written"))
        if not is_safe(self.api_url):
            found.append(("api_url", "must be https, or http to a loopback address"))
        return tuple(found)


def mint(spec: Alipan, _: Given) -> Minted:
    """The three as they stand now, all of one moment; the refresh token young, if it is to be kept so."""
    if spec.keep_fresh:
        alipan_refresh.refresh(spec.refresh_token, spec.api_url)
    asked = {"refresh_token": spec.refresh_token}
    if spec.encrypt_password is not None:
        asked["encrypt_password"] = spec.encrypt_password
    if isinstance(spec.encrypt_type, Reference):
        asked["encrypt_type"] = spec.encrypt_type
    found = references.read_together(asked)
    if isinstance(spec.encrypt_type, str):
        found["encrypt_type"] = Secret(spec.encrypt_type)
    elif "encrypt_type" in found and found["encrypt_type"].open() not in get_args(Encryption):
        advice = f"encrypt_type: {references.place(asked['encrypt_type'])} must hold one of {_KNOWN}"
        raise IdentityMissing(advice, code="ReferenceUnknownType")
    return handed(Variables(tuple((_NAMES[name], secret) for name, secret in found.items())), Facts(), spec.reread)


def who(_: Alipan, __: Value) -> Facts:
    """Nobody is asked: whoever asks Alipan gets another refresh token."""
    return Facts()


_KNOWN = ", ".join(get_args(Encryption))
_NAMES = {
    "refresh_token": "ALIPAN_WEB_REFRESH_TOKEN",
    "encrypt_password": "ALIPAN_ENCRYPT_PASSWORD",
    "encrypt_type": "ALIPAN_ENCRYPT_TYPE",
}

SOURCES = (Source(name="alipan", spec=Alipan, mint=mint, who=who),)
