"""The frozen values that travel between the rooms. No behaviour beyond reading oneself."""

import enum
from datetime import UTC, datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from broker.secret import Secret


class Kind(enum.StrEnum):
    """What a lease opens: the dialects ask for a kind, a source mints one."""

    AWS = "aws"
    GOOGLE = "gcp"
    GOOGLE_ID = "gcp-id"  # an OIDC ID token for one audience; never configured by itself
    GCS_HMAC = "gcs-hmac"
    AZURE = "azure"
    AZURE_SAS = "azure-sas"
    DATABRICKS = "databricks"
    OCI = "oci"
    ALIPAN = "alipan"
    ENV = "env"  # secrets of any other kind, under the names that their programs read


class AwsKeys(msgspec.Struct, frozen=True, tag="aws"):
    """A set of AWS keys. `session_token` is empty where a store has none."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret


class AccessToken(msgspec.Struct, frozen=True, tag="token"):
    """An OAuth2 bearer token and the scopes it carries."""

    token: Secret
    scopes: tuple[str, ...] = ()


class IdToken(msgspec.Struct, frozen=True, tag="id-token"):
    """An OIDC ID token for one audience."""

    token: Secret
    audience: str


class AzureToken(msgspec.Struct, frozen=True, tag="azure-token"):
    """An Entra token for one resource, such as https://storage.azure.com."""

    token: Secret
    resource: str


class DatabricksToken(msgspec.Struct, frozen=True, tag="databricks-token"):
    """An OAuth token of one workspace; `host` is its URL."""

    token: Secret
    host: str


class Variables(msgspec.Struct, frozen=True, tag="variables"):
    """Secrets that clients read from their environment at their start: names and values, whole or not at all."""

    values: tuple[tuple[str, Secret], ...]


class Files(msgspec.Struct, frozen=True, tag="files"):
    """Secrets that clients read from files which belong together: names without a folder, and contents."""

    contents: tuple[tuple[str, Secret], ...]


Value = AwsKeys | AccessToken | IdToken | AzureToken | DatabricksToken | Variables | Files

# What a lease of each kind holds.
VALUES: dict[Kind, type[Value]] = {
    Kind.AWS: AwsKeys,
    Kind.GOOGLE: AccessToken,
    Kind.GOOGLE_ID: IdToken,
    Kind.GCS_HMAC: Variables,
    Kind.AZURE: AzureToken,
    Kind.AZURE_SAS: Variables,
    Kind.DATABRICKS: DatabricksToken,
    Kind.OCI: Files,
    Kind.ALIPAN: Variables,
    Kind.ENV: Variables,
}

Settings = tuple[tuple[str, str], ...]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a lease besides its secret; all of it may be shown to people."""

    account: str | None = None  # AWS account id
    arn: str | None = None
    email: str | None = None  # Google account
    principal: str | None = None  # who it is in another store's own words: a key's id, a client's, a user's
    project: str | None = None
    quota_project: str | None = None
    region: str | None = None
    handed_on: bool = False  # a session of the daemon's own identity, handed on rather than minted
    note: str | None = None  # one sentence for `check` and `status`, such as an invented expiry

    @property
    def identity(self) -> str | None:
        """Who the lease is, in one word."""
        return self.arn or self.email or self.principal or self.account


class Minted(msgspec.Struct, frozen=True):
    """What a source brings home.

    `expires_at` is upstream's own word in seconds since the epoch; `lifetime` is how many seconds that was ahead when
    the answer came, by upstream's clock where it told it (its Date header), else by ours. `skew` is our clock less
    upstream's, in seconds, where upstream told its own. `again` is after how many seconds it is to be asked for anew
    where its lifetime says nothing of that: what somebody may change at any moment.
    """

    value: Value
    expires_at: float
    lifetime: float
    facts: Facts = Facts()
    skew: float | None = None
    again: float | None = None


class Lease(msgspec.Struct, frozen=True):
    """One minted value. Wall times are seconds since the epoch; `began` and `ends` are on the boot clock.

    `settings` are plain variables that belong into the environment of whoever uses it.
    """

    value: Value
    serial: int
    issued_at: float
    expires_at: float
    began: float
    ends: float
    facts: Facts = Facts()
    settings: Settings = ()

    def left(self, now: float) -> float:
        """Seconds of life left by the boot clock."""
        return self.ends - now

    @property
    def expiry(self) -> datetime:
        """The true expiry as an aware UTC time."""
        return datetime.fromtimestamp(self.expires_at, UTC)


class CallerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One configured caller that a process matched, and what a template may say about it."""

    caller: str
    uid: str | None = None
    user: str | None = None
    group: str | None = None  # the group that matched
    job: str | None = None  # the caller's, where what it is handed is made for one job


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """A pod as its cluster vouches for it, or what of it a token tells; all of it may be shown to people.

    `audiences` are those of ours that its token is meant for.
    """

    namespace: str
    service_account: str
    name: str | None = None
    uid: str | None = None
    node: str | None = None
    audiences: tuple[str, ...] = ()


POD = "pod-"  # before a pod's uid where it names a job: nobody tells us when that is over


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated worker process: every configured caller it matched, in file order, and how it was known."""

    matches: tuple[CallerFacts, ...]
    how: str  # "uid", "token" or "kubernetes"
    uid: int | None = None
    token_id: str | None = None
    pod: Pod | None = None  # by its own token, or by the path token that it was given for that
    only: tuple[str, ...] | None = None  # narrowed to these credentials, in this order of preference

    @property
    def name(self) -> str:
        """The name for status and audit."""
        return "+".join(match.caller for match in self.matches)

    @property
    def job(self) -> str | None:
        """What a job is to us: all that shows one worker token, or one pod. By uid alone, none is told apart."""
        return self.token_id or (f"{POD}{self.pod.uid}" if self.pod and self.pod.uid else None)

    @property
    def bearer(self) -> tuple[str | None, int | None]:
        """Who is told apart in the audit: the id of its worker token, else its pod's uid, and its own uid."""
        return self.token_id or (self.pod.uid if self.pod else None), self.uid


class Want(msgspec.Struct, frozen=True):
    """What a request asks for: a kind, and a credential by name, by Google account, or the first of the kind."""

    kind: Kind | None  # None: whatever kind the named credential has
    name: str | None = None
    account: str | None = None
    audience: str | None = None


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a secret is read, at each mint and by a minter alone: a file, or a variable of the minter's environment."""

    file: Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^[^\n\x00]+$(?!\n)")] | None = None
    env: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$(?!\n)")] | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.env is None):
            raise ValueError("exactly one of the two")


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The frozen parameters of one mint. Strings may be templates until `plan` has rendered them.

    `short_lived` is false where what is served lives as long as somebody else lets it: its expiry is our own invention.
    `per_job` says that each job has a value of its own, which is ended upstream when the job is over.
    """

    kind: ClassVar[Kind]
    short_lived: ClassVar[bool] = True
    per_job: ClassVar[bool] = False
    keys_of: ClassVar[tuple[str, ...]] = ()  # its fields that say whose those are: where they agree, any may end them

    def settings(self) -> Settings:
        """Plain variables that follow from the spec and belong into a worker's environment."""
        return ()

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """What is wrong between fields, as (field, text); nothing by itself."""
        return ()


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What a mint has besides its spec. `base` is the held lease's value of the credential named in `from`.

    `credential` is the name that is minted for, as the minter itself found it configured, whatever the daemon says.
    `spent` are the keys, by their ids, of a job that is over: they are to be ended.
    """

    credential: str = ""
    spent: tuple[str, ...] = ()
    base: Value | None = None
    audience: str | None = None
    mfa_code: Secret | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon may say to a minter: names and facts, never a spec."""

    credential: str
    facts: CallerFacts
    generation: str
    given: Given = Given()


class Keys(msgspec.Struct, frozen=True):
    """A cluster's public keys as its API server gave them, and whose tokens they sign."""

    issuer: str
    jwks: bytes


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon may ask about a token that a pod shows; None where only the keys are wanted.

    `keys` are given where the API server is away and they may be believed still: nobody is asked then.
    """

    token: Secret | None
    generation: str
    keys: Keys | None = None


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a review: the pod, or why the token is nobody's, in a fixed word; or the keys that were wanted.

    `by_keys` says that the API server was away: nobody looked whether the pod is still there.
    """

    pod: Pod | None = None
    reason: str | None = None
    keys: Keys | None = None
    by_keys: bool = False
