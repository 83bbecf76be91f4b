"""Azure: Entra ID tokens by azure-identity.

The specs and the functions of each source. How one signs in stands in azure_login, what goes wrong in azure_errors.
"""

import base64
import re
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from broker import clock
from broker.errors import Malformed
from broker.model import AzureToken, Facts, Given, Kind, Minted, Reference, Spec, Value
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources import azure_login, references
from broker.sources.azure_login import Login
from broker.sources.source import Source

STORAGE = "https://storage.azure.com/.default"
DEFAULT = "/.default"
LONGEST_LIFETIME = 25 * 3600.0  # a managed identity's tokens live for a day
_PROOFS = ("client_secret", "certificate", "federated_token_file")
_PRINTABLE = re.compile(r"[!-~]{1,128}")

Id = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$(?!\n)", examples=["a GUID"])]
Tenant = Annotated[str, Meta(max_length=253, pattern=r"^[A-Za-z0-9.-]+$(?!\n)")]
Scope = Annotated[str, Meta(max_length=512, pattern=r"^[!-~]+/\.default$(?!\n)", examples=[STORAGE])]
Url = Annotated[str, Meta(max_length=2048, pattern=r"^https?://[^/\s]+/?$(?!\n)")]
File = Annotated[str, Meta(min_length=1, max_length=4096, extra={"unit": "path"})]


class Token(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`azure-token`: an Entra ID token for one resource, of a client or of the ambient identity."""

    kind: ClassVar[Kind] = Kind.AZURE

    tenant_id: Annotated[Tenant, Meta(description="The tenant, by its id or a domain")] | None = None
    client_id: (
        Annotated[Id, Meta(description="The app's client id; by itself, that of a user-assigned managed identity")]
        | None
    ) = None
    client_secret: Annotated[Reference | None, Meta(description="The app's secret, its value")] = None
    certificate: Annotated[Reference | None, Meta(description="PEM of a certificate of the app, and its key")] = None
    federated_token_file: (
        Annotated[File, Meta(description="A token of an issuer that the app trusts; read anew at each mint")] | None
    ) = None
    scopes: Annotated[
        tuple[Scope, ...],
        Meta(min_length=1, max_length=1, description="What the tokens are for: one resource, with /.default behind it"),
    ] = (STORAGE,)
    authority: Annotated[Url, Meta(description="Where Entra ID is, if not in the public cloud")] | None = None

    @property
    def resource(self) -> str:
        """What the tokens are for, as managed identities call it."""
        return self.scopes[0].removesuffix(DEFAULT)

    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """Two proofs, a client without one, and an authority that is not to be trusted with any."""
        given = [name for name in _PROOFS if getattr(self, name) is not None]
        found = [(name, f"is one proof too many: `{given[0]}` is there") for name in given[1:]]
        if given and (self.tenant_id is None or self.client_id is None):
            found.append((given[0], "needs `tenant_id` and `client_id` beside it"))
        if not given and self.tenant_id is not None:
            found.append(("tenant_id", f"needs `client_id` and one of {', '.join(_PROOFS)} beside it"))
        if self.authority is not None and not self.authority.startswith("https://"):
            found.append(("authority", "must be https: azure-identity signs in nowhere else"))
        return tuple(found)


def mint(spec: Token, _: Given) -> Minted:
    """A token of the client, or of whatever identity azure-identity finds where none is configured."""
    signed = azure_login.sign_in(_login(spec), spec.scopes[0])
    claims = _claims(signed.token)
    now = signed.heard.now if signed.heard else clock.wall()
    # In the token Entra says when it ends, and beside it for how long it lives: never later than either.
    expires_at = min(now + signed.lifetime, claims.exp) if claims.exp is not None else now + signed.lifetime
    if not SERVE_FLOOR <= expires_at - now <= LONGEST_LIFETIME:
        advice = "Entra gave a token that has expired, is about to, or expires absurdly late"
        raise Malformed(advice, code="UnusableAnswer")
    return Minted(
        AzureToken(signed.token, spec.resource),
        expires_at=expires_at,
        lifetime=expires_at - now,
        facts=claims.facts,
        skew=signed.heard.skew if signed.heard else None,
    )


def who(_: Token, value: Value) -> Facts:
    """Whose token it is by its own claims: to ask Entra would need more rights than the token may have."""
    return _claims(value.token).facts if isinstance(value, AzureToken) else Facts()


def _login(spec: Token) -> Login:
    """What the spec refers to, read now."""
    file = spec.federated_token_file
    return Login(
        tenant_id=spec.tenant_id,
        client_id=spec.client_id,
        authority=spec.authority,
        client_secret=references.read(spec.client_secret, "client_secret") if spec.client_secret else None,
        certificate=references.read(spec.certificate, "certificate", lines=True) if spec.certificate else None,
        assertion=references.read(Reference(file=file), "federated_token_file") if file else None,
    )


class _Claims(msgspec.Struct):
    """What a token says of itself; whoever it is for verifies it."""

    exp: float | None = None
    appid: Any = None  # of version 1.0, and `azp` of 2.0
    azp: Any = None
    oid: Any = None
    tid: Any = None
    upn: Any = None  # a person's

    @property
    def facts(self) -> Facts:
        """Tenant, client and object."""
        tenant, client, thing, person = map(_shown, (self.tid, self.appid or self.azp, self.oid, self.upn))
        words = (person or (f"client {client}" if client else None), f"object {thing}" if thing else None)
        return Facts(account=tenant, principal=", ".join(word for word in words if word) or None)


def _claims(token: Secret) -> _Claims:
    """Empty where a token is no JWT: those of some resources are sealed."""
    parts = token.open().split(".")
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims)
    except (IndexError, ValueError, msgspec.DecodeError):
        return _Claims()


def _shown(claim: object) -> str | None:
    return claim if isinstance(claim, str) and _PRINTABLE.fullmatch(claim) else None


SOURCES = (Source(name="azure-token", spec=Token, mint=mint, who=who),)
