"""`oci-api-key`: API keys of a user that is the broker's alone, for programs that want a config file of Oracle's.

An API key has no name, and nothing can be written on it: ours are all of that user's, and each is over when it is older
than `lifetime`. So the user must be nobody else's, and another than the identity.
"""

from typing import TYPE_CHECKING, Any, ClassVar

from broker.model import Facts, Files, Given, Kind, Minted, Value
from broker.secret import Secret
from broker.sources.oci_keys import Key, KeyedSpec, Keyring, epoch, members
from broker.sources.oci_wire import Answered, decoded
from broker.sources.source import Source

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

KEY_BITS = 2048


class ApiKey(KeyedSpec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`oci-api-key`: a key pair of a user given to the broker alone: all keys older than `lifetime` are deleted."""

    kind: ClassVar[Kind] = Kind.OCI
    kind_of_keys: ClassVar[str] = "apiKeys"
    quota: ClassVar[int] = 3

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """The identity's own user, whose key would be deleted with the others."""
        more = super().mistakes()
        if self.user != self.identity:
            return more
        return (*more, ("user", "must be another than `identity`, and the broker's alone: its older keys are deleted"))


def mint(spec: ApiKey, _: Given) -> Minted:
    """Delete the user's keys that are over, then upload the public half of a new one.

    Raises Denied, IdentityMissing, Malformed, Throttled or Unreachable.
    """
    ring, pair = Keyring(spec), _new_key()
    listed = ring.listed()
    keys = members(listed, lambda one: _key(listed, one, spec.lifetime))
    made = ring.make(keys, listed, {"key": _public(pair)})
    answer = decoded(made, dict[str, Any], "API key")
    mark, at = answer.get("fingerprint"), epoch(made, answer.get("timeCreated"))
    if mark != _fingerprint(pair):
        raise made.malformed("another key than was uploaded")
    contents = {
        "OCI_CLI_USER": spec.user,
        "OCI_CLI_TENANCY": spec.tenancy,
        "OCI_CLI_FINGERPRINT": str(mark),
        "OCI_CLI_REGION": spec.region,
        "OCI_CLI_KEY_CONTENT": _private(pair),
    }
    return Minted(
        Files(tuple((name, Secret(text)) for name, text in contents.items())),
        expires_at=at + spec.lifetime,
        lifetime=made.lifetime(at + spec.lifetime),
        facts=Facts(principal=f"{spec.user}/{mark}", account=spec.tenancy, region=spec.region),
        skew=made.skew,
    )


def who(spec: ApiKey, value: Value) -> Facts:
    """Whose key it is, by whether it is still among the user's."""
    assert isinstance(value, Files)
    mark = dict(value.contents)["OCI_CLI_FINGERPRINT"].open()
    listed = Keyring(spec).listed()
    if mark not in {key.name for key in members(listed, lambda one: _key(listed, one, spec.lifetime))}:
        raise listed.malformed("a list without the key that was made")
    return Facts(principal=f"{spec.user}/{mark}", account=spec.tenancy)


def retire(spec: ApiKey, given: Given) -> None:
    """Delete these keys of the user's, named as their facts have them."""
    Keyring(spec).end(principal.rpartition("/")[2] for principal in given.spent)


def _key(listed: Answered, one: dict[str, Any], lifetime: float) -> Key:
    name = one.get("fingerprint")
    if not isinstance(name, str):
        raise listed.malformed("a key without a fingerprint")
    return Key(name=name, ends=epoch(listed, one.get("timeCreated")) + lifetime)


def _new_key() -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _public(key: "RSAPrivateKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _private(key: "RSAPrivateKey") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _fingerprint(key: "RSAPrivateKey") -> str:
    """As Oracle computes it: the MD5 of the public key's DER."""
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(der, usedforsecurity=False).digest().hex(":")


SOURCES = (Source(name="oci-api-key", spec=ApiKey, mint=mint, who=who, retire=retire),)
