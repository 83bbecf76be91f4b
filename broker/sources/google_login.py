"""An identity that was found becomes a token: one refresh of google-auth's credentials, as that identity itself.

What google-auth raises becomes a MintError here, and only what was heard on the wire is believed about lifetimes.
"""

import urllib.parse
from collections.abc import Callable
from typing import Any

import msgspec

from broker.errors import BrokerError, Denied, MintError
from broker.model import AccessToken, Facts, Minted, Value
from broker.secret import Secret
from broker.sources import google_adc, google_answers
from broker.sources.google_adc import Identity
from broker.sources.google_errors import Attempt, Refusal
from broker.sources.google_wire import Heard, Line

IAM = "https://www.googleapis.com/auth/iam"  # all that the IAM Credentials API wants of the token it is asked with
_AWS_SUBJECT = "urn:ietf:params:aws:token-type:aws4_request"
TOKENINFO = "https://oauth2.googleapis.com/tokeninfo"


def access_token(identity: Identity, scopes: tuple[str, ...], facts: Facts) -> Minted:
    """An access token of the identity itself."""
    attempt = Attempt(identity.place, identity.type)
    with Line() as line:
        _refreshed(line, attempt, lambda: _credentials(identity, scopes))
        if not line.heard:  # google-auth signs a token by itself where the file names another universe
            raise Denied(f"{identity.place}: only identities of googleapis.com can be used", code="UnsupportedIdentity")
        answer = line.heard[-1]
        if identity.type == "gce":
            scopes, facts = _instance(line, scopes, facts, attempt)
        return google_answers.exchanged(answer, scopes, facts, attempt)


def bearer(identity: Identity) -> Secret:
    """An access token of the identity itself that the IAM Credentials API takes."""
    value = access_token(identity, (IAM,), Facts()).value
    assert isinstance(value, AccessToken)
    return value.token


def id_token(identity: Identity, audience: str, facts: Facts) -> Minted:
    """An ID token of the identity itself. Raises Denied for the types that Google gives none."""
    if identity.type not in {"service_account", "gce"}:
        raise Denied(
            f"{identity.place}: Google gives no ID tokens for an audience to {identity.type}: use gcp-impersonate, or "
            "a service account's key",
            code="NoIdTokens",
        )
    attempt = Attempt(identity.place, identity.type)
    with Line() as line:
        credentials = _refreshed(line, attempt, lambda: _id_credentials(identity, audience, line))
        return google_answers.identity(credentials.token, audience, line.heard[-1], facts, attempt)


def asked(value: Value, known: Facts, where: str | None) -> Facts:
    """`known`, with the e-mail that Google's tokeninfo gives for a token; `where` its other endpoints are, if named.

    Tokens of pools and those without an e-mail scope are not told apart there: then what is known stays.
    """
    if not isinstance(value, AccessToken):
        return known
    form = urllib.parse.urlencode({"access_token": value.token.open()}).encode()
    try:
        with Line() as line:
            line(_tokeninfo(where), "POST", form, {"Content-Type": "application/x-www-form-urlencoded"})
            told = msgspec.json.decode(line.heard[-1].text.open(), type=_TokenInfo)
    except (MintError, Refusal, msgspec.DecodeError):
        return known
    return msgspec.structs.replace(known, email=told.email or known.email)


def _refreshed(line: Line, attempt: Attempt, build: Callable[[], Any]) -> Any:
    try:
        credentials = build()
        credentials.refresh(line)
    except BrokerError:
        raise
    except Refusal as refusal:
        raise attempt.refused(refusal) from None
    except Exception:  # noqa: BLE001 - google-auth lets out whatever an ill-formed answer leads to, TypeError included
        exchanged = attempt.type == "gce" or any(heard.method == "POST" for heard in line.heard)
        raise attempt.failed(exchanged=exchanged) from None
    return credentials


def _credentials(identity: Identity, scopes: tuple[str, ...]) -> Any:
    """google-auth's object for what `identity.text` describes. Raises IdentityMissing if that is not whole."""
    if identity.type == "gce":
        return _class("gce", {})(scopes=scopes)
    info = msgspec.json.decode(identity.text.open())
    try:
        return _load(identity.type, info, scopes)
    except Exception:  # noqa: BLE001 - google-auth lets out whatever a field of the wrong type leads to
        raise Attempt(identity.place, identity.type).incomplete() from None


def _id_credentials(identity: Identity, audience: str, line: Line) -> Any:
    """google-auth's object for ID tokens of a service account's key or of this instance."""
    from google.auth import compute_engine
    from google.oauth2 import service_account

    of_instance: Any = compute_engine.IDTokenCredentials
    of_key: Any = service_account.IDTokenCredentials
    if identity.type == "gce":
        return of_instance(line, audience, use_metadata_identity_endpoint=True)
    info = msgspec.json.decode(identity.text.open())
    try:
        return of_key.from_service_account_info(info, target_audience=audience)
    except Exception:  # noqa: BLE001 - as above
        raise Attempt(identity.place, identity.type).incomplete() from None


def _load(kind: str, info: dict[str, Any], scopes: tuple[str, ...]) -> Any:
    made = _class(kind, info)
    match kind:
        case "authorized_user":  # its scopes were fixed when the person consented
            return made.from_authorized_user_info(info)
        case "service_account":
            return made.from_service_account_info(info, scopes=scopes)
        case "external_account_authorized_user":
            return made.from_info(info)
    return made.from_info(info, scopes=scopes)


def _class(kind: str, info: dict[str, Any]) -> Any:
    """google-auth's class for a type, chosen as it would itself."""
    from google.auth import aws, compute_engine, external_account_authorized_user, identity_pool, pluggable
    from google.oauth2 import credentials, service_account

    match kind:
        case "gce":
            return compute_engine.Credentials
        case "authorized_user":
            return credentials.Credentials
        case "service_account":
            return service_account.Credentials
        case "external_account_authorized_user":
            return external_account_authorized_user.Credentials
    if info.get("subject_token_type") == _AWS_SUBJECT:
        return aws.Credentials
    return pluggable.Credentials if "executable" in info["credential_source"] else identity_pool.Credentials


def _instance(line: Line, scopes: tuple[str, ...], facts: Facts, attempt: Attempt) -> tuple[tuple[str, ...], Facts]:
    """The scopes that the instance's tokens really have, where it ignores those asked for, and whose they are."""
    said = _described(line.heard[0], attempt)
    honoured = set(scopes) <= set(said.scopes) or "https://www.googleapis.com/auth/cloud-platform" in said.scopes
    project = facts.project or google_adc.instance_project(line)
    note = "handed on: the instance's own token"
    known = msgspec.structs.replace(facts, email=said.email, project=project, handed_on=True, note=note)
    return scopes if honoured else said.scopes, known


def _described(heard: Heard, attempt: Attempt) -> "_Instance":
    try:
        return msgspec.json.decode(heard.text.open(), type=_Instance)
    except msgspec.DecodeError:
        raise attempt.malformed("something that is no service account") from None


def _tokeninfo(where: str | None) -> str:
    """Google's, or that of whatever stands in for Google: beside its other endpoints."""
    parts = urllib.parse.urlsplit(where or TOKENINFO)
    if (parts.hostname or "").endswith(".googleapis.com"):
        return TOKENINFO
    return f"{parts.scheme}://{parts.netloc}/tokeninfo"


class _Instance(msgspec.Struct):
    email: str
    scopes: tuple[str, ...] = ()


class _TokenInfo(msgspec.Struct):
    email: str | None = None
