"""RS256 JSON Web Tokens, signed and verified with cryptography alone, so that google-auth is not its own witness."""

import base64
import hashlib
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class BadJwt(Exception):
    """Not a token of the expected form, or not signed by the expected key."""


def encoded(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """The reverse; BadJwt where it is not base64url."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise BadJwt("not base64url") from error


def sign(key: rsa.RSAPrivateKey, claims: dict[str, Any], key_id: str | None = None) -> str:
    """A signed token of these claims."""
    header = {"alg": "RS256", "typ": "JWT", "kid": key_id or thumbprint(key.public_key())}
    signed = f"{encoded(msgspec.json.encode(header))}.{encoded(msgspec.json.encode(claims))}"
    return f"{signed}.{encoded(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified."""
    try:
        header, claims, _ = token.split(".")
        return (
            msgspec.json.decode(decoded(header), type=dict[str, Any]),
            msgspec.json.decode(decoded(claims), type=dict[str, Any]),
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise BadJwt("not a JSON Web Token") from error


def verify(token: str, key: rsa.RSAPublicKey) -> dict[str, Any]:
    """The claims of a token that this key signed with RS256; BadJwt otherwise."""
    header, claims = read(token)
    if header.get("alg") != "RS256":
        raise BadJwt("not RS256")
    signed, _, signature = token.rpartition(".")
    try:
        key.verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise BadJwt("not signed by this key") from error
    return claims


def public_jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    """The public key as a JWKS lists it."""
    numbers = key.public_numbers()
    return {
        "kty": "RSA",
        "alg": "RS256",
        "use": "sig",
        "kid": thumbprint(key),
        "n": encoded(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        "e": encoded(numbers.e.to_bytes(3)),
    }


def thumbprint(key: rsa.RSAPublicKey) -> str:
    """A stable name for a key."""
    return hashlib.sha256(str(key.public_numbers().n).encode()).hexdigest()[:40]
