"""Who signed a request to Oracle's cloud: HTTP signatures (draft-cavage-http-signatures-08), as its services verify.

By cryptography alone, so that the SDK is not its own witness.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.serving import Call

FARTHEST = 300.0  # seconds between the clocks
GENERIC = ("date", "(request-target)", "host")
OF_BODIES = ("content-length", "content-type", "x-content-sha256")
_PAIR = re.compile(r'([a-zA-Z]+)="([^"]*)"')


class NotAuthenticated(Exception):
    """The services say 401 and nothing more; `why` is for a test."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def signer(call: Call, find: Callable[[str], rsa.RSAPublicKey | None], now: float, *, whole: bool) -> str:
    """The keyId whose key signed the call; `whole` where its body must be signed too. Raises NotAuthenticated."""
    scheme, _, rest = call.fields.get("authorization", "").partition(" ")
    given = {name.lower(): value for name, value in _PAIR.findall(rest)}
    if scheme.lower() != "signature" or given.get("version") != "1" or given.get("algorithm") != "rsa-sha256":
        raise NotAuthenticated("no signature of version 1")
    names = given.get("headers", "").split()
    needed = (*GENERIC, *(OF_BODIES if whole else ()))
    if missing := [name for name in needed if name not in names]:
        raise NotAuthenticated(f"not signed: {missing}")
    _check_date(call.fields.get("date", ""), now)
    if whole and call.fields.get("x-content-sha256") != base64.b64encode(hashlib.sha256(call.body).digest()).decode():
        raise NotAuthenticated("another body")
    key = find(given.get("keyid", ""))
    if key is None:
        raise NotAuthenticated("unknown keyId")
    try:
        signature = base64.b64decode(given.get("signature", ""), validate=True)
        key.verify(signature, _signed(call, names), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, KeyError):
        raise NotAuthenticated("another signature") from None
    return str(given["keyid"])


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """As Oracle names an API key: the MD5 of its DER."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(der, usedforsecurity=False).digest().hex(":")


def _signed(call: Call, names: list[str]) -> bytes:
    target = f"{call.method.lower()} {call.path}{'?' if call.raw_query else ''}{call.raw_query}"
    values = call.fields | {"(request-target)": target}
    return "\n".join(f"{name}: {values[name]}" for name in names).encode()


def _check_date(text: str, now: float) -> None:
    try:
        off = abs(parsedate_to_datetime(text).timestamp() - now)
    except ValueError:
        raise NotAuthenticated("no date") from None
    if off > FARTHEST:
        raise NotAuthenticated("a date of another time")
