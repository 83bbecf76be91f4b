"""A pod's token judged by the cluster's public keys alone, while its API server is away.

What only the API server knows is not known here: whether the pod and its service account are still there. Hence the
daemon does this for no longer than ten minutes. cryptography is imported inside functions only.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from broker import jwt
from broker.errors import Malformed
from broker.model import Keys, Pod, Reviewed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LEEWAY = 60.0  # seconds that the cluster's clock may be ahead of ours
SUBJECT = "system:serviceaccount:"
_SMALLEST_MODULUS = 2048  # bits
_HALF = 32  # bytes of r, and of s, in an ES256 signature
_NEEDED = {"RSA": ("n", "e"), "EC": ("x", "y")}
_KEY_TYPES = {"RS256": "RSA", "ES256": "EC"}


class Jwk(msgspec.Struct, frozen=True):
    """One public key of a set (RFC 7517), as far as it concerns signatures."""

    kty: str
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    crv: str | None = None
    n: str = ""
    e: str = ""
    x: str = ""
    y: str = ""

    def signs(self, alg: str) -> bool:
        """Whether a token of this algorithm may be verified by it."""
        if self.kty != _KEY_TYPES[alg] or self.use not in {None, "sig"} or self.alg not in {None, alg}:
            return False
        return self.kty != "EC" or self.crv == "P-256"


class _Set(msgspec.Struct):
    keys: tuple[Jwk, ...]


def read_set(jwks: bytes) -> tuple[Jwk, ...]:
    """The keys of a set that we can use. Raises Malformed where there is none."""
    try:
        found = msgspec.json.decode(jwks, type=_Set).keys
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise Malformed("the API server's JWKS is not one", code="UnusableAnswer") from None
    usable = tuple(key for key in found if any(key.signs(alg) for alg in _KEY_TYPES) and _is_whole(key))
    if not usable:
        raise Malformed("the API server's JWKS has no key for RS256 or ES256", code="UnusableAnswer")
    return usable


def judge(text: str, keys: Keys, audiences: tuple[str, ...], wall: float) -> Reviewed:
    """Whose token it is by its signature, issuer, audience and times; or why it is nobody's."""
    try:
        token = jwt.parse(text)
        _verify(token, keys.jwks)
        return Reviewed(pod=_pod(token.claims, keys.issuer, audiences, wall), by_keys=True)
    except jwt.BadJwt as bad:
        return Reviewed(reason=bad.reason, by_keys=True)


def _pod(claims: jwt.Claims, issuer: str, audiences: tuple[str, ...], wall: float) -> Pod:
    """The pod that verified claims are about. Raises BadJwt."""
    bound = claims.bound
    meant_for = tuple(audience for audience in claims.audiences if audience in audiences)
    wrong = {
        "jwt-issuer": claims.iss != issuer,
        "jwt-audience": not meant_for,
        "jwt-expired": claims.exp <= wall,
        "jwt-not-yet": max(claims.nbf, claims.iat) > wall + LEEWAY,
        "jwt-subject": claims.sub != f"{SUBJECT}{bound.namespace}:{bound.serviceaccount.name}",
    }
    for reason, is_so in wrong.items():
        if is_so:
            raise jwt.BadJwt(reason)
    if bound.pod is None or bound.node is None:
        raise jwt.BadJwt("jwt-unbound")
    return Pod(
        namespace=bound.namespace,
        service_account=bound.serviceaccount.name,
        name=bound.pod.name,
        uid=bound.pod.uid,
        node=bound.node.name,
        audiences=meant_for,
    )


def _verify(token: jwt.Jwt, jwks: bytes) -> None:
    """Raises BadJwt unless a key of that very name and kind signed it; keys are not tried in turn."""
    from cryptography.exceptions import InvalidSignature

    key = next((key for key in read_set(jwks) if token.kid and key.kid == token.kid and key.signs(token.alg)), None)
    if key is None:
        raise jwt.BadJwt("jwt-unknown-key")
    try:
        _CHECKS[token.alg](key, token)
    except InvalidSignature:
        raise jwt.BadJwt("jwt-signature") from None


def _check_rsa(key: Jwk, token: jwt.Jwt) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    _rsa(key).verify(token.signature, token.signed, PKCS1v15(), hashes.SHA256())


def _check_ec(key: Jwk, token: jwt.Jwt) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if len(token.signature) != 2 * _HALF:
        raise jwt.BadJwt("jwt-signature")
    r, s = (int.from_bytes(half) for half in (token.signature[:_HALF], token.signature[_HALF:]))
    _ec(key).verify(encode_dss_signature(r, s), token.signed, ECDSA(hashes.SHA256()))


_CHECKS: dict[str, Any] = {"RS256": _check_rsa, "ES256": _check_ec}


def _is_whole(key: Jwk) -> bool:
    """Whether the key can be made of its parts: what a cluster publishes can be, what is cut off cannot."""
    try:
        if key.kty == "RSA":
            return _rsa(key).key_size >= _SMALLEST_MODULUS
        _ec(key)
    except ValueError:
        return False
    return True


def _rsa(key: Jwk) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    n, e = (int.from_bytes(jwt.decoded(getattr(key, name))) for name in _NEEDED["RSA"])
    return RSAPublicNumbers(e, n).public_key()


def _ec(key: Jwk) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers

    x, y = (int.from_bytes(jwt.decoded(getattr(key, name))) for name in _NEEDED["EC"])
    return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
