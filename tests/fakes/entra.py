"""A strict fake Entra ID: the client-credentials grant of its v2.0 endpoint, verified as the real one verifies it.

Facts: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow and
.../reference-error-codes. Its tokens are signed, in the form (v1.0) that storage accounts and Azurite accept.
"""

import secrets
import ssl
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fakes import entra_assertions
from tests.fakes.entra_assertions import App, Refusal
from tests.fakes.google import jwt
from tests.fakes.serving import Answer, Call, Served

TENANT = "11111111-2222-3333-4444-555555555555"
STORAGE = "https://storage.azure.com"
RESOURCES = {STORAGE, "https://vault.azure.net", "https://management.azure.com", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"}
JSON = {"Content-Type": "application/json; charset=utf-8"}


class FakeEntra(Served):
    """One tenant with its apps. `ahead` is how far its clock is ahead of ours; `fault` replaces every answer."""

    def __init__(self, tls: ssl.SSLContext, lifetime: int = 3600) -> None:
        self.lifetime = lifetime
        self.ahead = 0.0
        self.apps: dict[str, App] = {}
        self.calls: Counter[str] = Counter()
        self.fault: Answer | None = None
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._seen: set[str] = set()  # assertions are good once
        super().__init__(self._answer, tls=tls)

    def app(self, **more: Any) -> App:
        """A new app of the tenant, with a secret."""
        app = App(client_id=str(uuid.uuid4()), object_id=str(uuid.uuid4()), **more)
        self.apps[app.client_id] = app
        return app

    def now(self) -> float:
        """By its own clock."""
        return time.time() + self.ahead

    def check(self, token: str, resource: str = STORAGE) -> dict[str, Any]:
        """The claims of a token of ours that lives and is for that resource. Raises BadJwt."""
        claims = jwt.verify(token, self.key.public_key())
        if claims["aud"] != resource or not claims["nbf"] <= self.now() < claims["exp"]:
            raise jwt.BadJwt("expired, or for another resource")
        return claims

    def _answer(self, call: Call) -> Answer:
        tenant, _, rest = call.path.removeprefix("/").partition("/")
        endpoints: dict[tuple[str, str], tuple[str, Callable[[Call, str], Answer]]] = {
            ("GET", "v2.0/.well-known/openid-configuration"): ("discovery", self._discovery),
            ("POST", "oauth2/v2.0/token"): ("token", self._token),
        }
        name, endpoint = endpoints.get((call.method, rest), ("unknown", _nowhere))
        self.calls[name] += 1
        if self.fault is not None:
            return self.fault
        try:
            return endpoint(call, tenant)
        except Refusal as refusal:
            return self._refused(refusal)

    def _discovery(self, _: Call, tenant: str) -> Answer:
        _known(tenant)
        return _json(
            200,
            issuer=f"{self.url}/{tenant}/v2.0",
            authorization_endpoint=f"{self.url}/{tenant}/oauth2/v2.0/authorize",
            token_endpoint=f"{self.url}/{tenant}/oauth2/v2.0/token",
            jwks_uri=f"{self.url}/{tenant}/discovery/v2.0/keys",
        )

    def _token(self, call: Call, tenant: str) -> Answer:
        _known(tenant)
        form = _form(call)
        if form.get("grant_type") != "client_credentials":
            raise Refusal(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        app = self.apps.get(form.get("client_id", ""))
        if app is None:
            raise Refusal(400, "unauthorized_client", 700016, "Application not found in the directory.")
        if not app.enabled:
            raise Refusal(400, "unauthorized_client", 7000112, "Application is disabled.")
        how = self._authenticated(app, form, tenant)
        return self._issued(app, _resource(form.get("scope", "")), tenant, how)

    def _authenticated(self, app: App, form: dict[str, str], tenant: str) -> str:
        """`appidacr`: 1 for a secret, 2 for an assertion."""
        if "client_secret" in form:
            if form["client_secret"] in app.expired_secrets:
                raise Refusal(401, "invalid_client", 7000222, "The provided client secret keys are expired.")
            if form["client_secret"] not in app.secrets:
                raise Refusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
            return "1"
        if form.get("client_assertion_type") != entra_assertions.TYPE:
            raise Refusal(401, "invalid_client", 7000218, "client_assertion or client_secret is needed.")
        audience = f"{self.url}/{tenant}/oauth2/v2.0/token"
        identifier = entra_assertions.verify(app, form.get("client_assertion", ""), audience, self.now())
        if identifier is not None:
            if identifier in self._seen:
                raise Refusal(401, "invalid_client", 700030, "The assertion was used before.")
            self._seen.add(identifier)
        return "2"

    def _issued(self, app: App, resource: str, tenant: str, how: str) -> Answer:
        now = int(self.now())
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{tenant}/",
            "iat": now,
            "nbf": now,
            "exp": now + self.lifetime,
            "appid": app.client_id,
            "appidacr": how,
            "oid": app.object_id,
            "sub": app.object_id,
            "tid": tenant,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        token = jwt.sign(self.key, claims)
        answer = _json(
            200, token_type="Bearer", expires_in=self.lifetime, ext_expires_in=self.lifetime, access_token=token
        )
        return msgspec.structs.replace(answer, fields=answer.fields | self._date())

    def _refused(self, refusal: Refusal) -> Answer:
        answer = _json(
            refusal.status,
            error=refusal.word,
            error_description=f"AADSTS{refusal.number}: {refusal.text} Trace ID: {uuid.uuid4()}",
            error_codes=[refusal.number],
            timestamp="2026-01-01 00:00:00Z",
            trace_id=str(uuid.uuid4()),
            correlation_id=str(uuid.uuid4()),
        )
        return msgspec.structs.replace(answer, fields=answer.fields | self._date())

    def _date(self) -> dict[str, str]:
        return {"Date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(self.now()))}


def _known(tenant: str) -> None:
    if tenant != TENANT:
        raise Refusal(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")


def _resource(scope: str) -> str:
    """The one resource of a scope of client credentials."""
    parts = scope.split()
    if len(parts) != 1 or not parts[0].endswith("/.default"):
        raise Refusal(400, "invalid_scope", 1002012, "The scope is not valid: it must be a resource with /.default.")
    resource = parts[0].removesuffix("/.default")
    if resource.rstrip("/") not in RESOURCES:
        raise Refusal(400, "invalid_resource", 500011, "The resource principal was not found in the tenant.")
    return resource


def _form(call: Call) -> dict[str, str]:
    pairs = parse_qsl(call.body.decode(), keep_blank_values=True)
    if call.fields.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Refusal(400, "invalid_request", 900144, "The body must be a form.")
    if call.raw_query or len(dict(pairs)) != len(pairs):
        raise Refusal(400, "invalid_request", 9000411, "A parameter is doubled, or stands in the URL.")
    return dict(pairs)


def _nowhere(_: Call, __: str) -> Answer:
    return Answer(404)


def _json(status: int, /, **members: object) -> Answer:
    return Answer(status, msgspec.json.encode(members), JSON)
