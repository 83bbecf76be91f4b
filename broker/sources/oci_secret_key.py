"""`oci-customer-secret-key`: keys for Oracle's object storage as S3 clients see it, made and deleted by the broker.

Each is named `credbroker-HOST-END`: whose it is for people, and when it is over, in seconds since the epoch, for any
broker. What has another name is somebody else's, and is left alone.
"""

import hashlib
import re
import socket
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from broker.model import AwsKeys, Facts, Given, Kind, Minted, Settings, Value
from broker.secret import Secret
from broker.sources.oci_keys import Key, KeyedSpec, Keyring, members
from broker.sources.oci_wire import Answered, decoded
from broker.sources.source import Source

_OURS = re.compile(r"credbroker-[0-9a-f]{8}-([0-9]{10})")
_KEY_ID = re.compile(r"[A-Za-z0-9._/+=-]{1,256}")
_SECRET = re.compile(r"[!-~]{1,1024}")


class SecretKey(KeyedSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`oci-customer-secret-key`: a customer secret key, for clients of S3 at Oracle's object storage."""

    kind: ClassVar[Kind] = Kind.AWS
    kind_of_keys: ClassVar[str] = "customerSecretKeys"
    quota: ClassVar[int] = 2

    namespace: Annotated[
        str, Meta(pattern=r"^[a-z0-9_-]{1,100}$(?!\n)", description="the tenancy's object storage namespace")
    ]

    def settings(self) -> Settings:
        """Where the store is: streaming reads one name, the AWS SDKs the other."""
        url = f"https://{self.namespace}.compat.objectstorage.{self.region}.oraclecloud.com"
        return (("S3_ENDPOINT_URL", url), ("AWS_ENDPOINT_URL_S3", url))


def mint(spec: SecretKey, _: Given) -> Minted:
    """Delete keys of ours that are over, then make one whose name says when it will be.

    Raises Denied, IdentityMissing, Malformed, Throttled or Unreachable.
    """
    ring = Keyring(spec)
    listed = ring.listed()
    ends = int(listed.now) + spec.lifetime
    host = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
    made = ring.make(
        members(listed, lambda one: _key(listed, one)), listed, {"displayName": f"credbroker-{host}-{ends}"}
    )
    answer = decoded(made, dict[str, Any], "customer secret key")
    key_id, secret = (str(answer.get(name, "")) for name in ("id", "key"))
    if not _KEY_ID.fullmatch(key_id) or not _SECRET.fullmatch(secret):
        raise made.malformed("only a part of a key")
    return Minted(
        AwsKeys(key_id, Secret(secret), Secret("")),
        expires_at=float(ends),
        lifetime=made.lifetime(ends),
        facts=Facts(principal=key_id, account=spec.tenancy, region=spec.region),
        skew=made.skew,
    )


def who(spec: SecretKey, value: Value) -> Facts:
    """Whose key it is, by whether it is still among the user's."""
    assert isinstance(value, AwsKeys)
    listed = Keyring(spec).listed()
    if value.access_key_id not in {key.name for key in members(listed, lambda one: _key(listed, one))}:
        raise listed.malformed("a list without the key that was made")
    return Facts(principal=value.access_key_id, account=spec.tenancy)


def retire(spec: SecretKey, given: Given) -> None:
    """Delete these keys of the user's."""
    Keyring(spec).end(given.spent)


def _key(listed: Answered, one: dict[str, Any]) -> Key:
    name, shown = one.get("id"), one.get("displayName")
    if not isinstance(name, str) or not _KEY_ID.fullmatch(name):
        raise listed.malformed("a key without an id")
    ours = _OURS.fullmatch(shown) if isinstance(shown, str) else None
    return Key(name=name, ends=float(ours[1]) if ours else None)


SOURCES = (Source(name="oci-customer-secret-key", spec=SecretKey, mint=mint, who=who, retire=retire),)
