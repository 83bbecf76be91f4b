"""`cloudflare-r2`: keys of one bucket of Cloudflare R2, from an R2 token: signed here, or asked of Cloudflare's API.

Signed here, nobody is asked: the session token is a JSON Web Token under the parent's secret key, and the temporary
secret follows from it (developers.cloudflare.com/r2/api/s3/temporary-credentials). Only `check` then hears whether R2
still knows the parent.
"""

import base64
import hashlib
import hmac
import re
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from broker import clock
from broker.errors import Denied, IdentityMissing, Malformed, MintError
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.secret import Secret
from broker.sources import json_api, references
from broker.sources.aws_specs import EndpointUrl
from broker.sources.json_api import Answered
from broker.sources.s3_knock import Question, knock
from broker.sources.source import END, TEMPLATE, Source
from broker.sources.web import is_safe

API = "https://api.cloudflare.com/client/v4"
REGION = "auto"  # the one region of R2
LONGEST_TOKEN = 8192  # with it the reply to a worker stays under 10,000 bytes
_KEY = re.compile(r"[!-~]{1,1024}")
# Cloudflare's words for a token that it does not know; the owner may correct or renew it.
_UNKNOWN_TOKEN = frozenset({1000, 6003, 6111, 9106, 9109, 10000, 10001, 10002})
_NO_BUCKET = 10006

Name = Annotated[str, Meta(min_length=1, max_length=1024)]


class CloudflareR2(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cloudflare-r2`: temporary keys of one R2 bucket, narrowed to prefixes and objects of it."""

    kind: ClassVar[Kind] = Kind.AWS

    account_id: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{32}}{END}", description="of the Cloudflare account")]
    bucket: Annotated[
        str,
        Meta(pattern=rf"^(?:[a-z0-9-]|{TEMPLATE})+{END}", min_length=3, description="the bucket: one per credential"),
    ]
    permission: Annotated[
        Literal["object-read-only", "object-read-write", "admin-read-only", "admin-read-write"],
        Meta(description="what may be done; never more than the parent may"),
    ]
    parent_access_key_id: Annotated[
        Reference, Meta(description="where the access key id of the R2 token is read that the keys are made from")
    ]
    parent_secret_access_key: Annotated[
        Reference | None, Meta(description="where its secret key is read: the keys are signed here, nobody is asked")
    ] = None
    api_token: Annotated[
        Reference | None, Meta(description="instead: where a token of Cloudflare's API is read, which makes the keys")
    ] = None
    prefixes: Annotated[
        tuple[Name, ...], Meta(max_length=100, description="only names that begin like one of these")
    ] = ()
    objects: Annotated[tuple[Name, ...], Meta(max_length=100, description="and only these very names")] = ()
    ttl: Annotated[
        int, Meta(ge=60, le=604_800, extra={"unit": "seconds"}, description="seconds, or like 45m; 7d at most")
    ] = 3600
    jurisdiction: Annotated[
        Literal["eu", "fedramp"] | None, Meta(description="of the bucket, if it was made in one")
    ] = None
    endpoint_url: Annotated[
        EndpointUrl | None, Meta(description="where workers find R2, if not at the account's own address")
    ] = None
    api_url: Annotated[EndpointUrl, Meta(description="where Cloudflare's API is")] = API

    @property
    def host(self) -> str:
        """R2's name for the place that the keys are for, whatever way leads there."""
        return f"{self.account_id}.{self.jurisdiction + '.' if self.jurisdiction else ''}r2.cloudflarestorage.com"

    @property
    def endpoint(self) -> str:
        """Where workers find the bucket."""
        return self.endpoint_url or f"https://{self.host}"

    def settings(self) -> Settings:
        """Where the store is: streaming reads one name, the AWS SDKs the other."""
        return (("S3_ENDPOINT_URL", self.endpoint), ("AWS_ENDPOINT_URL_S3", self.endpoint))

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """Two ways or none, and places where a token would travel in the clear."""
        places = (("endpoint_url", self.endpoint), ("api_url", self.api_url))
        found = [(name, "must be https, or http to a loopback address") for name, url in places if not is_safe(url)]
        if (self.parent_secret_access_key is None) == (self.api_token is None):
            found.append(("parent_secret_access_key", "either this or `api_token` is needed, and not both"))
        return tuple(found)


def mint(spec: CloudflareR2, _: Given) -> Minted:
    """Keys for `ttl` seconds, signed here or made by the API."""
    if spec.parent_secret_access_key is None:
        return _asked(spec)
    asked = {
        "parent_access_key_id": spec.parent_access_key_id,
        "parent_secret_access_key": spec.parent_secret_access_key,
    }
    parent = references.read_together(asked)
    for name, secret in parent.items():
        if not _KEY.fullmatch(secret.open()):
            raise IdentityMissing(f"{name}: {references.place(asked[name])} holds no such key", code="ReferenceNoKey")
    now = clock.wall()
    issued = int(now)
    keys = signed(spec, parent["parent_access_key_id"].open(), parent["parent_secret_access_key"], issued)
    _check_size(keys)
    ends = issued + spec.ttl
    return Minted(keys, expires_at=ends, lifetime=ends - now, facts=_facts(spec, keys))


def signed(spec: CloudflareR2, parent: str, secret: Secret, issued: int) -> AwsKeys:
    """The keys that follow from the parent's secret and the moment, bit for bit."""
    claims: dict[str, Any] = {"bucket": spec.bucket, "scope": spec.permission}
    if spec.prefixes or spec.objects:
        claims["paths"] = {"prefixPaths": spec.prefixes, "objectPaths": spec.objects}
    claims |= {"sub": spec.account_id, "iss": parent, "aud": spec.host, "iat": issued, "exp": issued + spec.ttl}
    said = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    proof = base64.urlsafe_b64encode(hmac.digest(secret.open().encode(), said.encode(), "sha256"))
    token = f"{said}.{proof.decode().rstrip('=')}"
    return AwsKeys(
        parent,
        Secret(hashlib.sha256(token.encode()).hexdigest()),
        Secret(base64.b64encode(f"jwt/{token}".encode()).decode()),
    )


def who(spec: CloudflareR2, value: Value) -> Facts:
    """Ask the store for what the keys are for. Raises IdentityMissing or Denied where it refuses."""
    assert isinstance(value, AwsKeys)
    if spec.objects and not spec.prefixes:
        question = Question.reading(spec.bucket, spec.objects[0])
    else:
        question = Question.listing(spec.bucket, spec.prefixes[0] if spec.prefixes else "")
    knock(spec.endpoint, REGION, value, question)
    return Facts()


def _asked(spec: CloudflareR2) -> Minted:
    assert spec.api_token is not None
    parent = references.read(spec.parent_access_key_id, "parent_access_key_id").open()
    token = references.read(spec.api_token, "api_token")
    members: dict[str, Any] = {
        "bucket": spec.bucket,
        "parentAccessKeyId": parent,
        "permission": spec.permission,
        "ttlSeconds": spec.ttl,
    }
    members |= {name: list(found) for name, found in (("prefixes", spec.prefixes), ("objects", spec.objects)) if found}
    headers = {"Authorization": f"Bearer {token.open()}"}
    if spec.jurisdiction:
        headers["cf-r2-jurisdiction"] = spec.jurisdiction
    url = f"{spec.api_url.rstrip('/')}/accounts/{spec.account_id}/r2/temp-access-credentials"
    answered = json_api.post(url, headers, members)
    if not answered.good:
        raise _refusal(spec, answered)
    return _made(spec, answered)


def _made(spec: CloudflareR2, answered: Answered) -> Minted:
    """What the API made. It states no end: that is the `ttl` that it accepted, counted from before it was asked."""
    try:
        result = msgspec.json.decode(answered.text.open(), type=_Answer).result
    except msgspec.DecodeError:
        raise _malformed() from None
    texts = (result.access_key_id, result.secret_access_key)
    if not all(_KEY.fullmatch(text) for text in texts) or not re.fullmatch(r"[!-~]+", result.session_token):
        raise _malformed()
    keys = AwsKeys(result.access_key_id, Secret(result.secret_access_key), Secret(result.session_token))
    _check_size(keys)
    lifetime = spec.ttl - answered.took
    return Minted(
        keys, expires_at=answered.now + lifetime, lifetime=lifetime, facts=_facts(spec, keys), skew=answered.skew
    )


def _refusal(spec: CloudflareR2, answered: Answered) -> MintError:
    """The error for a refusal, by Cloudflare's numbers; its sentences are not repeated."""
    try:
        errors = msgspec.json.decode(answered.text.open(), type=_Errors).errors
    except msgspec.DecodeError:
        return Malformed(f"Cloudflare refuses without saying why (HTTP {answered.status})", code="UnusableAnswer")
    numbers = [error.code for error in errors]
    shown = ", ".join(str(number) for number in numbers[:3]) or f"HTTP {answered.status}"
    code = f"Cloudflare{numbers[0]}" if numbers else f"Http{answered.status}"
    if _UNKNOWN_TOKEN & set(numbers) or answered.status == HTTPStatus.UNAUTHORIZED:
        return IdentityMissing(f"Cloudflare does not accept `api_token`: was it revoked? ({shown})", code=code)
    if _NO_BUCKET in numbers:
        return Denied(f"R2 has no bucket {spec.bucket}: correct `bucket` or `jurisdiction` ({shown})", code=code)
    advice = (
        "the token needs the right to edit R2 in this account, and `permission` must be one that the parent has; check "
        "`account_id`, `parent_access_key_id`, `prefixes` and `objects` too"
    )
    return Denied(f"cannot make keys of the bucket {spec.bucket}: {advice} ({shown})", code=code)


def _check_size(keys: AwsKeys) -> None:
    if len(keys.session_token.open()) > LONGEST_TOKEN:
        raise Denied("the session token would be too long for clients: name fewer prefixes and objects", code="TooLong")


def _facts(spec: CloudflareR2, keys: AwsKeys) -> Facts:
    return Facts(principal=f"{keys.access_key_id}/{spec.bucket}", region=REGION)


def _malformed() -> Malformed:
    return Malformed("Cloudflare answers with something that is no set of keys", code="UnusableAnswer")


def _part(members: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(members)).decode().rstrip("=")


class _Keys(msgspec.Struct, rename="camel"):
    access_key_id: str
    secret_access_key: str
    session_token: str


class _Answer(msgspec.Struct):
    result: _Keys


class _Error(msgspec.Struct):
    code: int


class _Errors(msgspec.Struct):
    errors: tuple[_Error, ...] = ()


SOURCES = (Source(name="cloudflare-r2", spec=CloudflareR2, mint=mint, who=who),)
