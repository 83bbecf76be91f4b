"""The made-up account behind the fakes of AWS: users, roles and every key that is or was good. No rules in here."""

import base64
import hmac
import json
import secrets
import threading
from typing import Any

import msgspec

from tests.fakes.sigv4 import KeyRecord


class StsKey(KeyRecord, frozen=True, kw_only=True):
    """Keys and what STS remembers of them. `principals` are the ARNs that a trust policy may name for their holder."""

    kind: str  # "user", "session", "role" or "federated"
    principals: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()  # those that chains keep
    source_identity: str | None = None
    mfa: bool = False


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role: whom it trusts ("*" for anybody known), and on what conditions."""

    arn: str
    trusts: tuple[str, ...] = ("*",)
    external_id: str | None = None
    max_duration: int = 3600
    mfa: bool = False
    subjects: tuple[str, ...] = ()  # of web identity tokens


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An IAM user with one long-term key, and an MFA device if `mfa_codes` has any codes (each is good once)."""

    name: str
    access_key_id: str
    secret: str
    mfa_codes: tuple[str, ...] = ()


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The account that the fake is about."""

    account: str = "123456789012"
    users: tuple[User, ...] = (
        User(name="alice", access_key_id="AKIAFAKEALICE0000001", secret="alice/secret+key", mfa_codes=("123456",)),
    )
    roles: tuple[Role, ...] = (
        Role(arn="arn:aws:iam::123456789012:role/train", max_duration=43_200),
        Role(arn="arn:aws:iam::123456789012:role/team/next"),
    )
    regions: tuple[str, ...] = ("us-east-1", "eu-west-1", "eu-central-1")
    web_secret: str = "web identity provider"  # signs the web identity tokens of this world


class KeyRegistry:
    """Every key of the fakes, for STS and S3 alike. Safe to share between threads."""

    def __init__(self, world: World) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, StsKey] = {}
        self.issued: list[StsKey] = []  # session keys, oldest first
        for user in world.users:
            arn = f"arn:aws:iam::{world.account}:user/{user.name}"
            self._keys[user.access_key_id] = StsKey(
                access_key_id=user.access_key_id,
                secret=user.secret,
                arn=arn,
                account=world.account,
                kind="user",
                principals=(arn,),
            )

    def find(self, access_key_id: str) -> StsKey | None:
        """The key of that id, expired or not."""
        with self._lock:
            return self._keys.get(access_key_id)

    def issue(self, **facts: Any) -> StsKey:
        """A new session key; ids, secrets and tokens are random."""
        key = StsKey(
            access_key_id=f"ASIA{secrets.token_hex(8).upper()}",
            secret=secrets.token_urlsafe(30),
            session_token=base64.b64encode(secrets.token_bytes(240)).decode(),
            **facts,
        )
        with self._lock:
            self._keys[key.access_key_id] = key
            self.issued.append(key)
        return key

    def revoke(self, access_key_id: str) -> None:
        """Forget a key, as deleting it in IAM does."""
        with self._lock:
            del self._keys[access_key_id]

    def latest(self) -> StsKey:
        """The newest session key."""
        with self._lock:
            return self.issued[-1]


def web_token(world: World, subject: str, expires_at: float, audience: str = "sts.amazonaws.com") -> str:
    """A web identity token of this world's provider."""
    parts = [{"alg": "HS256"}, {"sub": subject, "aud": audience, "exp": int(expires_at)}]
    text = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{text}.{hmac.digest(world.web_secret.encode(), text.encode(), 'sha256').hex()}"
