"""Databricks: OAuth tokens of a service principal (M2M), by one form sent to the workspace's own token endpoint.

By requests and not by databricks-sdk: what the SDK does here is one POST, without a timeout, without a bound on the
answer, and it drops the status, Retry-After and Date that decide what is tried next.
Facts: https://docs.databricks.com/dev-tools/auth/oauth-m2m.
"""

import base64
import re
import urllib.parse
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from broker.errors import Denied, Malformed, MintError
from broker.model import DatabricksToken, Facts, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources import references
from broker.sources.source import Source
from broker.sources.web import TIMEOUT, Heard, is_safe, listening, unreachable

PATH = "/oidc/v1/token"
SCOPE = "all-apis"
LONGEST_LIFETIME = 24 * 3600.0
_TOKEN = re.compile(r"[!-~]{1,16384}")

Url = Annotated[
    str, Meta(max_length=2048, pattern=r"^https?://[^/\s?#@]+/?$(?!\n)", examples=["https://dbc-1.example"])
]
Id = Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9-]+$(?!\n)")]

# The words of RFC 6749, and what to do about them here. Of a refusal nothing else is repeated.
_FINAL = {
    "access_denied": "the workspace does not allow it: add the service principal to the workspace",
    "invalid_client": "the workspace does not know the client, or its secret: correct `client_id` and `client_secret`",
    "invalid_grant": "the workspace refuses the grant for good",
    "invalid_request": "the workspace refuses the request for good: correct `host`",
    "invalid_scope": "the client may not have the scope all-apis",
    "unauthorized_client": "the client may not sign in: add the service principal to the workspace",
    "unsupported_grant_type": "this is no workspace that knows OAuth for service principals: correct `host`",
}


class OAuth(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`databricks-oauth`: an OAuth token of a service principal for all APIs of one workspace, for an hour."""

    kind: ClassVar[Kind] = Kind.DATABRICKS

    host: Annotated[Url, Meta(description="The workspace's address, with https://")]
    client_id: Annotated[Id, Meta(description="The application id of the service principal")]
    client_secret: Annotated[Reference, Meta(description="An OAuth secret of the service principal")]

    @property
    def workspace(self) -> str:
        """`host`, ready to be continued by a path."""
        return self.host.rstrip("/")

    def settings(self) -> Settings:
        """Where the SDKs find the workspace; they tell the metadata service too."""
        return (("DATABRICKS_HOST", self.workspace),)

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A plain http workspace that is not on this machine."""
        return () if is_safe(self.host) else (("host", "must be https, or http to this machine"),)


def mint(spec: OAuth, _: Given) -> Minted:
    """A token, by the client-credentials grant. Raises Denied, IdentityMissing, Malformed, Throttled, Unreachable."""
    secret = references.read(spec.client_secret, "client_secret")
    heard = _asked(spec, secret)
    if heard.status != HTTPStatus.OK:
        raise _refused(spec, heard)
    try:
        answer = msgspec.json.decode(heard.text.open(), type=_Answer)
    except msgspec.DecodeError:
        raise _malformed(spec, "something that is no token") from None
    if answer.token_type.lower() != "bearer" or not _TOKEN.fullmatch(answer.access_token):
        raise _malformed(spec, "something that is no bearer token")
    if not SERVE_FLOOR <= answer.expires_in <= LONGEST_LIFETIME:
        raise _malformed(spec, "a token that is about to expire, or expires absurdly late")
    return Minted(
        DatabricksToken(Secret(answer.access_token), spec.workspace),
        expires_at=heard.now + answer.expires_in,
        lifetime=answer.expires_in,
        facts=_facts(spec, answer.access_token),
        skew=heard.skew,
    )


def who(spec: OAuth, value: Value) -> Facts:
    """Whose token it is, by its own claims."""
    return _facts(spec, value.token.open()) if isinstance(value, DatabricksToken) else Facts()


def _asked(spec: OAuth, secret: Secret) -> Heard:
    from requests import RequestException
    from requests.auth import HTTPBasicAuth

    form = {"grant_type": "client_credentials", "scope": SCOPE}
    with listening() as (session, ear):
        try:
            session.post(
                f"{spec.workspace}{PATH}",
                data=form,
                auth=HTTPBasicAuth(spec.client_id.encode(), secret.open().encode()),
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except RequestException as error:
            raise unreachable(_name(spec), error) from None
    return ear.heard[-1]


def _refused(spec: OAuth, heard: Heard) -> MintError:
    passing = heard.transient()
    if passing is not None:
        return passing
    try:
        word = msgspec.json.decode(heard.text.open(), type=_Refused).error
    except msgspec.DecodeError:
        word = ""
    if word not in _FINAL:
        return _malformed(spec, f"HTTP {heard.status}, but not as a workspace does: correct `host`")
    code = "".join(part.capitalize() for part in word.split("_"))
    return Denied(f"{_name(spec)}: {_FINAL[word]} ({word})", code=code)


def _malformed(spec: OAuth, what: str) -> Malformed:
    return Malformed(f"{_name(spec)} answered with {what}", code="UnusableAnswer")


def _name(spec: OAuth) -> str:
    return urllib.parse.urlsplit(spec.host).hostname or "the workspace"


def _facts(spec: OAuth, token: str) -> Facts:
    """The workspace, and the principal that the token says it is, else the one that was configured."""
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(token.split(".")[1] + "=="), type=_Claims)
    except (IndexError, ValueError, msgspec.DecodeError):
        claims = _Claims()
    subject = claims.sub if isinstance(claims.sub, str) and re.fullmatch(r"[!-~]{1,128}", claims.sub) else None
    return Facts(account=_name(spec), principal=subject or spec.client_id)


class _Answer(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: float


class _Refused(msgspec.Struct):
    error: str


class _Claims(msgspec.Struct):
    sub: Any = None


SOURCES = (Source(name="databricks-oauth", spec=OAuth, mint=mint, who=who),)
