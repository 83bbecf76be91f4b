"""Signing in to Entra ID by azure-identity, once: an access token, what was heard on the way, errors as ours.

azure-identity is loaded here and nowhere else. It retries nothing and keeps nothing: the broker does both.
"""

import logging
import urllib.parse
from typing import TYPE_CHECKING, Any

import msgspec

from broker import clock
from broker.errors import IdentityMissing, Malformed, MintError
from broker.secret import Secret
from broker.sources.azure_errors import Attempt, is_refusal, number_in
from broker.sources.extra import extra
from broker.sources.web import TIMEOUT, Ear, Heard, listening, unreachable

if TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo, SupportsTokenInfo
    from azure.core.pipeline.transport import RequestsTransport
    from requests import Session

NOT_FOUND = (
    "no Azure identity gives a token: neither what the environment names, nor a managed identity, nor a login: run "
    "`az login`, or configure tenant_id, client_id and one of client_secret, certificate, federated_token_file"
)


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who signs in, and by what: at most one of the last three, and none means the ambient identity."""

    tenant_id: str | None = None
    client_id: str | None = None
    authority: str | None = None
    client_secret: Secret | None = None
    certificate: Secret | None = None  # PEM, with its private key
    assertion: Secret | None = None  # a federated issuer's token

    @property
    def is_ambient(self) -> bool:
        """Whether the identity is what azure-identity finds by itself."""
        return not (self.client_secret or self.certificate or self.assertion)

    @property
    def attempt(self) -> Attempt:
        """What is being done, for errors."""
        what = "the ambient Azure identity" if self.is_ambient else f"the client {self.client_id}"
        return Attempt(f"a token for {what}", federated=self.assertion is not None)


class Signed(msgspec.Struct, frozen=True):
    """A token, how many seconds it lives from now, and the answer that brought it, if it came by HTTP."""

    token: Secret
    lifetime: float
    heard: Heard | None


def sign_in(login: Login, scope: str) -> Signed:
    """One try. Raises Denied, IdentityMissing, Malformed, Throttled or Unreachable."""
    hush()
    with listening() as (session, ear):
        transport = wire(session)
        try:
            info = _credential(login, transport).get_token_info(scope)
        except Exception as error:  # noqa: BLE001 - whatever it raises is told by what was heard, never by its words
            raise _failed(login, ear, error) from None
        return _signed(login, info, ear)


def _signed(login: Login, info: "AccessTokenInfo", ear: Ear) -> Signed:
    if not info.token or not info.token.isascii() or not info.token.isprintable():
        raise Malformed(f"{login.attempt.what}: what came is no token", code="UnusableAnswer")
    return Signed(Secret(info.token), info.expires_on - clock.wall(), ear.heard[-1] if ear.heard else None)


def _credential(login: Login, transport: Any) -> "SupportsTokenInfo":
    from azure import identity

    wire: dict[str, Any] = {"transport": transport, "retry_total": 0}
    if login.authority is not None:
        # Who configures an authority vouches for it: it need not be one that Microsoft's own directory lists.
        wire |= {"authority": login.authority, "disable_instance_discovery": True}
    if login.is_ambient:
        mine = {"managed_identity_client_id": login.client_id} if login.client_id else {}
        return identity.DefaultAzureCredential(**wire, **mine)
    assert login.tenant_id is not None
    assert login.client_id is not None
    who = (login.tenant_id, login.client_id)
    if login.client_secret is not None:
        return identity.ClientSecretCredential(*who, login.client_secret.open(), **wire)
    if login.assertion is not None:
        return identity.ClientAssertionCredential(*who, login.assertion.open, **wire)
    assert login.certificate is not None
    return _by_certificate(who, login.certificate, wire)


def _by_certificate(who: tuple[str, str], certificate: Secret, wire: dict[str, Any]) -> "SupportsTokenInfo":
    from azure.identity import CertificateCredential

    try:
        return CertificateCredential(*who, certificate_data=certificate.open().encode(), **wire)
    except Exception:  # noqa: BLE001 - its words may quote the file
        raise IdentityMissing(
            "`certificate` must be PEM: a certificate and its RSA private key, without a password",
            code="CertificateUnreadable",
        ) from None


def _failed(login: Login, ear: Ear, error: BaseException) -> MintError:
    """The error for what was heard, or for why nothing was."""
    for cause in _causes(error):
        if isinstance(cause, MintError):
            return cause
    refusals = [heard for heard in ear.heard if is_refusal(heard)]
    if login.is_ambient:  # several identities were tried, and most are simply not there
        said = [heard for heard in refusals if number_in(heard) is not None]
        return login.attempt.refused(said[-1]) if said else IdentityMissing(NOT_FOUND, code="NoCredentials")
    if refusals:
        return login.attempt.refused(refusals[-1])
    return _network(login, error) or Malformed(
        f"{login.attempt.what}: Entra answered with something that is no token", code="UnusableAnswer"
    )


def _network(login: Login, error: BaseException) -> MintError | None:
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError
    from requests import RequestException

    host = urllib.parse.urlsplit(login.authority or "").hostname or "Entra ID"
    for cause in _causes(error):
        if isinstance(cause, ServiceRequestError | ServiceResponseError):
            inner = cause.inner_exception
            return unreachable(host, inner if inner is not None else cause)
        if isinstance(cause, RequestException):
            return unreachable(host, cause)
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def wire(session: "Session") -> "RequestsTransport":
    """The transport that Azure's libraries are given: our session, and no patience of their own."""
    with extra("azure"):
        from azure.core.pipeline.transport import RequestsTransport

        return RequestsTransport(session=session, session_owner=False, connection_timeout=TIMEOUT, read_timeout=TIMEOUT)


def hush() -> None:
    """Keep their loggers silent: warnings repeat what Azure said, and a minter's standard error goes to the journal."""
    for name in ("azure", "msal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
