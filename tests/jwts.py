"""Tokens that are not as a cluster makes them."""

import hashlib
import hmac
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization

from tests.fakes.cluster import FakeCluster, Running, Signer
from tests.fakes.google import jwt
from tests.fakes.google.registry import key_of

AUDIENCE = "credbroker"


def joined(header: dict[str, Any], claims: dict[str, Any], signature: bytes) -> str:
    """A token of these very parts."""
    parts = (msgspec.json.encode(header), msgspec.json.encode(claims), signature)
    return ".".join(jwt.encoded(part) for part in parts)


def by_public_key(signer: Signer, claims: dict[str, Any]) -> str:
    """HS256 with the public key as its shared secret: readers that trust `alg` verify it."""
    secret = signer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = joined({"alg": "HS256", "kid": signer.kid}, claims, b"").rpartition(".")[0]
    return f"{unsigned}.{jwt.encoded(hmac.digest(secret, unsigned.encode(), hashlib.sha256))}"


def forgeries(cluster: FakeCluster, pod: Running) -> dict[str, str]:
    """Every kind of token that must be nobody's, by name."""
    good, signer = cluster.claims(pod, AUDIENCE), cluster.signers[0]
    now = int(cluster.clock())
    bound = good["kubernetes.io"]
    stranger = Signer(key_of("stranger"), signer.kid)
    header, claims, signature = cluster.signed(good).split(".")
    other_claims = jwt.encoded(msgspec.json.encode({**good, "sub": "system:serviceaccount:ml:admin"}))
    return {
        "alg none": joined({"alg": "none", "kid": signer.kid}, good, b"x"),
        "alg none unsigned": joined({"alg": "none", "kid": signer.kid}, good, b""),
        "alg None": joined({"alg": "nOnE", "kid": signer.kid}, good, b"x"),
        "HS256 with the public key": by_public_key(signer, good),
        "RS512": signer.sign({"alg": "RS512", "kid": signer.kid}, good),
        "ES256 on an RSA key": signer.sign({"alg": "ES256", "kid": signer.kid}, good),
        "a head to be understood": cluster.signed(good, crit=["exp"]),
        "wrong audience": cluster.token(pod, "vault"),
        "the API server's audience": cluster.token(pod),
        "no audience": cluster.signed({name: value for name, value in good.items() if name != "aud"}),
        "wrong issuer": cluster.token(pod, AUDIENCE, iss="https://elsewhere.example"),
        "expired": cluster.token(pod, AUDIENCE, iat=now - 7200, nbf=now - 7200, exp=now - 3600),
        "not yet": cluster.token(pod, AUDIENCE, nbf=now + 3600, exp=now + 7200),
        "from the future": cluster.token(pod, AUDIENCE, iat=now + 3600, exp=now + 7200),
        "no end": cluster.signed({name: value for name, value in good.items() if name != "exp"}),
        "unknown kid": cluster.signed(good, kid="key-9"),
        "another key": stranger.sign({"alg": "RS256", "kid": signer.kid}, good),
        "its own key": cluster.signed(good, kid="key-9", jwk=stranger.jwk(), jku="https://elsewhere.example"),
        "other claims": f"{header}.{other_claims}.{signature}",
        "no signature": f"{header}.{claims}.{jwt.encoded(b'')}",
        "no pod": cluster.signed({**good, "kubernetes.io": {**bound, "pod": None}}),
        "no node": cluster.signed({**good, "kubernetes.io": {**bound, "node": None}}),
        "another service account": cluster.token(cluster.run("ml", "other", "other-0"), AUDIENCE),
        "another namespace": cluster.token(cluster.run("web", "trainer", "web-0"), AUDIENCE),
        "garbage": "e30.e30.e30",
        "not base64": "a.b.c",
    }
