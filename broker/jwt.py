"""A JSON Web Token taken apart: what it says of itself, none of which is believed before it was verified. Pure.

Only what a cluster signs for a pod is taken: the compact form, RS256 or ES256, and nothing that a reader must
understand besides. A token without a signature, or signed by a shared key, is no token here.
"""

import base64
import re
from typing import Any, Literal

import msgspec

LONGEST = 16 * 1024  # no head of a request is longer either
_FORM = re.compile(r"[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++")

Algorithm = Literal["RS256", "ES256"]


class BadJwt(Exception):
    """No token of this kind. `reason` is a fixed word, for the audit line and a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Named(msgspec.Struct, frozen=True):
    """An object of the cluster that a token is bound to."""

    name: str
    uid: str


class Bound(msgspec.Struct, frozen=True):
    """The claim `kubernetes.io`: to what the token is bound. Without a pod in it, it is no pod's."""

    namespace: str
    serviceaccount: Named
    pod: Named | None = None
    node: Named | None = None


class Claims(msgspec.Struct, frozen=True):
    """The claims that matter here. Times are seconds since the epoch."""

    iss: str
    sub: str
    aud: str | tuple[str, ...]
    exp: float
    iat: float
    nbf: float
    bound: Bound = msgspec.field(name="kubernetes.io")

    @property
    def audiences(self) -> tuple[str, ...]:
        """For whom it is."""
        return (self.aud,) if isinstance(self.aud, str) else self.aud


class Jwt(msgspec.Struct, frozen=True):
    """One token: its head, its claims, and the signature over `signed`."""

    alg: Algorithm
    kid: str | None
    claims: Claims
    signed: bytes
    signature: bytes

    def __repr__(self) -> str:
        return "Jwt(...)"


class _Head(msgspec.Struct):
    alg: str
    kid: str | None = None
    crit: Any = None


def has_form(text: str) -> bool:
    """Whether a text looks like a token: three parts of base64url, and not too long."""
    return len(text) <= LONGEST and _FORM.fullmatch(text) is not None


def parse(text: str) -> Jwt:
    """The token that a text is. Raises BadJwt."""
    if not has_form(text):
        raise BadJwt("jwt-malformed")
    signed, _, signature = text.rpartition(".")
    head, _, claims = signed.partition(".")
    try:
        found = msgspec.json.decode(decoded(head), type=_Head)
        if found.crit is not None:
            raise BadJwt("jwt-malformed")
        if found.alg not in {"RS256", "ES256"}:
            raise BadJwt("jwt-algorithm")
        said = msgspec.json.decode(decoded(claims), type=Claims)
        return Jwt(found.alg, found.kid, said, signed.encode(), decoded(signature))  # type: ignore[arg-type]  # asked above
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise BadJwt("jwt-malformed") from None


def decoded(part: str) -> bytes:
    """Base64url without its padding, as tokens and keys have it. Raises ValueError."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
