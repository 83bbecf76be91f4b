"""A strict fake of CoreWeave AI Object Storage: the API that makes keys, and the store that takes them, on one port.

Keys have no session token and end by themselves, at the second that was stated. OIDC tokens are known by their text:
who verifies those is CoreWeave's business.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.fakes.objects import Buckets
from tests.fakes.s3 import FakeS3
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord

API_TOKEN, OIDC_TOKEN, ORGANIZATION = "CW-SECRET-token", "header.claims.proof", "abc123"
LONGEST_BY_OIDC = 43_200


class FakeCoreWeave:
    """One organization. `quota` keys may live at once."""

    def __init__(self, buckets: Buckets, clock: Callable[[], float] = time.time, quota: int = 100) -> None:
        self.buckets = buckets
        self.api_tokens, self.oidc_tokens = {API_TOKEN}, {OIDC_TOKEN}
        self.may_make_keys = True
        self.keys: dict[str, KeyRecord] = {}
        self.names: list[str] = []
        self._clock, self._quota = clock, quota
        self.store = FakeS3(self.keys.get, buckets, region="us-east-1", clock=clock)

    def serve(self, port: int = 0) -> Served:
        """Over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def answer(self, call: Call) -> Answer:
        """Either side."""
        if not call.path.startswith("/v1/cwobject/"):
            return self.store.answer(call)
        if call.method != "POST" or call.fields.get("content-type") != "application/json":
            return _status(404, 5)
        body = msgspec.json.decode(call.body)
        match call.path:
            case "/v1/cwobject/access-key":
                return self._by_token(call.fields.get("authorization", ""), body)
            case "/v1/cwobject/temporary-credentials/oidc":
                return self._by_oidc(call.fields, body)
        return _status(404, 5)

    def _by_token(self, authorization: str, body: dict[str, Any]) -> Answer:
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer" or token not in self.api_tokens:
            return _status(401, 16)
        if not self.may_make_keys:
            return _status(403, 7)
        if set(body) - {"durationSeconds", "attributes"}:
            return _status(400, 3)
        return self._make(body, "coreweave/token-1")

    def _by_oidc(self, fields: dict[str, str], body: dict[str, Any]) -> Answer:
        if "authorization" in fields or set(body) != {"durationSeconds", "attributes", "orgId", "oidcToken"}:
            return _status(400, 3)
        if body["orgId"] != ORGANIZATION:
            return _status(404, 5)
        if body["oidcToken"] not in self.oidc_tokens:
            return _status(401, 16)
        if body["durationSeconds"] > LONGEST_BY_OIDC:
            return _status(400, 3)
        return self._make(body, "issuer/subject-1")

    def _make(self, body: dict[str, Any], principal: str) -> Answer:
        seconds, attributes = body["durationSeconds"], body["attributes"]
        if type(seconds) is not int or seconds < 0 or not all(isinstance(text, str) for text in attributes.values()):
            return _status(400, 3)
        now = self._clock()
        if sum(1 for key in self.keys.values() if (key.expires_at or now + 1) > now) >= self._quota:
            return _status(429, 8)
        ends = float(int(now) + seconds) if seconds else None
        key = KeyRecord(access_key_id=f"CW{secrets.token_hex(7).upper()}", secret=f"cwo{secrets.token_hex(20)}")
        self.keys[key.access_key_id] = msgspec.structs.replace(key, expires_at=ends)
        self.names.append(attributes.get("name", ""))
        members = {
            "accessKeyId": key.access_key_id,
            "secretKey": key.secret,
            "principalName": principal,
            "expiry": datetime.fromtimestamp(ends or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "attributes": attributes,
        }
        return Answer(200, msgspec.json.encode(members), {"Content-Type": "application/json"})


def _status(status: int, code: int) -> Answer:
    body = msgspec.json.encode({"code": code, "message": "CANARY", "details": []})
    return Answer(status, body, {"Content-Type": "application/json"})
