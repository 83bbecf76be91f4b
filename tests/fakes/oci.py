"""A strict fake of Oracle's cloud: an identity domain's token exchange, the identity service's keys, object storage.

Sessions and keys are verified at each request and refused as the services refuse them: 401 NotAuthenticated without a
word of why, 404 for what is not there or not allowed, 400 where a user has as many keys as he may have.
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count
from typing import Any
from urllib.parse import parse_qs, unquote

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.google import jwt
from tests.fakes.google.registry import key_of
from tests.fakes.oci_signature import NotAuthenticated, fingerprint, signer
from tests.fakes.serving import Answer, Call, Served

TENANCY, NAMESPACE, BUCKET, REGION = "ocid1.tenancy.oc1..acme", "acme", "data", "eu-frankfurt-1"
BROKER, JOBS, STRANGER = (f"ocid1.user.oc1..{name}" for name in ("broker", "jobs", "stranger"))
CLIENT_ID, CLIENT_SECRET, AUDIENCE = "app-1", "app/secret", "https://domain.example"
QUOTA = {"apiKeys": 3, "customerSecretKeys": 2}
SESSION = "ST$"
_IDENTITY = "/20160918/users/"


class Refused(Exception):
    """A refusal as the services write it."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class FakeOci:
    """All of it behind one address. The user `BROKER` may manage the keys of `JOBS`, and `STRANGER` nobody's."""

    def __init__(self, lifetime: float = 3600.0, clock: Callable[[], float] = time.time) -> None:
        self.lifetime = lifetime
        self.clock = clock
        self.skew = 0.0  # our Date, and what a signature's is compared with, less the clock
        self.asked: list[tuple[str, str]] = []  # method and path
        self.refused: list[str] = []  # why, in the fake's own words
        self.signers: list[str] = []  # keyIds that object storage answered
        self.ended: set[str] = set()  # keyIds of sessions that were ended before their time
        self.trusting = True  # False: whatever is shown is taken as ended
        self.objects: dict[str, bytes] = {}
        self.keys: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by user and kind
        self.hook: Callable[[str, str], None] = lambda _method, _moment: None  # before and after a change is made
        self._lock = threading.RLock()
        self._numbers = count(1)
        for user in (BROKER, STRANGER):
            self.upload(user, key_of(user).public_key())

    def serve(self, port: int = 0) -> Served:
        """Over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def subject(self, issuer: str = "issuer", **claims: Any) -> str:
        """An OIDC token as the domain trusts it, unless a claim is another."""
        ordinary = {"sub": "job", "aud": AUDIENCE, "exp": int(self.now + 600)}
        return jwt.sign(key_of(issuer), ordinary | claims)

    def upload(self, user: str, key: rsa.RSAPublicKey, age: float = 0.0) -> dict[str, Any]:
        """One more API key of a user, however many there are."""
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        made = self._common(user, age) | {"keyId": f"{TENANCY}/{user}/{fingerprint(key)}", "keyValue": pem}
        made["fingerprint"] = fingerprint(key)
        self.keys.setdefault((user, "apiKeys"), []).append(made)
        return made

    def age(self, seconds: float) -> None:
        """Make every key of `JOBS` as if so much time had passed since it was made."""
        for (user, _), keys in self.keys.items():
            for key in keys if user == JOBS else ():
                made = datetime.fromisoformat(key["timeCreated"]).timestamp() - seconds
                key["timeCreated"] = datetime.fromtimestamp(made, UTC).isoformat()
                if (name := key.get("displayName", "")).startswith("credbroker-"):
                    head, _, ends = name.rpartition("-")
                    key["displayName"] = f"{head}-{int(int(ends) - seconds)}"

    @property
    def now(self) -> float:
        """The time as the services have it."""
        return self.clock() + self.skew

    def answer(self, call: Call) -> Answer:
        """What the services answer."""
        self.asked.append((call.method, call.path))
        try:
            status, said = self._answer(call)
        except Refused as refused:
            self.refused.append(refused.code)
            status, said = refused.status, {"code": refused.code, "message": "UPSTREAM-TEXT"}
        except NotAuthenticated as refused:
            self.refused.append(refused.why)
            status, said = 401, {"code": "NotAuthenticated", "message": "UPSTREAM-TEXT"}
        now = formatdate(self.now, usegmt=True)
        if isinstance(said, bytes):
            fields = {"Date": now, "Last-Modified": now, "Accept-Ranges": "bytes", "ETag": "e", "Version-Id": "v"}
            fields |= {"Storage-Tier": "Standard"}
            return Answer(status, said, fields | {"Content-Type": "application/octet-stream"})
        return Answer(status, json.dumps(said).encode(), {"Content-Type": "application/json", "Date": now})

    def _answer(self, call: Call) -> tuple[int, Any]:
        if (call.method, call.path) == ("POST", "/oauth2/v1/token"):
            return self._exchange(call)
        by = signer(call, self._public, self.now, whole=call.method == "POST")
        if call.path.startswith(_IDENTITY):
            with self._lock:
                return self._identity(call, by)
        return self._storage(call, by)

    def _exchange(self, call: Call) -> tuple[int, Any]:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if call.fields.get("authorization") != f"Basic {basic}":
            return 401, {"error": "invalid_client", "error_description": "UPSTREAM-TEXT"}
        form = {name: one for name, (one, *_) in parse_qs(call.body.decode()).items()}
        wanted = ("urn:ietf:params:oauth:grant-type:token-exchange", "urn:oci:token-type:oci-upst", "jwt")
        if (form["grant_type"], form["requested_token_type"], form["subject_token_type"]) != wanted:
            return 400, {"error": "invalid_request", "error_description": "UPSTREAM-TEXT"}
        try:
            claims = jwt.verify(form["subject_token"], key_of("issuer").public_key())
        except jwt.BadJwt:
            claims = {}
        if claims.get("aud") != AUDIENCE or claims.get("exp", 0) <= self.now:
            return 400, {"error": "invalid_grant", "error_description": "UPSTREAM-TEXT"}
        key = serialization.load_der_public_key(base64.b64decode(form["public_key"], validate=True))
        assert isinstance(key, rsa.RSAPublicKey)
        now = int(self.now)
        session = {"sub": BROKER, "tenant": TENANCY, "iat": now, "exp": now + int(self.lifetime)}
        session |= {"jti": secrets.token_hex(8), "jwk": json.dumps(jwt.public_jwk(key))}
        return 200, {"token": jwt.sign(key_of("domain"), session)}

    def _public(self, key_id: str) -> rsa.RSAPublicKey | None:
        """The key that a keyId stands for: a session's own, while it lives, or an API key that is still there."""
        if key_id in self.ended or not self.trusting:
            return None
        if key_id.startswith(SESSION):
            try:
                claims = jwt.verify(key_id.removeprefix(SESSION), key_of("domain").public_key())
            except jwt.BadJwt:
                return None
            numbers = {name: int.from_bytes(jwt.decoded(json.loads(claims["jwk"])[name])) for name in ("n", "e")}
            return rsa.RSAPublicNumbers(**numbers).public_key() if self.now < claims["exp"] else None
        for key in (key for (_, kind), keys in self.keys.items() if kind == "apiKeys" for key in keys):
            if key["keyId"] == key_id:
                found = serialization.load_pem_public_key(key["keyValue"].encode())
                assert isinstance(found, rsa.RSAPublicKey)
                return found
        return None

    def _identity(self, call: Call, by: str) -> tuple[int, Any]:
        user, kind, *rest = call.path.removeprefix(_IDENTITY).rstrip("/").split("/")
        asker = by.split("/")[1] if "/" in by else BROKER
        if user not in {BROKER, JOBS} or asker not in {user, BROKER} or kind not in QUOTA:
            raise Refused(404, "NotAuthorizedOrNotFound")
        keys = self.keys.setdefault((user, kind), [])
        match call.method, rest:
            case "GET", []:
                return 200, [{name: one for name, one in key.items() if name != "key"} for key in keys]
            case "POST", []:
                self.hook("POST", "before")
                if len(keys) >= QUOTA[kind]:
                    raise Refused(400, "LimitExceeded")
                made = self._made(user, kind, json.loads(call.body))
                self.hook("POST", "after")
                return 200, made
            case "DELETE", [name]:
                self.hook("DELETE", "before")
                if not (found := [key for key in keys if name in {key["id"], key.get("fingerprint")}]):
                    raise Refused(404, "NotAuthorizedOrNotFound")
                keys.remove(found[0])
                self.hook("DELETE", "after")
                return 204, b""
        raise Refused(405, "MethodNotAllowed")

    def _made(self, user: str, kind: str, details: dict[str, Any]) -> dict[str, Any]:
        if kind == "apiKeys":
            key = serialization.load_pem_public_key(details["key"].encode())
            assert isinstance(key, rsa.RSAPublicKey)
            return self.upload(user, key)
        made = self._common(user) | {"displayName": details["displayName"], "key": secrets.token_urlsafe(30)}
        self.keys[user, kind].append(made)
        return made

    def _common(self, user: str, age: float = 0.0) -> dict[str, Any]:
        at = datetime.fromtimestamp(self.now - age, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        return {"id": f"key{next(self._numbers)}", "userId": user, "timeCreated": at, "lifecycleState": "ACTIVE"}

    def _storage(self, call: Call, by: str) -> tuple[int, Any]:
        self.signers.append(by)
        if call.path.rstrip("/") == "/n":
            return 200, NAMESPACE
        bucket = f"/n/{NAMESPACE}/b/{BUCKET}"
        folder = f"{bucket}/o/"
        if (call.method, call.path) == ("HEAD", bucket):
            return 200, b""
        if (call.method, f"{call.path}/") == ("GET", folder):
            found = sorted(name for name in self.objects if name.startswith(call.query.get("prefix", "")))
            return 200, {"objects": [{"name": name} for name in found], "prefixes": []}
        if not call.path.startswith(folder):
            raise Refused(404, "BucketNotFound")
        name = unquote(call.path.removeprefix(folder))
        if call.method == "PUT":
            self.objects[name] = call.body
            return 200, b""
        if name not in self.objects:
            raise Refused(404, "ObjectNotFound")
        first, _, last = call.fields.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        piece = self.objects[name][int(first) : int(last) + 1 if last else None]
        return (206 if "range" in call.fields else 200), piece
