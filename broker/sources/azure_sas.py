"""Azure: a shared access signature for one container or folder, signed by a user-delegation key.

The key is asked for with the held token of the credential that `from` names; the signature is made here. No account key
is needed, and none is ever read.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from msgspec import Meta

from broker import clock
from broker.errors import Denied, IdentityMissing, Malformed, MintError
from broker.model import AzureToken, Facts, Given, Kind, Minted, Settings, Spec, Value, Variables
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources.azure_errors import LARGEST_SKEW
from broker.sources.azure_login import hush, wire
from broker.sources.extra import extra
from broker.sources.source import Source
from broker.sources.web import Ear, Heard, is_safe, listening, unreachable

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken

HOUR = 3600
WEEK = 7 * 24 * HOUR
EARLIER = 300  # seconds that a key is good before now: clocks differ
TOKEN = "AZURE_STORAGE_SAS_TOKEN"  # noqa: S105 - the name of a variable: adlfs, object_store, the CLI
KEY = "AZURE_ACCOUNT_ACCESS_KEY"  # of MosaicML Streaming, which takes a signature in its place
_CODE = re.compile(r"<Code>([A-Za-z]{3,64})</Code>")

Account = Annotated[str, Meta(pattern=r"^[a-z0-9]{3,24}$(?!\n)")]
Container = Annotated[str, Meta(min_length=3, max_length=63, pattern=r"^[a-z0-9](?:-?[a-z0-9{}])+$(?!\n)")]
Prefix = Annotated[str, Meta(max_length=1024, pattern=r"^[^/\s?#%\\]+(?:/[^/\s?#%\\]+)*$(?!\n)")]
Permissions = Annotated[str, Meta(pattern=r"^[racwdxlmeop]{1,11}$(?!\n)", examples=["rl"])]
Url = Annotated[str, Meta(max_length=2048, pattern=r"^https?://[^\s?#@]+$(?!\n)")]

# Storage's words for why it gives no key or opens nothing, and what to do about them.
_FINAL = {
    "AuthorizationFailure": "its firewall does not let this machine in, or the identity may not do it at all",
    "AuthorizationPermissionMismatch": "grant the identity of `from` Storage Blob Delegator on the account, and a role "
    "for the data such as Storage Blob Data Contributor",
    "ContainerNotFound": "there is no such container: correct `container`",
    "InvalidQueryParameterValue": "it does not know what was asked: correct `prefix` and `permissions`",
    "InvalidResourceName": "that is no name of a container: correct `container`",
}


class Sas(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`azure-sas`: a user-delegation SAS for one container, or one folder of it."""

    kind: ClassVar[Kind] = Kind.AZURE_SAS

    account: Annotated[Account, Meta(description="The storage account")]
    container: Annotated[Container, Meta(description="The container")]
    prefix: (
        Annotated[Prefix, Meta(description="A folder in it; only for accounts with a hierarchical namespace")] | None
    ) = None
    permissions: Annotated[
        Permissions,
        Meta(description="Letters as Azure has them: r(ead), w(rite), c(reate), a(dd), d(elete), l(ist), ..."),
    ] = "rl"
    ttl: Annotated[
        int, Meta(ge=15 * 60, le=WEEK, description="How long it is good; Azure gives 7 days", extra={"unit": "seconds"})
    ] = HOUR
    endpoint_url: Annotated[Url, Meta(description="Where the account is, if not in the public cloud")] | None = None

    @property
    def endpoint(self) -> str:
        """The account's Blob endpoint."""
        return (self.endpoint_url or f"https://{self.account}.blob.core.windows.net").rstrip("/")

    @property
    def place(self) -> str:
        """What it is for, for people."""
        return "/".join(part for part in (self.account, self.container, self.prefix) if part)

    def settings(self) -> Settings:
        """The account's name, as Streaming, adlfs and object_store, and the CLI call it."""
        names = ("AZURE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT")
        return tuple((name, self.account) for name in names)

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A letter twice, and an account that a token would go to in the clear."""
        found = []
        if len(set(self.permissions)) < len(self.permissions):
            found.append(("permissions", "has a letter twice"))
        if self.endpoint_url is not None and not is_safe(self.endpoint_url):
            found.append(("endpoint_url", "must be https, or http to this machine"))
        return tuple(found)


def mint(spec: Sas, given: Given) -> Minted:
    """A signature by a key that is asked for now. Raises Denied, IdentityMissing, Malformed, Throttled, Unreachable."""
    if not isinstance(given.base, AzureToken):
        raise Denied("`from` must name an azure-token credential, whose identity may delegate", code="WrongBase")
    now = clock.wall()
    start, ends = _date(now + max(-EARLIER, spec.ttl - WEEK)), _date(now + spec.ttl)
    with _asking(spec) as (wire, ear):
        from azure.storage.blob import BlobServiceClient

        client = BlobServiceClient(spec.endpoint, credential=_Held(given.base), **wire)
        key = client.get_user_delegation_key(start, ends)
        signature = _signed(spec, key, ends)
    heard = ear.heard[-1]
    lifetime = ends.timestamp() - heard.now  # it ends by Azure's clock, whatever ours says
    if not SERVE_FLOOR <= lifetime <= WEEK + HOUR:
        raise IdentityMissing(f"{spec.place}: this machine's clock is far off: set it", code="ClockSkewed")
    values = tuple((name, Secret(signature)) for name in (TOKEN, KEY))
    return Minted(Variables(values), ends.timestamp(), lifetime, _facts(spec), heard.skew)


def who(spec: Sas, value: Value) -> Facts:
    """What it opens, after it has listed one name there, if it may: a container that is not there is told so."""
    if isinstance(value, Variables) and "l" in spec.permissions:
        with _asking(spec) as (wire, _):
            from azure.storage.blob import ContainerClient

            signature = dict(value.values)[TOKEN].open()
            client = ContainerClient(spec.endpoint, spec.container, credential=signature, **wire)
            prefix = f"{spec.prefix}/" if spec.prefix else None
            next(client.list_blob_names(name_starts_with=prefix, results_per_page=1), None)
    return _facts(spec)


def _signed(spec: Sas, key: Any, ends: datetime) -> str:
    from azure.storage.blob import ContainerSasPermissions, generate_blob_sas, generate_container_sas

    permission = ContainerSasPermissions.from_string(spec.permissions)
    how: dict[str, Any] = {"user_delegation_key": key, "permission": permission, "expiry": ends, "protocol": "https"}
    if spec.prefix is None:
        return generate_container_sas(spec.account, spec.container, **how)
    depth = spec.prefix.count("/") + 1  # read in azure-storage-blob: before 12.30 it does not count
    return generate_blob_sas(spec.account, spec.container, spec.prefix, is_directory=True, sdd=depth, **how)


class _Held:
    """The held token, in the shape that Azure's clients ask for one. It is for storage, or the account refuses it."""

    def __init__(self, token: AzureToken) -> None:
        self._token = token

    def get_token(self, *_: str, **__: Any) -> "AccessToken":
        """The token; the expiry is of no interest to a single call."""
        from azure.core.credentials import AccessToken

        return AccessToken(self._token.token.open(), int(clock.wall()) + HOUR)


@contextmanager
def _asking(spec: Sas) -> Iterator[tuple[dict[str, Any], Ear]]:
    """One attempt over a wire of ours; whatever is raised on the way becomes an error of ours."""
    hush()
    with listening() as (session, ear):
        with extra("azure"):
            import azure.storage.blob  # noqa: F401 - the extra may be there in part

        transport = wire(session)
        try:
            yield {"transport": transport, "retry_total": 0}, ear
        except Exception as error:  # noqa: BLE001 - told by what was heard, never by its words
            raise _failed(spec, ear, error) from None


def _failed(spec: Sas, ear: Ear, error: Exception) -> MintError:
    if isinstance(error, MintError):
        return error
    if ear.heard and ear.heard[-1].status >= HTTPStatus.BAD_REQUEST:
        return _refused(spec, ear.heard[-1])
    if ear.heard:
        return Malformed(f"{spec.place}: the account answered with something that is no key", code="UnusableAnswer")
    cause = getattr(error, "inner_exception", None)
    return unreachable(spec.endpoint.partition("://")[2].partition("/")[0], cause or error)


def _refused(spec: Sas, heard: Heard) -> MintError:
    passing = heard.transient()
    if passing is not None:
        return passing
    found = _CODE.search(heard.text.open())
    code = found[1] if found else ""
    off = heard.skew
    if off is not None and abs(off) > LARGEST_SKEW:
        words = f"this machine's clock is {abs(off) / 60:.0f} min {'ahead' if off > 0 else 'behind'}: set it"
        return IdentityMissing(f"{spec.place}: {words}", code="ClockSkewed")
    if code in _FINAL:
        return Denied(f"{spec.place}: {_FINAL[code]} ({code})", code=code)
    if heard.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        advice = (
            "the account does not accept it: the scope of `from` must be https://storage.azure.com/.default, and a "
            "prefix needs an account with a hierarchical namespace"
        )
        return Denied(f"{spec.place}: {advice}", code="AccessRefused")
    return Malformed(f"{spec.place}: HTTP {heard.status}, but not as a storage account says it", code="UnusableAnswer")


def _facts(spec: Sas) -> Facts:
    return Facts(account=spec.account, principal=f"{spec.place} ({spec.permissions})")


def _date(seconds: float) -> datetime:
    """Whole seconds: Azure signs no fractions."""
    return datetime.fromtimestamp(int(seconds), UTC)


SOURCES = (Source(name="azure-sas", spec=Sas, mint=mint, who=who, base=Kind.AZURE, needs_base=True),)
