"""How an app proves itself to the fake Entra ID without a secret: by its certificate, or by a federated issuer's token.

Facts: https://learn.microsoft.com/entra/identity-platform/certificate-credentials and
https://learn.microsoft.com/entra/workload-id/workload-identity-federation.
"""

import base64
import hashlib
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.google import jwt

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = "api://AzureADTokenExchange"
SKEW = 300


class Federation(msgspec.Struct, frozen=True):
    """Whose tokens an app accepts: an issuer, its public key, and one subject."""

    issuer: str
    subject: str
    key: Any


class App(msgspec.Struct, kw_only=True):
    """An app registration; what it is given here it proves itself with."""

    client_id: str
    object_id: str
    secrets: set[str] = msgspec.field(default_factory=set)
    expired_secrets: set[str] = msgspec.field(default_factory=set)
    certificates: list[bytes] = msgspec.field(default_factory=list)  # PEM
    federations: list[Federation] = msgspec.field(default_factory=list)
    enabled: bool = True


class Refusal(Exception):
    """Entra refuses: a status, OAuth's word, and the number after AADSTS."""

    def __init__(self, status: int, word: str, number: int, text: str) -> None:
        super().__init__(number)
        self.status = status
        self.word = word
        self.number = number
        self.text = text


def verify(app: App, assertion: str, audience: str, now: float) -> str | None:
    """The identifier of an assertion that is good once, None for one that is good as long as it lives."""
    try:
        header, claims = jwt.read(assertion)
    except jwt.BadJwt as error:
        raise Refusal(401, "invalid_client", 50027, "The assertion is no JWT.") from error
    if claims.get("iss") == claims.get("sub") == app.client_id:
        return _by_certificate(app, assertion, header, claims, audience, now)
    _by_federation(app, assertion, claims, now)
    return None


def _by_certificate(  # noqa: PLR0917 - what there is to verify
    app: App, assertion: str, header: dict[str, Any], claims: dict[str, Any], audience: str, now: float
) -> str:
    thumbprints = {_thumbprint(pem, hashlib.sha1): pem for pem in app.certificates}
    thumbprints |= {_thumbprint(pem, hashlib.sha256): pem for pem in app.certificates}
    pem = thumbprints.get(str(header.get("x5t#S256") or header.get("x5t")).rstrip("="))
    if pem is None or not _is_signed(assertion, str(header.get("alg")), x509.load_pem_x509_certificate(pem)):
        raise Refusal(401, "invalid_client", 700027, "The certificate is not registered, or did not sign this.")
    if claims.get("aud") != audience:
        raise Refusal(401, "invalid_client", 700023, "The audience of the assertion is not the token endpoint.")
    _in_time(claims, now)
    if not isinstance(claims.get("jti"), str):
        raise Refusal(401, "invalid_client", 50027, "The assertion has no jti.")
    return str(claims["jti"])


def _by_federation(app: App, assertion: str, claims: dict[str, Any], now: float) -> None:
    for one in app.federations:
        if (one.issuer, one.subject, EXCHANGE) == (claims.get("iss"), claims.get("sub"), claims.get("aud")):
            try:
                jwt.verify(assertion, one.key)
            except jwt.BadJwt as error:
                raise Refusal(401, "invalid_client", 50013, "The assertion's signature is not valid.") from error
            _in_time(claims, now)
            return
    raise Refusal(401, "invalid_client", 700213, "No federated identity record matches the assertion's subject.")


def _in_time(claims: dict[str, Any], now: float) -> None:
    begins, ends = claims.get("nbf", claims.get("iat")), claims.get("exp")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float):
        raise Refusal(401, "invalid_client", 50027, "The assertion does not say when it is good.")
    if begins > now + SKEW or ends <= now - SKEW:
        raise Refusal(401, "invalid_client", 700024, "The assertion is not within its valid time range.")


def _is_signed(assertion: str, algorithm: str, certificate: x509.Certificate) -> bool:
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    paddings: dict[str, padding.AsymmetricPadding] = {
        "RS256": padding.PKCS1v15(),
        "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size),
    }
    signed, _, signature = assertion.rpartition(".")
    try:
        key.verify(jwt.decoded(signature), signed.encode(), paddings[algorithm], hashes.SHA256())
    except (InvalidSignature, KeyError):
        return False
    return True


def _thumbprint(pem: bytes, digest: Any) -> str:
    der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
    return base64.urlsafe_b64encode(digest(der).digest()).rstrip(b"=").decode()
