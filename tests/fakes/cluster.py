"""What a cluster knows: service accounts, pods, the keys it signs with; its tokens, and what it says of a token.

As strict as pkg/serviceaccount of Kubernetes: signature by the key of that name, issuer, audience, times with a minute
of leeway, and whether the service account and the pod that a token names are still there, by their uids.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.fakes.google import jwt
from tests.fakes.google.registry import key_of

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEEWAY = 60
EXTRA = "authentication.kubernetes.io/"


class Unfit(Exception):
    """A token is refused; the words are those of the real server."""


class Signer:
    """A key of the cluster, and its name."""

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str) -> None:
        self.key = key
        self.kid = kid
        self.alg = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"

    def sign(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """A token with this very header and these claims."""
        signed = ".".join(jwt.encoded(msgspec.json.encode(part)) for part in (header, claims))
        return f"{signed}.{jwt.encoded(self._signature(signed.encode()))}"

    def verify(self, token: str) -> None:
        """Raises Unfit unless it signed this."""
        signed, _, text = token.rpartition(".")
        signature = jwt.decoded(text)
        try:
            if isinstance(self.key, rsa.RSAPrivateKey):
                self.key.public_key().verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            else:
                r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
                self.key.public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as error:
            raise Unfit("go-jose/go-jose: error in cryptographic primitive") from error

    def jwk(self) -> dict[str, str]:
        """Its public half, as the cluster publishes it."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return {**jwt.public_jwk(self.key.public_key()), "kid": self.kid}
        numbers = self.key.public_key().public_numbers()
        x, y = (jwt.encoded(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, "x": x, "y": y}

    def _signature(self, signed: bytes) -> bytes:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


class Running(msgspec.Struct, frozen=True):
    """A pod."""

    namespace: str
    service_account: str
    name: str
    uid: str
    node: str


class FakeCluster:
    """A cluster with one signing key, which may be rotated."""

    def __init__(self, clock: Callable[[], float] = time.time, node_info: bool = True) -> None:
        self.clock = clock
        self.issuer = ISSUER
        self.node_info = node_info  # not before Kubernetes 1.30
        self.signers = [Signer(key_of("cluster"), "key-1")]  # the first one signs
        self.accounts: dict[tuple[str, str], str] = {}
        self.pods: dict[tuple[str, str], Running] = {}

    def run(self, namespace: str, service_account: str, name: str = "worker-0", node: str = "node-a") -> Running:
        """Start a pod; its service account is made where there is none yet."""
        self.accounts.setdefault((namespace, service_account), str(uuid.uuid4()))
        pod = self.pods[namespace, name] = Running(namespace, service_account, name, str(uuid.uuid4()), node)
        return pod

    def delete(self, pod: Running) -> None:
        """The pod is gone, and with it what its tokens are bound to."""
        del self.pods[pod.namespace, pod.name]

    def claims(self, pod: Running, *audiences: str, lifetime: float = 3600) -> dict[str, Any]:
        """What the kubelet's token request for a projected volume puts into a token."""
        now = int(self.clock())
        bound: dict[str, Any] = {
            "namespace": pod.namespace,
            "pod": {"name": pod.name, "uid": pod.uid},
            "serviceaccount": {
                "name": pod.service_account,
                "uid": self.accounts[pod.namespace, pod.service_account],
            },
        }
        if self.node_info:
            bound["node"] = {"name": pod.node, "uid": str(uuid.uuid4())}
        return {
            "aud": list(audiences or (self.issuer,)),
            "exp": now + int(lifetime),
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": bound,
            "nbf": now,
            "sub": f"system:serviceaccount:{pod.namespace}:{pod.service_account}",
        }

    def token(self, pod: Running, *audiences: str, lifetime: float = 3600, **changed: Any) -> str:
        """A projected token, by default for the API server itself; `changed` are claims of a test's own."""
        return self.signed({**self.claims(pod, *audiences, lifetime=lifetime), **changed})

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        """A token of these claims by the present key."""
        signer = self.signers[0]
        return signer.sign({"alg": signer.alg, "kid": signer.kid, **header}, claims)

    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return {"keys": [signer.jwk() for signer in self.signers]}

    def review(self, token: str, audiences: Sequence[str]) -> dict[str, Any]:
        """The `status` of a TokenReview."""
        try:
            claims = self._verified(token)
            compatible = _compatible(claims["aud"], audiences or (self.issuer,))
            return {"authenticated": True, "user": self._user(claims), "audiences": compatible}
        except (Unfit, jwt.BadJwt, KeyError, TypeError) as error:
            return {"user": {}, "error": f"[invalid bearer token, {error}]"}

    def _verified(self, token: str) -> dict[str, Any]:
        header, claims = jwt.read(token)
        if claims.get("iss") != self.issuer:
            raise Unfit("unknown issuer")
        signer = next((one for one in self.signers if one.kid == header.get("kid", self.signers[0].kid)), None)
        if signer is None:
            raise Unfit("invalid signature, no keys found")
        if header.get("alg") != signer.alg:
            raise Unfit("go-jose/go-jose: unexpected signature algorithm")
        signer.verify(token)
        now = self.clock()
        if claims["exp"] < now - LEEWAY:
            raise Unfit("service account token has expired")
        if max(claims["nbf"], claims["iat"]) > now + LEEWAY:
            raise Unfit("service account token is not valid yet")
        return claims

    def _user(self, claims: dict[str, Any]) -> dict[str, Any]:
        bound = claims["kubernetes.io"]
        namespace, account = bound["namespace"], bound["serviceaccount"]
        if self.accounts.get((namespace, account["name"])) != account["uid"]:
            raise Unfit(f"service account {namespace}/{account['name']} has been deleted")
        extra = {f"{EXTRA}credential-id": [f"JTI={claims.get('jti')}"]}
        if pod := bound.get("pod"):
            running = self.pods.get((namespace, pod["name"]))
            if running is None or running.uid != pod["uid"]:
                raise Unfit("service account token has been invalidated")
            extra |= {f"{EXTRA}pod-name": [pod["name"]], f"{EXTRA}pod-uid": [pod["uid"]]}
        if node := bound.get("node"):
            extra |= {f"{EXTRA}node-name": [node["name"]], f"{EXTRA}node-uid": [node["uid"]]}
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        username = f"system:serviceaccount:{namespace}:{account['name']}"
        return {"username": username, "uid": account["uid"], "groups": groups, "extra": extra}


def _compatible(claim: str | list[str], audiences: Sequence[str]) -> list[str]:
    meant = claim if isinstance(claim, list) else [claim]
    found = [audience for audience in meant if audience in audiences]
    if not found:
        raise Unfit(f"token audiences {meant} is invalid for the target audiences {list(audiences)}")
    return found
