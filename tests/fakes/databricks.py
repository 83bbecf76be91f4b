"""A strict fake Databricks workspace: its token endpoint, and the two APIs that the tests of clients use.

Facts: https://docs.databricks.com/dev-tools/auth/oauth-m2m and https://docs.databricks.com/api/workspace/files.
"""

import base64
import ssl
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes.google import jwt
from tests.fakes.serving import Answer, Call, Served

FILES = "/api/2.0/fs/files/"
JSON = {"Content-Type": "application/json"}


class FakeWorkspace(Served):
    """One workspace: service principals with secrets, and files. `fault` replaces what the token endpoint answers."""

    def __init__(self, lifetime: int = 3600, tls: ssl.SSLContext | None = None) -> None:
        self.lifetime = lifetime
        self.ahead = 0.0
        self.principals: dict[str, str] = {}  # client id -> secret
        self.files: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.fault: Answer | None = None
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        super().__init__(self._answer, tls=tls)

    def now(self) -> float:
        """By its own clock."""
        return time.time() + self.ahead

    def check(self, token: str) -> dict[str, Any]:
        """The claims of a token of ours that lives, and whose principal is still there. Raises BadJwt."""
        claims = jwt.verify(token, self._key.public_key())
        if claims["iss"] != f"{self.url}/oidc" or claims["exp"] <= self.now() or claims["sub"] not in self.principals:
            raise jwt.BadJwt("expired, or of another workspace")
        return claims

    def _answer(self, call: Call) -> Answer:
        if call.path == "/.well-known/databricks-config":  # anybody may ask
            return _json(200, oidc_endpoint=f"{self.url}/oidc", account_id="acc", workspace_id="1")
        if call.path == "/oidc/v1/token":
            self.calls["token"] += 1
            return self.fault or self._token(call)
        try:
            scheme, _, token = call.fields.get("authorization", "").partition(" ")
            claims = self.check(token if scheme == "Bearer" else "")
        except jwt.BadJwt:
            self.refused[call.path] += 1
            return _json(
                401, error_code="UNAUTHENTICATED", message="Credential was not sent or was of an unsupported type"
            )
        self.calls[call.path] += 1
        return self._api(call, claims)

    def _api(self, call: Call, claims: dict[str, Any]) -> Answer:
        if call.path == "/api/2.0/preview/scim/v2/Me":
            return _json(200, userName=claims["sub"], active=True)
        name = unquote(call.path.removeprefix(FILES))
        if not call.path.startswith(FILES):
            return _json(404, error_code="ENDPOINT_NOT_FOUND", message="No API found")
        if call.method == "PUT":
            self.files[name] = call.body
            return Answer(204)
        if name not in self.files:
            return _json(404, error_code="NOT_FOUND", message="The file being accessed is not found.")
        fields = {
            "Content-Type": "application/octet-stream",
            "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.now())),
        }
        return Answer(200, self.files[name], fields)

    def _token(self, call: Call) -> Answer:
        form = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        date = {"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.now()))}
        client, _, secret = _basic(call.fields.get("authorization", "")).partition(":")
        is_form = call.fields.get("content-type", "").partition(";")[0] == "application/x-www-form-urlencoded"
        if call.method != "POST" or call.raw_query or not is_form:
            return _json(400, date, error="invalid_request", error_description="POST a form")
        if form.get("grant_type") != "client_credentials":
            return _json(400, date, error="unsupported_grant_type", error_description="unknown grant")
        if not secret or self.principals.get(client) != secret:
            return _json(401, date, error="invalid_client", error_description="Client authentication failed")
        if form.get("scope") != "all-apis":
            return _json(400, date, error="invalid_scope", error_description="unknown scope")
        now = int(self.now())
        claims = {"iss": f"{self.url}/oidc", "sub": client, "client_id": client, "scope": "all-apis"}
        token = jwt.sign(self._key, claims | {"iat": now, "exp": now + self.lifetime, "jti": str(self.calls["token"])})
        return _json(200, date, access_token=token, token_type="Bearer", scope="all-apis", expires_in=self.lifetime)


def _basic(authorization: str) -> str:
    scheme, _, text = authorization.partition(" ")
    try:
        return base64.b64decode(text, validate=True).decode() if scheme == "Basic" else ""
    except ValueError:
        return ""


def _json(status: int, fields: dict[str, str] | None = None, /, **members: object) -> Answer:
    return Answer(status, msgspec.json.encode(members), JSON | (fields or {}))
