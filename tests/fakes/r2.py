"""A strict fake Cloudflare R2: the S3 API for temporary keys, and the one call of Cloudflare's API that makes them.

Written from Cloudflare's description and not from our source. The secret of temporary keys follows from the session
token, whose signature, times, account, audience, bucket, scope and paths are all judged at each request. Revoking a
parent ends what was made from it.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from tests.fakes import s3_body
from tests.fakes.objects import Buckets
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord, SignatureRefused, verify
from tests.fakes.tally import where
from tests.fakes.xml_api import Refused, XmlApi, refusal

ACCOUNT = "0123456789abcdef0123456789abcdef"
HOST = f"{ACCOUNT}.r2.cloudflarestorage.com"
API_TOKEN = "cloudflare-api-token"
LONGEST = 604_800
REGIONS = {"auto", "us-east-1"}  # the second is another name for the first
_RANK = ["object-read-only", "object-read-write", "admin-read-only", "admin-read-write"]
_CLAIMS = {"bucket", "scope", "sub", "iss", "aud", "iat", "exp"}
_REGION = re.compile(r"Credential=[^/]+/\d{8}/([a-z0-9-]+)/")


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """An R2 token. It may touch these buckets, at most like this."""

    key_id: str
    secret: str
    buckets: tuple[str, ...] = ("data",)
    scope: str = "object-read-write"


class FakeR2:
    """One account. `serve` gives both APIs on one port: the store at /, the other below /client/v4."""

    def __init__(self, *parents: Parent, buckets: Buckets, clock: Callable[[], float] = time.time) -> None:
        self.buckets = buckets
        self.parents = {parent.key_id: parent for parent in parents}
        self.api_tokens = {API_TOKEN}
        self.answered: Counter[tuple[str, str]] = Counter()  # by access key id and folder
        self.refused: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []  # the bodies that the API was sent
        self._clock = clock
        self._calls = XmlApi(buckets, "auto", lambda call: s3_body.read(call.fields, call.body))

    def serve(self, port: int = 0) -> Served:
        """Over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def answer(self, call: Call) -> Answer:
        """Either API."""
        if call.path.startswith("/client/v4/"):
            return self._api(call)
        try:
            answer = self._store(call)
        except (SignatureRefused, Refused, s3_body.BadBody) as refused:
            self.refused[refused.code] += 1
            return refusal(refused.code, refused.status, call.path)
        return answer

    def _store(self, call: Call) -> Answer:
        claims = self._claims(call.fields.get("x-amz-security-token", ""))
        token = base64.b64decode(call.fields["x-amz-security-token"])[4:]
        record = KeyRecord(
            access_key_id=claims["iss"],
            secret=hashlib.sha256(token).hexdigest(),
            session_token=call.fields["x-amz-security-token"],
        )
        region = _REGION.search(call.fields.get("authorization", ""))
        if region is None or region[1] not in REGIONS:
            raise Refused("InvalidRegionName", 400)
        signed = (call.method, call.path, call.raw_query, call.fields, call.body)
        verify(*signed, {claims["iss"]: record}.get, "s3", self._clock())
        self._permit(call, claims)
        answer = self._calls.answer(call)
        self.answered[record.access_key_id, where(call)] += 1
        return answer

    def _claims(self, shown: str) -> dict[str, Any]:
        """What a session token says, if it is one of ours that lives."""
        try:
            text = base64.b64decode(shown, validate=True).decode()
            said, _, proof = text.removeprefix("jwt/").rpartition(".")
            head, claims = (msgspec.json.decode(_decoded(part)) for part in said.split("."))
        except (binascii.Error, UnicodeDecodeError, ValueError, msgspec.DecodeError):
            raise Refused("Unauthorized", 401) from None
        parent = self.parents.get(claims.get("iss"))
        if not text.startswith("jwt/") or head != {"alg": "HS256", "typ": "JWT"} or parent is None:
            raise Refused("Unauthorized", 401)
        right = hmac.digest(parent.secret.encode(), said.encode(), "sha256")
        if not hmac.compare_digest(right, _decoded(proof)) or not _sound(claims):
            raise Refused("Unauthorized", 401)
        if not claims["iat"] - 60 <= self._clock() < claims["exp"]:
            raise Refused("ExpiredRequest", 400)
        return dict(claims)

    def _permit(self, call: Call, claims: Mapping[str, Any]) -> None:
        """Bucket, scope and paths; never more than the parent may."""
        bucket, _, name = unquote(call.path).removeprefix("/").partition("/")
        parent = self.parents[claims["iss"]]
        writes = call.method not in {"GET", "HEAD"}
        paths = claims.get("paths", {"prefixPaths": [""], "objectPaths": []})
        asked = name or call.query.get("prefix", "")
        within = any(asked.startswith(prefix) for prefix in paths["prefixPaths"])
        listing = not name
        if (
            bucket != claims["bucket"]
            or bucket not in parent.buckets
            or (writes and not all(scope.endswith("-write") for scope in (claims["scope"], parent.scope)))
            or not (within or (not listing and name in paths["objectPaths"]))
        ):
            raise Refused("AccessDenied", 403)

    def _api(self, call: Call) -> Answer:
        """POST /accounts/ID/r2/temp-access-credentials."""
        token = call.fields.get("authorization", "").removeprefix("Bearer ")
        if token not in self.api_tokens:
            return _said(403, 10000)
        if (call.method, call.path) != ("POST", f"/client/v4/accounts/{ACCOUNT}/r2/temp-access-credentials"):
            return _said(404, 7003)
        body = msgspec.json.decode(call.body)
        self.asked.append(body)
        parent = self.parents.get(body.get("parentAccessKeyId"))
        known = {"bucket", "parentAccessKeyId", "permission", "ttlSeconds", "prefixes", "objects"}
        if parent is None or set(body) - known or not 0 < body["ttlSeconds"] <= LONGEST:
            return _said(400, 10005)
        if body["permission"] not in _RANK or _RANK.index(body["permission"]) > _RANK.index(parent.scope):
            return _said(403, 10003)
        if body["bucket"] not in self.buckets.names():
            return _said(404, 10006)
        return self._made(body, parent)

    def _made(self, body: Mapping[str, Any], parent: Parent) -> Answer:
        now = int(self._clock())
        claims = {"bucket": body["bucket"], "scope": body["permission"], "sub": ACCOUNT, "iss": parent.key_id}
        claims |= {"aud": HOST, "iat": now, "exp": now + body["ttlSeconds"]}
        if "prefixes" in body or "objects" in body:
            claims["paths"] = {"prefixPaths": body.get("prefixes", []), "objectPaths": body.get("objects", [])}
        said = ".".join(_encoded(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        token = f"{said}.{_encoded(hmac.digest(parent.secret.encode(), said.encode(), 'sha256'))}"
        result = {
            "accessKeyId": parent.key_id,
            "secretAccessKey": hashlib.sha256(token.encode()).hexdigest(),
            "sessionToken": base64.b64encode(f"jwt/{token}".encode()).decode(),
        }
        return _json(200, {"success": True, "errors": [], "messages": [], "result": result})


def _sound(claims: Mapping[str, Any]) -> bool:
    """Whether every claim is there, of its kind, and for this place."""
    if set(claims) - {"paths", "actions"} != _CLAIMS or (claims["sub"], claims["aud"]) != (ACCOUNT, HOST):
        return False
    paths = claims.get("paths", {"prefixPaths": [], "objectPaths": []})
    whole = all(isinstance(claims[name], int) for name in ("iat", "exp"))
    return (
        whole
        and claims["scope"] in _RANK
        and set(paths) == {"prefixPaths", "objectPaths"}
        and (0 < claims["exp"] - claims["iat"] <= LONGEST)
    )


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def _said(status: int, code: int) -> Answer:
    errors = [{"code": code, "message": "CANARY"}]
    return _json(status, {"success": False, "errors": errors, "messages": [], "result": None})


def _json(status: int, members: dict[str, Any]) -> Answer:
    return Answer(status, msgspec.json.encode(members), {"Content-Type": "application/json"})
