"""Keys of one user of Oracle's cloud, which have no end of their own: made with a stated one, and deleted after it.

Every mint looks at what there is, deletes what is over, and only then makes another. Nothing is remembered between two
mints: whatever a crash leaves behind has its stated end upstream, and the next mint after it deletes it. A key that was
replaced lives to its own stated end, so that nobody who was handed it sees it go before. Runs in a minter, and signs
with Oracle's SDK.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, NoReturn

import msgspec
from msgspec import Meta

from broker.errors import Denied, IdentityMissing, MintError, Throttled
from broker.model import Reference, Spec
from broker.sources import references
from broker.sources.extra import extra
from broker.sources.oci_wire import Answered, Authority, Region, Url, decoded, send, url_mistakes
from broker.sources.source import END

Ocid = Annotated[str, Meta(pattern=rf"^ocid1\.[a-z0-9._-]{{3,240}}{END}")]
User = Annotated[str, Meta(pattern=rf"^ocid1\.user\.[a-z0-9._-]{{3,240}}{END}")]
Fingerprint = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{2}}(?::[0-9a-f]{{2}}){{15}}{END}")]
Lifetime = Annotated[
    int,
    Meta(
        ge=900,
        le=24 * 3600,
        extra={"unit": "seconds"},
        description="seconds, or like 2h: after how long a key is over; there are two or three at a time",
    ),
]


class KeyedSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose keys are made, and by whom."""

    kind_of_keys: ClassVar[str]
    quota: ClassVar[int]  # of keys a user, as Oracle's documentation states it

    tenancy: Annotated[Ocid, Meta(description="the tenancy of both users")]
    user: Annotated[User, Meta(description="whose keys are made: the identity that workers get")]
    identity: Annotated[User, Meta(description="who makes them, and may manage that user's keys")]
    fingerprint: Annotated[Fingerprint, Meta(description="of the API key of `identity`")]
    private_key: Annotated[Reference, Meta(description="where its private key is read, PEM without a passphrase")]
    region: Annotated[Region, Meta(description='where workers find their services, "eu-frankfurt-1"')]
    home_region: Annotated[
        Region | None, Meta(description="the tenancy's, which alone makes and deletes keys; else `region`")
    ] = None
    lifetime: Lifetime = 7200
    endpoint_url: Annotated[
        Url | None, Meta(description="another identity service than Oracle's: https, or http on loopback")
    ] = None

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A service to which secrets would travel in the clear."""
        return url_mistakes(endpoint_url=self.endpoint_url)

    @property
    def keys_url(self) -> str:
        """Where the user's keys of this kind are."""
        place = self.endpoint_url or f"https://identity.{self.home_region or self.region}.oci.oraclecloud.com"
        return f"{place.rstrip('/')}/20160918/users/{self.user}/{self.kind_of_keys}"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key as upstream lists it; `name` is what it is deleted by, `ends` its stated end, None where not ours."""

    name: str
    ends: float | None


class Keyring:
    """The keys of one user, as they are now. Raises Denied, IdentityMissing, Malformed, Throttled or Unreachable."""

    def __init__(self, spec: KeyedSpec) -> None:
        self.spec = spec
        self._sign = _signer(spec)

    def listed(self) -> Answered:
        """What there is."""
        return self._ask("GET", "", None)

    def make(self, keys: tuple[Key, ...], listed: Answered, details: dict[str, str]) -> Answered:
        """Delete what is over, then make another key. Raises Throttled while the user has as many as he may have."""
        over = [key for key in keys if key.ends is not None and key.ends <= listed.now]
        for key in over:
            self._ask("DELETE", key.name, None)
        left = [key for key in keys if key not in over]
        if len(left) >= self.spec.quota:
            self._full(left, listed)
        return self._ask("POST", "", msgspec.json.encode(details))

    def end(self, names: Iterable[str]) -> None:
        """Delete these before their time: nobody was given them."""
        for name in names:
            self._ask("DELETE", name, None)

    def _full(self, left: list[Key], listed: Answered) -> NoReturn:
        ends = [key.ends for key in left if key.ends is not None]
        if not ends:
            advice = f"the user has {len(left)} {_WORDS[self.spec.kind_of_keys]}, none of them ours: delete one"
            raise Denied(advice, code="QuotaFull")
        patience = min(ends) - listed.now
        advice = f"the user has {len(left)} {_WORDS[self.spec.kind_of_keys]}, as many as he may: one ends in"
        raise Throttled(f"{advice} {patience:.0f} s", code="QuotaFull", retry_after=patience)

    def _ask(self, method: str, name: str, body: bytes | None) -> Answered:
        headers = {} if body is None else {"Content-Type": "application/json"}
        answered = send(method, f"{self.spec.keys_url}/{name}", headers, body, self._sign)
        gone = method == "DELETE" and answered.status == HTTPStatus.NOT_FOUND  # by another's hand
        if not answered.good and not gone:
            raise refused(answered, method)
        return answered


def refused(answered: Answered, method: str) -> MintError:
    """What the identity service's refusal means for the one who wrote the configuration."""
    word = answered.word or f"Http{answered.status}"
    if answered.status == HTTPStatus.UNAUTHORIZED:
        if skewed := answered.skewed():
            return skewed
        advice = "it does not know this key, or not any more: `tenancy`, `identity`, `fingerprint` and `private_key`"
        return Denied(f"{answered.host}: {advice} must belong together", code=word)
    if answered.status in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
        advice = "there is no such `user`, or `identity` may not manage the user's keys: a policy must allow it"
        return Denied(f"{answered.host}: {advice}", code=word)
    if method == "POST" and answered.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT}:
        advice = "it makes no key now: the user may have as many as he may"
        return Throttled(f"{answered.host}: {advice} (HTTP {answered.status})", code=word)
    return Denied(f"{answered.host} refuses (HTTP {answered.status})", code=word)


def epoch(answered: Answered, text: object) -> float:
    """A time as upstream writes it. Raises Malformed for anything else."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise answered.malformed("a key that does not say when it was made")
    return time.timestamp()


def members(answered: Answered, reading: Callable[[dict[str, Any]], Key]) -> tuple[Key, ...]:
    """The listed keys that are there or may still count. Raises Malformed for what is no list of keys."""
    listed = decoded(answered, list[dict[str, Any]], "list of keys")
    return tuple(reading(one) for one in listed if one.get("lifecycleState") not in {"DELETING", "DELETED"})


def _signer(spec: KeyedSpec) -> Authority:
    pem = references.read(spec.private_key, "private_key", lines=True)
    with extra("oci"):
        from oci.exceptions import InvalidPrivateKey, MissingPrivateKeyPassphrase
        from oci.signer import Signer
    try:
        sign: Authority = Signer(spec.tenancy, spec.identity, spec.fingerprint, None, private_key_content=pem.open())
    except (InvalidPrivateKey, MissingPrivateKeyPassphrase, ValueError, TypeError):
        place = references.place(spec.private_key)
        advice = f"private_key: {place} is no private RSA key in PEM without a passphrase"
        raise IdentityMissing(advice, code="ReferenceNotKey") from None
    return sign


_WORDS = {"apiKeys": "API keys", "customerSecretKeys": "customer secret keys"}
