"""A strict fake Backblaze B2: the native API's calls about keys, version 4, and the S3-compatible store, on one port.

Keys that have ended open nothing any more, but stay in the list until somebody deletes them: the real one is not said
to take them away. `steps` is told of each call before and after it was done, so that a test can strike there.
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from tests.fakes.objects import Buckets
from tests.fakes.s3 import FakeS3
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord
from tests.fakes.xml_api import refusal

ACCOUNT, REGION = "0a1b2c3d4e5f", "us-west-004"
ALL = (
    "listKeys", "writeKeys", "deleteKeys", "listBuckets", "readBuckets",
    "listFiles", "readFiles", "writeFiles", "deleteFiles", "shareFiles",
)  # fmt: skip
LONGEST = 86_400_000  # seconds
_NEEDED = {"b2_list_buckets": "listBuckets", "b2_list_keys": "listKeys", "b2_create_key": "writeKeys"}
_NEEDED |= {"b2_delete_key": "deleteKeys"}
_FOR_S3 = {"GET": "readFiles", "HEAD": "readFiles", "PUT": "writeFiles", "POST": "writeFiles", "DELETE": "deleteFiles"}


class Key(msgspec.Struct, kw_only=True):
    """An application key. Without an end it lives until it is deleted."""

    id: str
    secret: str
    name: str
    capabilities: tuple[str, ...] = ALL
    buckets: tuple[str, ...] | None = None
    prefix: str | None = None
    ends: float | None = None

    def shown(self) -> dict[str, Any]:
        """As lists have it: without the secret."""
        return {
            "accountId": ACCOUNT,
            "applicationKeyId": self.id,
            "keyName": self.name,
            "capabilities": self.capabilities,
            "bucketIds": self.buckets,
            "namePrefix": self.prefix,
            "expirationTimestamp": None if self.ends is None else int(self.ends * 1000),
            "options": ["s3"],
        }


class FakeB2:
    """One account with a master key, `master`."""

    def __init__(self, buckets: Buckets, clock: Callable[[], float] = time.time) -> None:
        self.buckets = buckets
        self.master = Key(id="004master", secret="K004master", name="master")
        self.keys = {self.master.id: self.master}
        self.deleted: list[str] = []  # names
        self.steps: Callable[[str], None] = lambda _: None
        self.cap_exceeded = False
        self._tokens: dict[str, str] = {}
        self._clock = clock
        self.store = FakeS3(self._record, buckets, region=REGION, clock=clock)
        self.url = ""

    def serve(self, port: int = 0) -> Served:
        """Over HTTP, from now until it is stopped."""
        served = Served(self.answer, port)
        self.url = served.url
        return served

    @property
    def made(self) -> list[Key]:
        """All keys but the master's."""
        return [key for key in list(self.keys.values()) if key is not self.master]

    def answer(self, call: Call) -> Answer:
        """Either API."""
        if not call.path.startswith("/b2api/"):
            return self._permitted(call) or self.store.answer(call)
        version, _, name = call.path.removeprefix("/b2api/").partition("/")
        if version != "v4":
            return _error(404, "not_found")
        self.steps(f"before {name}")
        answer = self._authorize(call) if name == "b2_authorize_account" else self._call(name, call)
        self.steps(f"after {name}")
        return answer

    def _authorize(self, call: Call) -> Answer:
        scheme, _, shown = call.fields.get("authorization", "").partition(" ")
        id_, _, secret = base64.b64decode(shown).decode().partition(":")
        key = self.keys.get(id_)
        if scheme != "Basic" or key is None or key.secret != secret or self._over(key):
            return _error(401, "unauthorized")
        token = secrets.token_hex(16)
        self._tokens[token] = key.id
        named = None if key.buckets is None else [{"id": one, "name": one.removeprefix("id-")} for one in key.buckets]
        storage = {
            "apiUrl": self.url,
            "s3ApiUrl": f"https://s3.{REGION}.backblazeb2.com",
            "downloadUrl": self.url,
            "recommendedPartSize": 100_000_000,
            "absoluteMinimumPartSize": 5_000_000,
            "allowed": {"buckets": named, "capabilities": key.capabilities, "namePrefix": key.prefix},
        }
        return _json({"accountId": ACCOUNT, "authorizationToken": token, "apiInfo": {"storageApi": storage}})

    def _call(self, name: str, call: Call) -> Answer:
        key = self.keys.get(self._tokens.get(call.fields.get("authorization", ""), ""))
        if key is None or self._over(key):
            return _error(401, "bad_auth_token")
        if name not in _NEEDED:
            return _error(400, "bad_request")
        if _NEEDED[name] not in key.capabilities:
            return _error(401, "unauthorized")
        if self.cap_exceeded:
            return _error(403, "cap_exceeded")
        body = msgspec.json.decode(call.body)
        if name != "b2_delete_key" and body.get("accountId") != ACCOUNT:
            return _error(400, "bad_request")
        answers: dict[str, Callable[[Key, Mapping[str, Any]], Answer]] = {
            "b2_list_buckets": self._list_buckets,
            "b2_list_keys": self._list_keys,
            "b2_create_key": self._create_key,
            "b2_delete_key": self._delete_key,
        }
        return answers[name](key, body)

    def _list_buckets(self, key: Key, body: Mapping[str, Any]) -> Answer:
        names = [name for name in self.buckets.names() if body.get("bucketName") in {None, name}]
        found = [{"accountId": ACCOUNT, "bucketId": f"id-{name}", "bucketName": name} for name in names]
        return _json({"buckets": [one for one in found if key.buckets is None or one["bucketId"] in key.buckets]})

    def _list_keys(self, _: Key, body: Mapping[str, Any]) -> Answer:
        most = body.get("maxKeyCount") or 100
        ids = sorted(id_ for id_ in self.keys if id_ >= (body.get("startApplicationKeyId") or ""))
        page = [self.keys[id_].shown() for id_ in ids[:most]]
        return _json({"keys": page, "nextApplicationKeyId": ids[most] if len(ids) > most else None})

    def _create_key(self, maker: Key, body: Mapping[str, Any]) -> Answer:
        asked, seconds = body.get("capabilities") or [], body.get("validDurationInSeconds")
        known = {"accountId", "capabilities", "keyName", "validDurationInSeconds", "bucketIds", "namePrefix"}
        plain = str(body.get("keyName", "")).replace("-", "").isalnum() and len(body["keyName"]) <= 100
        if set(body) - known or not plain or not set(asked) <= set(ALL) or not asked:
            return _error(400, "bad_request")
        if seconds is not None and not 0 < seconds <= LONGEST:
            return _error(400, "bad_request")
        if not set(asked) <= set(maker.capabilities):
            return _error(401, "unauthorized")
        buckets = body.get("bucketIds")
        if set(buckets or ()) - {f"id-{name}" for name in self.buckets.names()}:
            return _error(400, "bad_bucket_id")
        key = Key(
            id=f"004{len(self.keys) + len(self.deleted):05}{secrets.token_hex(4)}",
            secret=f"K004{secrets.token_hex(12)}",
            name=body["keyName"],
            capabilities=tuple(asked),
            buckets=None if buckets is None else tuple(buckets),
            prefix=body.get("namePrefix"),
            ends=None if seconds is None else self._clock() + seconds,
        )
        self.keys[key.id] = key
        return _json({**key.shown(), "applicationKey": key.secret})

    def _delete_key(self, _: Key, body: Mapping[str, Any]) -> Answer:
        key = self.keys.pop(body.get("applicationKeyId", ""), None)
        if key is None:
            return _error(400, "bad_request")
        self.deleted.append(key.name)
        return _json(key.shown())

    def _over(self, key: Key) -> bool:
        return key.ends is not None and key.ends <= self._clock()

    def _record(self, id_: str) -> KeyRecord | None:
        key = self.keys.get(id_)
        if key is None or self._over(key):
            return None
        return KeyRecord(access_key_id=key.id, secret=key.secret)

    def _permitted(self, call: Call) -> Answer | None:
        """A refusal by what the key may do; who signed is the store's business."""
        shown = call.fields.get("authorization", "").partition("Credential=")[2].partition("/")[0]
        key = self.keys.get(shown)
        bucket, _, name = unquote(call.path).removeprefix("/").partition("/")
        if key is None or not bucket:
            return None
        needed = _FOR_S3[call.method] if name else "listFiles"
        right = key.buckets is None or f"id-{bucket}" in key.buckets
        below = (name or call.query.get("prefix", "")).startswith(key.prefix or "")
        if right and below and needed in key.capabilities:
            return None
        self.store.refused["AccessDenied"] += 1
        return refusal("AccessDenied", 403, call.path)


def _error(status: int, code: str) -> Answer:
    return Answer(status, msgspec.json.encode({"status": status, "code": code, "message": "CANARY"}))


def _json(members: dict[str, Any]) -> Answer:
    return Answer(200, msgspec.json.encode(members), {"Content-Type": "application/json"})
