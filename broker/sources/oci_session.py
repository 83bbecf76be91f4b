"""`oci-session`: a session of Oracle's cloud for an OIDC token, by its identity domain's token exchange.

A key pair is made here for each session; its private half never travels but to the worker. Runs in a minter, and needs
no SDK: the exchange is one form, as oci.auth.signers.TokenExchangeSigner (oci 2.189) fills it in.
"""

import base64
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from broker.errors import Denied, IdentityMissing, MintError
from broker.model import Facts, Files, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.secret import Secret
from broker.sources import references
from broker.sources.oci_wire import Answered, Region, Url, decoded, send, url_mistakes
from broker.sources.source import Source

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from requests import PreparedRequest

TOKEN, KEY = "OCI_RESOURCE_PRINCIPAL_RPST", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"
KEY_BITS = 2048
_PRINTABLE = re.compile(r"[!-~]{1,16384}")
# What to do about a refusal, by OAuth's words (RFC 6749, 5.2).
_ADVICE = {
    "invalid_client": "it does not know the application, or not this secret: check `client_id`, `client_secret` and "
    "that the application is active",
    "unauthorized_client": "the application may not exchange tokens: add the trust configuration to the domain",
    "access_denied": "a sign-on policy of the domain forbids it",
}


class Session(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`oci-session`: an OIDC token of yours for a session of Oracle's cloud, given as resource principal files."""

    kind: ClassVar[Kind] = Kind.OCI

    domain_url: Annotated[
        Url, Meta(description='the identity domain, "https://idcs-0123.identity.oraclecloud.com"; it gives the tokens')
    ]
    client_id: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_.-]{1,256}$(?!\n)",
            description="the confidential application that its trust configuration names",
        ),
    ]
    client_secret: Annotated[Reference, Meta(description="where the application's secret is read")]
    subject_token: Annotated[
        Reference, Meta(description="where the OIDC token is read, at each mint; such as a Kubernetes pod's own")
    ]
    region: Annotated[Region, Meta(description='where workers find their services, "eu-frankfurt-1"')]

    def settings(self) -> Settings:
        """What the SDK wants beside the pair."""
        return (("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2"), ("OCI_RESOURCE_PRINCIPAL_REGION", self.region))

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """A domain to which the secret would travel in the clear."""
        return url_mistakes(domain_url=self.domain_url)


def mint(spec: Session, _: Given) -> Minted:
    """Exchange the OIDC token as it stands now for a session of a new key.

    Raises Denied, IdentityMissing, Malformed, Throttled or Unreachable.
    """
    secret = references.read(spec.client_secret, "client_secret")
    subject = references.read(spec.subject_token, "subject_token")
    key = _new_key()
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "requested_token_type": "urn:oci:token-type:oci-upst",
        "subject_token": subject.open(),
        "subject_token_type": "jwt",
        "public_key": _public(key),
    }
    basic = base64.b64encode(f"{spec.client_id}:{secret.open()}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{spec.domain_url.rstrip('/')}/oauth2/v1/token"
    answered = send("POST", url, headers, urlencode(form).encode(), _as_it_is)
    if not answered.good:
        raise _refused(answered)
    return _minted(answered, key, spec.region)


def who(_: Session, value: Value) -> Facts:
    """As the token says itself: there is no service to ask that any principal may use."""
    assert isinstance(value, Files)
    claims = _claims(dict(value.contents)[TOKEN].open())
    return Facts() if claims is None else _facts(claims, None)


def _minted(answered: Answered, key: "RSAPrivateKey", region: str) -> Minted:
    token = decoded(answered, _Exchanged, "session token").token
    claims = _claims(token) if _PRINTABLE.fullmatch(token) else None
    if claims is None:
        raise answered.malformed("a session token that does not say when it ends")
    return Minted(
        Files(((TOKEN, Secret(token)), (KEY, _private(key)))),
        expires_at=claims.exp,
        lifetime=answered.lifetime(claims.exp),
        facts=_facts(claims, region),
        skew=answered.skew,
    )


def _refused(answered: Answered) -> MintError:
    """What the domain's refusal means for the one who wrote the configuration."""
    word = answered.word
    code = "".join(part.capitalize() for part in word.split("_")) if word else f"Http{answered.status}"
    if word in _ADVICE:
        return Denied(f"{answered.host}: {_ADVICE[word]}", code=code)
    if skewed := answered.skewed():
        return skewed
    if word in {"invalid_grant", "invalid_request", "invalid_token"}:
        return IdentityMissing(
            f"{answered.host} does not accept `subject_token`: it has expired and must be renewed by its owner, or its "
            "issuer, audience or subject are not those of the domain's trust configuration",
            code="SubjectTokenRefused",
        )
    return Denied(f"{answered.host} refuses (HTTP {answered.status}): check `domain_url`", code=code)


def _facts(claims: "_Claims", region: str | None) -> Facts:
    words = (one if isinstance(one, str) and one.isprintable() else None for one in (claims.sub, claims.tenant))
    principal, tenant = words
    return Facts(principal=principal, account=tenant, region=region)


def _claims(token: str) -> "_Claims | None":
    try:
        _, claims, _ = token.split(".")
        return msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_Claims)
    except (ValueError, msgspec.DecodeError):
        return None


def _new_key() -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)


def _public(key: "RSAPrivateKey") -> str:
    """The public half, as the exchange wants it: its DER in base64."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def _private(key: "RSAPrivateKey") -> Secret:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _as_it_is(request: "PreparedRequest") -> "PreparedRequest":
    return request


class _Exchanged(msgspec.Struct):
    token: str


class _Claims(msgspec.Struct):
    exp: int
    sub: Any = None
    tenant: Any = None


SOURCES = (Source(name="oci-session", spec=Session, mint=mint, who=who),)
