"""What Google answered, checked and made a Minted. Raises Malformed for anything that is no whole, living credential.

A lifetime is compared with upstream's own clock where it told it, so that a wrong local clock shortens or lengthens
nothing.
"""

import base64
import re
from datetime import datetime
from typing import Any

import msgspec

from broker.model import AccessToken, Facts, IdToken, Minted
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources.google_errors import Attempt
from broker.sources.google_wire import Heard

LONGEST_LIFETIME = 12 * 3600.0 + 300.0  # IAM gives 12 h at most; the rest is for clocks
_TOKEN = re.compile(r"[!-~]{1,16384}")


def exchanged(heard: Heard, scopes: tuple[str, ...], facts: Facts, attempt: Attempt) -> Minted:
    """The access token that a token endpoint or a metadata server gave (RFC 6749, 5.1)."""
    try:
        answer = msgspec.json.decode(heard.text.open(), type=_Exchanged)
    except msgspec.DecodeError:
        raise attempt.malformed("something that is no access token") from None
    seconds = answer.expires_in
    if isinstance(seconds, str):  # some metadata servers and STS proxies send text
        seconds = int(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds) else 0
    granted = tuple(answer.scope.split()) if answer.scope else scopes
    if facts.email is None:
        facts = msgspec.structs.replace(facts, email=_email_beside(answer.id_token))
    value = AccessToken(_secret(answer.access_token, attempt), granted)
    return _minted(value, heard.now + seconds, heard, facts, attempt)


def impersonated(answer: Any, heard: Heard, scopes: tuple[str, ...], facts: Facts, attempt: Attempt) -> Minted:
    """The access token in a GenerateAccessTokenResponse, which says when it ends by the calendar."""
    ends = answer.expire_time
    if not isinstance(ends, datetime) or ends.tzinfo is None:
        raise attempt.malformed("a token that does not say when it ends")
    return _minted(AccessToken(_secret(answer.access_token, attempt), scopes), ends.timestamp(), heard, facts, attempt)


def identity(token: object, audience: str, heard: Heard, facts: Facts, attempt: Attempt) -> Minted:
    """An ID token, which says itself for whom it is and when it ends; its signature is for its audience to verify."""
    claims = _claims(token)
    if claims is None:
        raise attempt.malformed("something that is no ID token")
    if claims.aud != audience:
        raise attempt.malformed("an ID token for another audience")
    value = IdToken(_secret(token, attempt), audience)
    email = claims.email if isinstance(claims.email, str) else None
    return _minted(value, float(claims.exp), heard, msgspec.structs.replace(facts, email=email or facts.email), attempt)


def _minted(value: AccessToken | IdToken, expires_at: float, heard: Heard, facts: Facts, attempt: Attempt) -> Minted:
    lifetime = expires_at - heard.now
    if not SERVE_FLOOR <= lifetime <= LONGEST_LIFETIME:
        raise attempt.malformed("a token that has expired, is about to, or expires absurdly late")
    return Minted(value, expires_at=expires_at, lifetime=lifetime, facts=facts, skew=heard.skew)


def _secret(token: object, attempt: Attempt) -> Secret:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise attempt.malformed("something that is no token")
    return Secret(token)


def _claims(token: object) -> "_Claims | None":
    parts = token.split(".") if isinstance(token, str) else []
    try:
        _, claims, _ = parts
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_Claims)
    except (ValueError, msgspec.DecodeError):
        return None


def _email_beside(id_token: object) -> str | None:
    """The e-mail in the ID token that comes with a person's access token, if they consented to show it."""
    claims = _claims(id_token)
    return claims.email if claims is not None and isinstance(claims.email, str) else None


class _Exchanged(msgspec.Struct):
    access_token: str
    expires_in: int | str
    scope: str | None = None
    id_token: Any = None


class _Claims(msgspec.Struct):
    aud: str
    exp: int
    email: Any = None
