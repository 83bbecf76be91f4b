"""`coreweave`: temporary keys of CoreWeave AI Object Storage, by an API token or by exchanging an OIDC token.

As CoreWeave's reference of `/v1/cwobject` has it (docs.coreweave.com, 2026). Keys end by themselves and cannot be
narrowed: they may do what the access policies of the organization let their owner do.
"""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources import json_api, references
from broker.sources.aws_identity import DEFAULT_REGION
from broker.sources.aws_specs import EndpointUrl
from broker.sources.json_api import Answered
from broker.sources.s3_knock import knock
from broker.sources.source import END, Source
from broker.sources.web import is_safe

API = "https://api.coreweave.com"
STORE = "https://cwobject.com"
NAME = "credbroker"  # as CoreWeave's console lists the keys
SLACK = 60.0  # seconds that its clock may be ahead of what its answer says of it
_KEY = re.compile(r"[!-~]{1,1024}")
# gRPC's status codes, as the API's errors carry them.
_INVALID, _NOT_FOUND, _DENIED, _EXHAUSTED, _AWAY, _UNKNOWN = 3, 5, 7, 8, 14, 16


class CoreWeave(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`coreweave`: temporary keys of CoreWeave AI Object Storage; it makes them without a session token."""

    kind: ClassVar[Kind] = Kind.AWS

    api_token: Annotated[
        Reference | None, Meta(description="where an API access token of CoreWeave is read that may make keys")
    ] = None
    oidc_token: Annotated[
        Reference | None,
        Meta(description="instead, with `org_id`: where a token of the federated issuer is read; its owner renews it"),
    ] = None
    org_id: Annotated[
        Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{1,64}}{END}")] | None,
        Meta(description="the organization that trusts the issuer of `oidc_token`"),
    ] = None
    ttl: Annotated[
        int, Meta(ge=60, le=43_200, extra={"unit": "seconds"}, description="seconds, or like 45m; 12h at most")
    ] = 3600
    region: Annotated[
        Annotated[str, Meta(pattern=rf"^[A-Za-z0-9-]{{2,63}}{END}")] | None,
        Meta(description="what requests are signed for, as workers are told"),
    ] = None
    endpoint_url: Annotated[
        EndpointUrl, Meta(description="where workers find the store; inside CoreWeave http://cwlota.com")
    ] = STORE
    api_url: Annotated[EndpointUrl, Meta(description="where CoreWeave's API is")] = API

    def settings(self) -> Settings:
        """Where the store is: streaming reads one name, the AWS SDKs the other."""
        return (("S3_ENDPOINT_URL", self.endpoint_url), ("AWS_ENDPOINT_URL_S3", self.endpoint_url))

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """Two ways or none, half a way, and a token in the clear."""
        found = []
        if (self.api_token is None) == (self.oidc_token is None):
            found.append(("api_token", "either this or `oidc_token` is needed, and not both"))
        if (self.oidc_token is None) != (self.org_id is None):
            found.append(("org_id", "is needed with `oidc_token`, and only there"))
        if not is_safe(self.api_url):
            found.append(("api_url", "must be https, or http to a loopback address"))
        return tuple(found)


def mint(spec: CoreWeave, _: Given) -> Minted:
    """Keys for `ttl` seconds."""
    members: dict[str, Any] = {"durationSeconds": spec.ttl, "attributes": {"name": NAME}}
    headers: dict[str, str] = {}
    if spec.api_token is not None:
        headers["Authorization"] = f"Bearer {references.read(spec.api_token, 'api_token').open()}"
        path = "access-key"
    else:
        assert spec.oidc_token is not None
        token = references.read(spec.oidc_token, "oidc_token").open()
        members |= {"orgId": spec.org_id, "oidcToken": token}
        path = "temporary-credentials/oidc"
    url = f"{spec.api_url.rstrip('/')}/v1/cwobject/{path}"
    answered = json_api.post(url, headers, members)
    if not answered.good:
        raise _refusal(spec, answered)
    return _minted(spec, answered)


def who(spec: CoreWeave, value: Value) -> Facts:
    """Ask the store whether it knows the keys. Raises IdentityMissing where it does not."""
    assert isinstance(value, AwsKeys)
    knock(spec.endpoint_url, spec.region or DEFAULT_REGION, value)
    return Facts()


def _minted(spec: CoreWeave, answered: Answered) -> Minted:
    try:
        answer = msgspec.json.decode(answered.text.open(), type=_Answer)
        ends = datetime.fromisoformat(answer.expiry)
    except (msgspec.DecodeError, ValueError):
        raise _malformed("something that is no set of keys") from None
    key_id = answer.key_id or answer.older_key_id
    if not _KEY.fullmatch(key_id) or not _KEY.fullmatch(answer.secret):
        raise _malformed("something that is no set of keys")
    lifetime = ends.timestamp() - answered.now if ends.tzinfo else 0.0
    if not SERVE_FLOOR <= lifetime <= spec.ttl + SLACK:
        raise _malformed("keys that never end, have ended, or end at another time than was asked for")
    return Minted(
        AwsKeys(key_id, Secret(answer.secret), Secret("")),
        expires_at=ends.timestamp(),
        lifetime=lifetime,
        facts=Facts(principal=answer.principal or key_id, region=spec.region),
        skew=answered.skew,
    )


def _refusal(spec: CoreWeave, answered: Answered) -> MintError:
    """The error for a refusal, by gRPC's codes; CoreWeave's sentences are not repeated."""
    try:
        number = msgspec.json.decode(answered.text.open(), type=_Status).code
    except msgspec.DecodeError:
        return _malformed(f"a refusal that says nothing (HTTP {answered.status})")
    code, shown = f"Grpc{number}", f"gRPC code {number}"
    if number == _EXHAUSTED:
        return Throttled(f"CoreWeave asks for patience, or the quota of keys is used up ({shown})", code=code)
    if number == _AWAY:
        return Unreachable(f"CoreWeave's API is not available ({shown})", code=code)
    if number == _UNKNOWN or answered.status == HTTPStatus.UNAUTHORIZED:
        if spec.api_token is not None:
            return IdentityMissing(f"CoreWeave does not accept `api_token`: was it revoked? ({shown})", code=code)
        advice = "it has expired and must be renewed, or its issuer or audience is not the one that was federated"
        return IdentityMissing(f"CoreWeave does not accept `oidc_token`: {advice} ({shown})", code=code)
    advice = {
        _DENIED: "its owner has no right to make keys: see IAM access policies, role Object Storage Admin",
        _NOT_FOUND: "no such organization: correct `org_id`",
        _INVALID: "it refuses a parameter: correct `ttl` or `org_id`",
    }.get(number, "CoreWeave refuses it for good")
    return Denied(f"cannot make keys: {advice} ({shown})", code=code)


def _malformed(what: str) -> Malformed:
    return Malformed(f"CoreWeave answers with {what}", code="UnusableAnswer")


class _Answer(msgspec.Struct):
    secret: str = msgspec.field(name="secretKey")
    expiry: str
    key_id: str = msgspec.field(name="accessKeyId", default="")
    older_key_id: str = msgspec.field(name="accessKeyID", default="")  # as its guides spell it
    principal: str = msgspec.field(name="principalName", default="")


class _Status(msgspec.Struct):
    code: int


SOURCES = (Source(name="coreweave", spec=CoreWeave, mint=mint, who=who),)
