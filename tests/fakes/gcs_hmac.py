"""A strict fake of Cloud Storage as HMAC keys see it: the JSON API that makes them, and the XML API that takes them.

The API wants a bearer token of the fake Google with a scope that may administer; the store a version 4 signature by an
active key. A key has to be deactivated before it is deleted, and an account has ten at most, as at Google. `steps` is
told of each call before and after it was done, so that a test can strike there.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import msgspec

from tests.fakes.google.registry import NotAccepted, Registry
from tests.fakes.objects import Buckets
from tests.fakes.s3 import FakeS3
from tests.fakes.serving import Answer, Call, Served
from tests.fakes.sigv4 import KeyRecord

ACCOUNT = "hmac@my-project.iam.gserviceaccount.com"
MOST = 10
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/devstorage.full_control")


class HmacKey(msgspec.Struct, kw_only=True):
    """One key. `created` is in seconds since the epoch."""

    id: str
    secret: str
    account: str
    created: float
    state: str = "ACTIVE"

    def shown(self) -> dict[str, Any]:
        """Its metadata, without the secret."""
        created = datetime.fromtimestamp(self.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {
            "kind": "storage#hmacKeyMetadata",
            "accessId": self.id,
            "projectId": "my-project",
            "serviceAccountEmail": self.account,
            "state": self.state,
            "timeCreated": created,
            "updated": created,
            "etag": "x",
        }


class FakeGcsHmac:
    """One project. Tokens are those of `registry`; `may_administer` is the role that it takes."""

    def __init__(self, registry: Registry, buckets: Buckets, clock: Callable[[], float] = time.time) -> None:
        self.keys: dict[str, HmacKey] = {}
        self.accounts = {ACCOUNT}
        self.may_administer = True
        self.paged: int | None = None
        self.done: list[str] = []
        self.made: list[HmacKey] = []
        self.steps: Callable[[str], None] = lambda _: None
        self.buckets = buckets
        self._registry, self._clock = registry, clock
        self.store = FakeS3(self.record, buckets, region="auto", clock=clock)

    def serve(self, port: int = 0) -> Served:
        """Over HTTP, from now until it is stopped."""
        return Served(self.answer, port)

    def plant(self, age: float, account: str = ACCOUNT, state: str = "ACTIVE") -> HmacKey:
        """A key that was made `age` seconds ago."""
        key = HmacKey(
            id=f"GOOG1E{secrets.token_hex(27).upper()}",
            secret=secrets.token_urlsafe(30),
            account=account,
            created=self._clock() - age,
            state=state,
        )
        self.keys[key.id] = key
        return key

    def record(self, id_: str) -> KeyRecord | None:
        """An active key, as a store verifies signatures by it."""
        key = self.keys.get(id_)
        return KeyRecord(access_key_id=key.id, secret=key.secret) if key and key.state == "ACTIVE" else None

    def answer(self, call: Call) -> Answer:
        """Either API."""
        if not call.path.startswith("/storage/v1/"):
            return self.store.answer(call)
        name = {"GET": "list", "POST": "create", "PUT": "deactivate", "DELETE": "delete"}[call.method]
        self.steps(f"before {name}")
        answer = self._administer(call)
        self.steps(f"after {name}")
        return answer

    def _administer(self, call: Call) -> Answer:
        token = call.fields.get("authorization", "").removeprefix("Bearer ")
        try:
            self._registry.check(token, *_SCOPES)
        except NotAccepted as refused:
            return _error(refused.status)
        if not self.may_administer:
            return _error(403)
        parts = call.path.removeprefix("/storage/v1/projects/").split("/")
        if parts[:2] != ["my-project", "hmacKeys"]:
            return _error(404)
        return self._one(call, unquote(parts[2])) if len(parts) > 2 else self._all(call)

    def _all(self, call: Call) -> Answer:
        account = call.query.get("serviceAccountEmail")
        if account not in self.accounts:
            return _error(404)
        theirs = [key for key in self.keys.values() if key.account == account]
        if call.method == "GET":
            return self._page(theirs, call.query.get("pageToken"))
        if call.method != "POST" or len(theirs) >= MOST:
            return _error(400)
        key = self.plant(0, account)
        self.made.append(key)
        self.done.append("create")
        return _json({"kind": "storage#hmacKey", "metadata": key.shown(), "secret": key.secret})

    def _page(self, theirs: list[HmacKey], token: str | None) -> Answer:
        """All of them, or a page of `paged` and where the next one begins."""
        begins = int((token or "page-0").removeprefix("page-"))
        ends = len(theirs) if self.paged is None else begins + self.paged
        shown: dict[str, Any] = {"kind": "storage#hmacKeysMetadata"}
        if items := [key.shown() for key in theirs[begins:ends]]:  # Google leaves out what is empty
            shown["items"] = items
        if ends < len(theirs):
            shown["nextPageToken"] = f"page-{ends}"
        return _json(shown)

    def _one(self, call: Call, id_: str) -> Answer:
        key = self.keys.get(id_)
        if key is None:
            return _error(404)
        if call.method == "PUT":
            state = msgspec.json.decode(call.body)["state"]
            if state not in {"ACTIVE", "INACTIVE"}:
                return _error(400)
            key.state = state
            self.done.append("deactivate")
            return _json(key.shown())
        if call.method != "DELETE" or key.state == "ACTIVE":
            return _error(400)
        del self.keys[id_]
        self.done.append("delete")
        return Answer(204)


def _error(status: int) -> Answer:
    body = {"error": {"code": status, "message": "CANARY", "errors": [{"message": "CANARY", "reason": "CANARY"}]}}
    return Answer(status, msgspec.json.encode(body))


def _json(members: dict[str, Any]) -> Answer:
    return Answer(200, msgspec.json.encode(members), {"Content-Type": "application/json; charset=UTF-8"})
