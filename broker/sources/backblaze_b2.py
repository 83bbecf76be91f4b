"""`backblaze-b2`: application keys of Backblaze B2 that end by themselves, created anew and the old ones deleted.

By the native API, version 4. Its SDK is not used: it tries again by itself for minutes, and a minter has seconds.
`rotation` says which keys are ours to delete.
"""

import base64
import re
import urllib.parse
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from broker.errors import Denied, Malformed
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources import json_api, references, rotation
from broker.sources.aws_specs import EndpointUrl
from broker.sources.b2_errors import refusal
from broker.sources.json_api import Answered
from broker.sources.s3_knock import Question, knock
from broker.sources.source import END, TEMPLATE, Source
from broker.sources.web import is_safe

API = "https://api.backblazeb2.com"
DOMAIN = ".backblazeb2.com"
NEEDED = ("listKeys", "writeKeys", "deleteKeys", "listBuckets")  # of the key that makes keys
PAGE = 200  # keys, some 400 bytes each
MOST_PAGES = 50
SLACK = 60.0  # seconds that B2's clock may be ahead of what its answer says of it
_KEY = re.compile(r"[!-~]{1,1024}")

T = TypeVar("T")


class BackblazeB2(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`backblaze-b2`: application keys of one bucket of Backblaze B2, for its S3-compatible API."""

    kind: ClassVar[Kind] = Kind.AWS

    key_id: Annotated[Reference, Meta(description="where the id is read of the application key that makes the others")]
    application_key: Annotated[Reference, Meta(description="where that key itself is read")]
    bucket: Annotated[
        str, Meta(pattern=rf"^(?:[A-Za-z0-9-]|{TEMPLATE})+{END}", min_length=6, description="the bucket, by its name")
    ]
    region: Annotated[
        str, Meta(pattern=rf"^[a-z]+-[a-z]+-[0-9]{{3}}{END}", description='of the account, such as "us-west-004"')
    ]
    prefix: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1024)] | None, Meta(description="only names that begin like this")
    ] = None
    capabilities: Annotated[
        tuple[Annotated[str, Meta(pattern=rf"^[A-Za-z]{{3,40}}{END}")], ...],
        Meta(min_length=1, max_length=30, description="what may be done, in Backblaze's words"),
    ] = ("listBuckets", "listFiles", "readFiles")
    ttl: Annotated[
        int, Meta(ge=60, le=604_800, extra={"unit": "seconds"}, description="seconds, or like 45m; 7d at most")
    ] = 3600
    endpoint_url: Annotated[
        EndpointUrl | None, Meta(description="where workers find the store, if not at the region's own address")
    ] = None
    api_url: Annotated[EndpointUrl, Meta(description="where Backblaze's API is")] = API

    @property
    def endpoint(self) -> str:
        """Where workers find the bucket."""
        return self.endpoint_url or f"https://s3.{self.region}{DOMAIN}"

    def settings(self) -> Settings:
        """Where the store is: streaming reads one name, the AWS SDKs the other."""
        return (("S3_ENDPOINT_URL", self.endpoint), ("AWS_ENDPOINT_URL_S3", self.endpoint))

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A key in the clear."""
        return () if is_safe(self.api_url) else (("api_url", "must be https, or http to a loopback address"),)


def mint(spec: BackblazeB2, given: Given) -> Minted:
    """Delete what is over, then create. Whatever dies in between leaves a key that ends by itself."""
    account = _Account(spec)
    bucket = account.bucket_id()
    ours = rotation.mark(given.credential)
    for key in account.listed():
        if rotation.is_over(key.name, ours, account.now):
            account.delete(key.id)
    # B2 counts from when the key is made, a moment later: the name must not say an end before that one.
    return account.create(rotation.named(ours, account.now + spec.ttl + SLACK), bucket)


def who(spec: BackblazeB2, value: Value) -> Facts:
    """Ask the store for what the key is for. Raises IdentityMissing or Denied where it refuses."""
    assert isinstance(value, AwsKeys)
    prefix, lists = spec.prefix or "", "listFiles" in spec.capabilities
    question = Question.listing(spec.bucket, prefix) if lists else None
    knock(spec.endpoint, spec.region, value, question)
    return Facts()


def retire(spec: BackblazeB2, given: Given) -> None:
    """Delete these keys before their time, named as their facts have them."""
    account = _Account(spec)
    for principal in given.spent:
        account.delete(principal.partition("/")[0])


class _Account:
    """An account's API, as the key that makes keys may use it. Nothing of it outlives one mint."""

    def __init__(self, spec: BackblazeB2) -> None:
        self._spec = spec
        asked = {"key_id": spec.key_id, "application_key": spec.application_key}
        found = references.read_together(asked)
        shown = base64.b64encode(":".join(secret.open() for secret in found.values()).encode()).decode()
        url = f"{spec.api_url.rstrip('/')}/b2api/v4/b2_authorize_account"
        answered = json_api.send("GET", url, {"Authorization": f"Basic {shown}"})
        login = self._judged("b2_authorize_account", answered, _Login)
        self._login, self._storage = login, login.info.storage
        self._check_place()
        self.now = answered.now
        lacking = [name for name in NEEDED if name not in self._storage.allowed.capabilities]
        if lacking:
            advice = f"it lacks the capabilities {', '.join(lacking)}: give it a key that has them"
            raise Denied(f"cannot make keys with `application_key`: {advice}", code="CapabilitiesMissing")

    def bucket_id(self) -> str:
        """Of the configured bucket."""
        wanted = self._spec.bucket
        members = {"accountId": self._login.account, "bucketName": wanted}
        for bucket in self._post("b2_list_buckets", members, _Buckets)[0].buckets:
            if bucket.name == wanted:
                return bucket.id
        raise Denied(f"the account has no bucket {wanted}, or hides it: correct `bucket`", code="NoSuchBucket")

    def listed(self) -> Iterator["_Key"]:
        """Every key of the account."""
        after = None
        for _ in range(MOST_PAGES):
            members = {"accountId": self._login.account, "maxKeyCount": PAGE, "startApplicationKeyId": after}
            page, _answered = self._post("b2_list_keys", members, _Keys)
            yield from page.keys
            after = page.after
            if after is None:
                return

    def delete(self, key_id: str) -> None:
        """Delete a key. That another minter was faster is no error: B2 then calls it a bad request."""
        answered = self._send("b2_delete_key", {"applicationKeyId": key_id})
        if not answered.good and answered.status != HTTPStatus.BAD_REQUEST:
            raise refusal("b2_delete_key", self._spec.bucket, answered)

    def create(self, name: str, bucket: str) -> Minted:
        """A key that ends by itself, at the moment that B2 states."""
        members: dict[str, Any] = {
            "accountId": self._login.account,
            "capabilities": self._spec.capabilities,
            "keyName": name,
            "validDurationInSeconds": self._spec.ttl,
            "bucketIds": [bucket],
        }
        if self._spec.prefix:
            members["namePrefix"] = self._spec.prefix
        key, answered = self._post("b2_create_key", members, _NewKey)
        ends = key.ends / 1000
        lifetime = ends - answered.now
        if not _KEY.fullmatch(key.id) or not _KEY.fullmatch(key.secret):
            raise _malformed()
        if set(key.capabilities) - set(self._spec.capabilities) or key.buckets != (bucket,):
            raise Malformed("Backblaze gave a key with more rights than were asked for", code="UnusableAnswer")
        if not SERVE_FLOOR <= lifetime <= self._spec.ttl + SLACK:
            raise Malformed("Backblaze gave a key that ends at another time than was asked for", code="UnusableAnswer")
        facts = Facts(principal=f"{key.id}/{self._spec.bucket}", account=self._login.account, region=self._spec.region)
        keys = AwsKeys(key.id, Secret(key.secret), Secret(""))
        return Minted(keys, expires_at=ends, lifetime=lifetime, facts=facts, skew=answered.skew)

    def _post(self, call: str, members: dict[str, Any], kind: type[T]) -> tuple[T, Answered]:
        answered = self._send(call, members)
        return self._judged(call, answered, kind), answered

    def _send(self, call: str, members: dict[str, Any]) -> Answered:
        url = f"{self._storage.api.rstrip('/')}/b2api/v4/{call}"
        return json_api.post(url, {"Authorization": self._login.token}, members)

    def _judged(self, call: str, answered: Answered, kind: type[T]) -> T:
        if not answered.good:
            raise refusal(call, self._spec.bucket, answered)
        try:
            return msgspec.json.decode(answered.text.open(), type=kind)
        except msgspec.DecodeError:
            raise _malformed() from None

    def _check_place(self) -> None:
        """B2 says where to go on: only to its own domain, or to where we were sent ourselves. And where its S3 is."""
        there, here = (urllib.parse.urlsplit(url) for url in (self._storage.api, self._spec.api_url))
        if there.netloc != here.netloc and not (there.hostname or "").endswith(DOMAIN):
            raise Malformed("Backblaze's API leads elsewhere, which is not followed", code="Redirected")
        right = self._storage.s3.removeprefix("https://s3.").removesuffix(DOMAIN)
        if self._spec.endpoint_url is None and right != self._spec.region:
            raise Denied(
                "the account is of another region: correct `region` (see its S3 endpoint)", code="RegionInvalid"
            )


def _malformed() -> Malformed:
    return Malformed("Backblaze answers with something else than was asked for", code="UnusableAnswer")


class _Allowed(msgspec.Struct):
    capabilities: tuple[str, ...]


class _Storage(msgspec.Struct):
    api: str = msgspec.field(name="apiUrl")
    s3: str = msgspec.field(name="s3ApiUrl")
    allowed: _Allowed


class _Info(msgspec.Struct):
    storage: _Storage = msgspec.field(name="storageApi")


class _Login(msgspec.Struct):
    account: str = msgspec.field(name="accountId")
    token: str = msgspec.field(name="authorizationToken")
    info: _Info = msgspec.field(name="apiInfo")


class _Bucket(msgspec.Struct):
    id: str = msgspec.field(name="bucketId")
    name: str = msgspec.field(name="bucketName")


class _Buckets(msgspec.Struct):
    buckets: tuple[_Bucket, ...]


class _Key(msgspec.Struct):
    id: str = msgspec.field(name="applicationKeyId")
    name: str = msgspec.field(name="keyName")


class _Keys(msgspec.Struct):
    keys: tuple[_Key, ...]
    after: str | None = msgspec.field(name="nextApplicationKeyId", default=None)


class _NewKey(msgspec.Struct):
    id: str = msgspec.field(name="applicationKeyId")
    secret: str = msgspec.field(name="applicationKey")
    capabilities: tuple[str, ...]
    ends: int = msgspec.field(name="expirationTimestamp")  # milliseconds
    buckets: tuple[str, ...] = msgspec.field(name="bucketIds", default=())


SOURCES = (Source(name="backblaze-b2", spec=BackblazeB2, mint=mint, who=who, retire=retire),)
