"""Who exists at the fake Google, which tokens it issued, and who may act as whom. No HTTP in here.

Every store that another fake plays (a GCS, say) asks `check`: a token that is unknown, expired, revoked or without the
scope is refused as the real one refuses it.
"""

import functools
import secrets
import threading
import time
from collections.abc import Callable, Iterable

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
IAM = "https://www.googleapis.com/auth/iam"


class NotAccepted(Exception):
    """A token that the real Google would refuse: `status` is 401 or 403."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@functools.cache
def key_of(name: str) -> rsa.RSAPrivateKey:
    """A key for each name, made once a process: making one takes a tenth of a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issued(msgspec.Struct, frozen=True):
    """One access token and what it stands for; times in seconds since the epoch."""

    token: str
    principal: str
    scopes: frozenset[str]
    expires_at: float


class ServiceAccount:
    """A service account with one key."""

    def __init__(self, email: str) -> None:
        self.email = email
        self.project = email.partition("@")[2].partition(".")[0]
        self.unique_id = str(secrets.randbelow(10**21))
        self.key_id = secrets.token_hex(20)

    @property
    def key(self) -> rsa.RSAPrivateKey:
        """Made when first needed: accounts that are only impersonated have none."""
        return key_of(self.email)

    def pem(self) -> str:
        """The private key as a key file holds it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()


class User(msgspec.Struct, frozen=True):
    """A person who logged in with gcloud: a refresh token bound to one OAuth client; scopes fixed at consent."""

    email: str
    client_id: str
    client_secret: str
    refresh_token: str
    scopes: tuple[str, ...]


class Pool(msgspec.Struct, frozen=True):
    """A workload or workforce identity pool provider: the subject tokens it trusts."""

    audience: str
    subject_token_type: str
    subjects: dict[str, str]  # subject token -> principal


class Registry:
    """Accounts, tokens and permissions. Thread-safe; `clock` gives the fake Google's own time."""

    def __init__(self, clock: Callable[[], float] = time.time, lifetime: int = 3600) -> None:
        self.clock = clock
        self.lifetime = lifetime
        self.longest = 3600  # 43200 where an organisation policy allows it
        self.accounts: dict[str, ServiceAccount] = {}
        self.users: list[User] = []
        self.pools: list[Pool] = []
        self._may: set[tuple[str, str]] = set()
        self._issued: dict[str, Issued] = {}
        self._lock = threading.Lock()

    def service_account(self, email: str = "worker@my-project.iam.gserviceaccount.com") -> ServiceAccount:
        """The account of that e-mail, made if it does not exist."""
        with self._lock:
            return self.accounts.setdefault(email, ServiceAccount(email))

    def delete(self, email: str) -> None:
        """The account is gone and its tokens with it."""
        with self._lock:
            self.accounts.pop(email, None)
        self.revoke(email)

    def user(self, email: str = "person@example.com", scopes: Iterable[str] = (CLOUD_PLATFORM,)) -> User:
        """A new login of a person."""
        user = User(
            email, secrets.token_hex(8), secrets.token_hex(16), "1//" + secrets.token_urlsafe(40), tuple(scopes)
        )
        with self._lock:
            self.users.append(user)
        return user

    def forget(self, user: User) -> None:
        """The person revoked that login."""
        with self._lock:
            self.users.remove(user)

    def pool(self, subjects: dict[str, str], subject_token_type: str = "urn:ietf:params:oauth:token-type:jwt") -> Pool:
        """A new provider that trusts these subject tokens."""
        number = len(self.pools) + 1
        audience = f"//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p{number}/providers/x"
        pool = Pool(audience, subject_token_type, subjects)
        with self._lock:
            self.pools.append(pool)
        return pool

    def allow(self, principal: str, target: str) -> None:
        """Give `principal` the Service Account Token Creator role on `target`."""
        self._may.add((principal, target))

    def forbid(self, principal: str, target: str) -> None:
        """Take it away again."""
        self._may.discard((principal, target))

    def may(self, principal: str, target: str) -> bool:
        """Whether `principal` may mint tokens of `target`."""
        return (principal, target) in self._may

    def issue(self, principal: str, scopes: Iterable[str], lifetime: float | None = None) -> Issued:
        """A new access token."""
        seconds = self.lifetime if lifetime is None else lifetime
        issued = Issued("ya29." + secrets.token_urlsafe(96), principal, frozenset(scopes), self.clock() + seconds)
        with self._lock:
            self._issued[issued.token] = issued
        return issued

    def revoke(self, principal: str) -> None:
        """Every token of that principal is dead from now on."""
        with self._lock:
            self._issued = {token: one for token, one in self._issued.items() if one.principal != principal}

    def look_up(self, token: str) -> Issued:
        """The token's record, or NotAccepted(401)."""
        with self._lock:
            issued = self._issued.get(token)
        if issued is None:
            raise NotAccepted(401, "no such token")
        if issued.expires_at <= self.clock():
            raise NotAccepted(401, "the token has expired")
        return issued

    def check(self, token: str, *scopes: str) -> str:
        """The principal of a live token that carries one of `scopes` (any, if none is named), or NotAccepted."""
        issued = self.look_up(token)
        if scopes and not issued.scopes & {CLOUD_PLATFORM, *scopes}:
            raise NotAccepted(403, "insufficient scopes")
        return issued.principal
