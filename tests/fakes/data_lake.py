"""The part of a strict fake Data Lake that writes: a path is created, bytes are appended, and then flushed.

Azurite has no such endpoint, and reading goes by the account's Blob endpoint anyhow: what is flushed here is handed on
to whoever keeps the blobs. Facts: https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path.
"""

import re
import secrets
import ssl
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import unquote

import msgspec

from tests.fakes.entra import FakeEntra
from tests.fakes.google import jwt
from tests.fakes.serving import Answer, Call, Served


class _Draft(msgspec.Struct):
    """A file that was created; `body` is not to be seen before it is flushed."""

    etag: str
    body: bytes = b""


class FakeLake(Served):
    """One account's, which trusts an Entra ID. `keep` is given a container, a name and the bytes."""

    def __init__(self, entra: FakeEntra, tls: ssl.SSLContext, keep: Callable[[str, str, bytes], None]) -> None:
        self.refused: Counter[str] = Counter()
        self._entra = entra
        self._keep = keep
        self._drafts: dict[str, _Draft] = {}
        super().__init__(self._answer, tls=tls)

    def _answer(self, call: Call) -> Answer:
        scheme, _, token = call.fields.get("authorization", "").partition(" ")
        try:
            self._entra.check(token if scheme == "Bearer" else "")
        except jwt.BadJwt:
            return self._refuse(401, "InvalidAuthenticationInfo")
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", call.fields.get("x-ms-version", "")):
            return self._refuse(400, "MissingRequiredHeader")
        path, query = unquote(call.path), call.query
        match call.method, query.get("resource"), query.get("action"):
            case "PUT", "file", None:
                draft = self._drafts[path] = _Draft(f'"0x{secrets.token_hex(8).upper()}"')
                return self._done(201, draft)
            case "PATCH", None, "append" if path in self._drafts:
                return self._append(self._drafts[path], int(query["position"]), call.body)
            case "PATCH", None, "flush" if path in self._drafts:
                return self._flush(path, int(query["position"]), call.fields.get("if-match"))
        return self._refuse(404, "PathNotFound")

    def _append(self, draft: _Draft, position: int, body: bytes) -> Answer:
        if position != len(draft.body):
            return self._refuse(400, "InvalidAppendPosition")
        draft.body += body
        return self._done(202, draft)

    def _flush(self, path: str, position: int, expected: str | None) -> Answer:
        draft = self._drafts[path]
        if expected not in {None, draft.etag}:
            return self._refuse(412, "ConditionNotMet")
        if position != len(draft.body):
            return self._refuse(400, "InvalidFlushPosition")
        container, _, name = path.removeprefix("/").partition("/")
        self._keep(container, name, draft.body)
        return self._done(200, self._drafts.pop(path))

    def _done(self, status: int, draft: _Draft) -> Answer:
        fields = {"ETag": draft.etag, "Last-Modified": formatdate(time.time(), usegmt=True)}
        return Answer(status, fields=fields | {"x-ms-request-server-encrypted": "true"})

    def _refuse(self, status: int, code: str) -> Answer:
        self.refused[code] += 1
        body = msgspec.json.encode({"error": {"code": code, "message": "Words of Azure's."}})
        return Answer(status, body, {"Content-Type": "application/json;charset=utf-8", "x-ms-error-code": code})
