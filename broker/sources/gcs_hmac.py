"""`gcs-hmac`: HMAC keys of a service account, for clients that read Cloud Storage as S3 from GCS_KEY and GCS_SECRET.

Each job has a key of its own, which is deactivated and deleted when the job is over. Google ends none by itself, and
they have no names: whose a key is can only be said of the account. So the account has to be the broker's alone, and the
configuration has to say so. Each call deletes the keys of that account which are older than twice the `ttl`: what was
left by a broker that died, or made for a job whose end nobody tells.
"""

import contextlib
import re
import urllib.parse
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled
from broker.model import AccessToken, AwsKeys, Facts, Given, Kind, Minted, Settings, Spec, Value, Variables
from broker.secret import Secret
from broker.sources import google, json_api
from broker.sources.json_api import Answered
from broker.sources.s3_knock import knock
from broker.sources.source import END, TEMPLATE, Source
from broker.sources.web import is_safe

STORE = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
MOST = 10  # keys that Google lets a service account have
SLACK = 60.0  # seconds that Google's clock may be ahead of what its answer says of it
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")  # it stands in a URL, and people read it
_SECRET = re.compile(r"[!-~]{1,1024}")
_PAGES = 10  # of the list; an account has ten keys, but a page may be empty

T = TypeVar("T")


class GcsHmac(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`gcs-hmac`: an HMAC key of a service account for each job, in GCS_KEY and GCS_SECRET; `exec` and `env` only."""

    kind: ClassVar[Kind] = Kind.GCS_HMAC
    per_job: ClassVar[bool] = True
    keys_of: ClassVar[tuple[str, ...]] = ("service_account", "endpoint_url")

    service_account: Annotated[
        str,
        Meta(
            max_length=256,
            pattern=rf"^(?:[a-z0-9-]|{TEMPLATE})+@[a-z][a-z0-9-]{{4,28}}[a-z0-9]\.iam\.gserviceaccount\.com{END}",
            description="whose keys they are; it must be this broker's alone",
        ),
    ]
    dedicated: Annotated[
        bool,
        Meta(description="true says that it is: every key of it that is older than twice the `ttl` is deleted"),
    ] = False
    ttl: Annotated[
        int,
        Meta(
            ge=900,
            le=604_800,
            extra={"unit": "seconds"},
            description="how long a job can count on its key; one whose job's end is not known ends after twice that",
        ),
    ] = 86_400
    endpoint_url: Annotated[
        str, Meta(pattern=rf"^https?://[^/\s{{}}@]+{END}", description="where Cloud Storage is, if not at Google's")
    ] = STORE

    @property
    def project(self) -> str:
        """The one that the account belongs to, as its e-mail says."""
        return self.service_account.partition("@")[2].partition(".")[0]

    def settings(self) -> Settings:
        """boto3 from 1.36 on sends checksums as trailers, which Cloud Storage takes for a wrong signature."""
        return (
            ("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"),
            ("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"),
        )

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """An account that may be somebody else's too, and a token in the clear."""
        found = []
        if not self.dedicated:
            found.append(
                ("dedicated", "must be true: its keys have no names, so the account has to be the broker's alone")
            )
        if not is_safe(self.endpoint_url):
            found.append(("endpoint_url", "must be https, or http to a loopback address"))
        return tuple(found)


def mint(spec: GcsHmac, given: Given) -> Minted:
    """Delete what is over, then create. A death in between leaves a key that a later call finds too old."""
    account = _account(spec, given)
    left = account.reap()
    if left >= MOST:
        advice = (
            f"{spec.service_account} has {left} HMAC keys and Google allows {MOST}: wait for a job's end, or delete"
        )
        raise Throttled(f"{advice} keys that are nobody's", code="TooManyKeys")
    return account.create()


def retire(spec: GcsHmac, given: Given) -> None:
    """Delete the keys of a job that is over, as far as they are this account's, and what is over anyway."""
    _account(spec, given).reap(given.spent)


def who(spec: GcsHmac, value: Value) -> Facts:
    """Ask the store whether it knows the key. Raises IdentityMissing where it does not."""
    assert isinstance(value, Variables)
    held = dict(value.values)
    knock(spec.endpoint_url, "auto", AwsKeys(held["GCS_KEY"].open(), held["GCS_SECRET"], Secret("")))
    return Facts()


def _account(spec: GcsHmac, given: Given) -> "_Account":
    base = given.base or google.mint_adc(google.Adc(scopes=(SCOPE,)), given).value
    if not isinstance(base, AccessToken):
        raise Denied("`from` names a credential that is not Google's: correct it", code="WrongBase")
    return _Account(spec, base.token)


class _Account:
    """The HMAC keys of a service account, as the JSON API has them."""

    def __init__(self, spec: GcsHmac, bearer: Secret) -> None:
        self._spec = spec
        self._headers = {"Authorization": f"Bearer {bearer.open()}", "Content-Type": "application/json"}
        self._keys = f"{spec.endpoint_url}/storage/v1/projects/{spec.project}/hmacKeys"
        self._named = urllib.parse.urlencode({"serviceAccountEmail": spec.service_account})

    def reap(self, spent: tuple[str, ...] = ()) -> int:
        """Deactivate and delete what is `spent`, and what is older than twice the ttl; how many are left."""
        ours, now = self._list()
        oldest = now - 2 * self._spec.ttl
        over = [key for key in ours if key.id in spent or _moment(key.created) < oldest]
        for key in over:
            self._delete(key)
        return len(ours) - len(over)

    def _list(self) -> tuple[list["_Key"], float]:
        """The account's keys, and when that was so by Google's clock."""
        ours: list[_Key] = []
        after = ""
        for _ in range(_PAGES):
            page, answered = self._read("GET", f"{self._keys}?{self._named}{after}", _Page)
            ours += [key for key in page.items if key.account == self._spec.service_account and key.state != "DELETED"]
            if not all(_ID.fullmatch(key.id) for key in ours):
                raise _malformed()
            if not page.next:
                return ours, answered.now
            after = "&" + urllib.parse.urlencode({"pageToken": page.next})
        raise _malformed()

    def _delete(self, key: "_Key") -> None:
        url = f"{self._keys}/{key.id}"
        if key.state == "ACTIVE":  # Google deletes none that is
            self._end("PUT", url, json_api.encoded({"state": "INACTIVE"}))
        self._end("DELETE", url)

    def create(self) -> Minted:
        """A key. Its end is ours to say, as Google says none, and counted from Google's own word of its making."""
        made, answered = self._read("POST", f"{self._keys}?{self._named}", _Made)
        key = made.metadata
        if key.account != self._spec.service_account or not _ID.fullmatch(key.id):
            raise _malformed()
        try:
            age = answered.now - _moment(key.created)
            if key.state != "ACTIVE" or not _SECRET.fullmatch(made.secret) or abs(age) > SLACK:
                raise _malformed()
        except Malformed:
            with contextlib.suppress(MintError):
                self._delete(msgspec.structs.replace(key, state="ACTIVE"))  # else the next try makes one more
            raise
        lifetime = self._spec.ttl - max(age, 0.0)
        return Minted(
            Variables((("GCS_KEY", Secret(key.id)), ("GCS_SECRET", Secret(made.secret)))),
            expires_at=answered.now + lifetime,
            lifetime=lifetime,
            facts=Facts(email=self._spec.service_account, principal=key.id, project=self._spec.project),
            skew=answered.skew,
        )

    def _end(self, method: str, url: str, body: bytes | None = None) -> None:
        """That another minter was faster is no error."""
        answered = json_api.send(method, url, self._headers, body)
        if not answered.good and answered.status != HTTPStatus.NOT_FOUND:
            raise self._refusal(answered)

    def _read(self, method: str, url: str, kind: type[T]) -> tuple[T, Answered]:
        answered = json_api.send(method, url, self._headers)
        if not answered.good:
            raise self._refusal(answered)
        try:
            return msgspec.json.decode(answered.text.open(), type=kind), answered
        except msgspec.DecodeError:
            raise _malformed() from None

    def _refusal(self, answered: Answered) -> MintError:
        account, code = self._spec.service_account, f"Http{answered.status}"
        match answered.status:
            case 401:
                advice = "Google does not accept the token of the identity below it: has it been revoked?"
                return IdentityMissing(f"cannot make HMAC keys of {account}: {advice} ({code})", code=code)
            case 403:
                advice = "give the identity below it roles/storage.hmacKeyAdmin in the project, and the scope "
                advice += "devstorage.full_control or cloud-platform"
            case 404:
                advice = "no such service account in its project: correct `service_account`"
            case _:
                advice = "Google refuses it: is the account disabled, or are HMAC keys forbidden by a policy?"
        return Denied(f"cannot make HMAC keys of {account}: {advice} ({code})", code=code)


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _malformed() from None
    if moment.tzinfo is None:
        raise _malformed()
    return moment.timestamp()


def _malformed() -> Malformed:
    return Malformed("Google answers with something that is no HMAC key of this account", code="UnusableAnswer")


class _Key(msgspec.Struct):
    id: str = msgspec.field(name="accessId")
    account: str = msgspec.field(name="serviceAccountEmail")
    created: str = msgspec.field(name="timeCreated")
    state: str


class _Page(msgspec.Struct):
    items: tuple[_Key, ...] = ()
    next: str = msgspec.field(name="nextPageToken", default="")


class _Made(msgspec.Struct):
    metadata: _Key
    secret: str


SOURCES = (Source(name="gcs-hmac", spec=GcsHmac, mint=mint, who=who, base=Kind.GOOGLE, retire=retire),)
