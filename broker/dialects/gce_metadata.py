"""The GCE metadata server, as Google's libraries find it at GCE_METADATA_HOST, _IP and _ROOT.

Pure: a Request in, a Want or a Reply out; a Lease in, a Reply out. No clock, no socket, no policy. What is no matter of
a credential (zone, instance id, attributes) is not known here and not invented: 404, as where there is none.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from broker.dialects.refusal import message, retry_after
from broker.errors import BrokerError, Refused
from broker.model import AccessToken, IdToken, Kind, Lease, Want
from broker.wire import Reply, Request, json_body

NAME = "gcp"
path_token_ok = True

DEFAULT = "default"

_FLAVOR = (("Metadata-Flavor", "Google"),)  # on every reply: Node takes one without it for a captive portal
_HINT = "set GCE_METADATA_HOST, GCE_METADATA_IP and GCE_METADATA_ROOT; `credbroker env` prints them"
_FOLDERS = frozenset({"account", "accounts"})
_ACCOUNT_VIEWS = frozenset({"aliases", "email", "identity", "scopes", "token"})
_PROJECT_VIEWS = frozenset({"numeric-project-id", "project-id"})
_PLAIN_SEGMENT = re.compile(r"[0-9A-Za-z_~@:-][0-9A-Za-z._~@:-]*+")


def _text(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), "text/plain", _FLAVOR)


def _json(**members: object) -> Reply:
    return Reply(200, json_body(**members), headers=_FLAVOR)


_ROOT = _text("computeMetadata/")
_V1 = _text("instance/\nproject/\nuniverse/")
_INSTANCE = _text("service-accounts/")
_UNIVERSE = _text("googleapis.com")
# What every lease answers alike. Node asks for `instance` and wants a 200.
_STATIC: Mapping[tuple[str, ...], Reply] = {
    ("computeMetadata", "v1", *rest): reply
    for rest, reply in (
        ((), _V1),
        (("",), _V1),
        (("instance",), _INSTANCE),
        (("instance", ""), _INSTANCE),
        (("universe", "universe-domain"), _UNIVERSE),
        (("universe", "universe_domain"), _UNIVERSE),
    )
}


def parse(request: Request) -> Want | Reply | None:
    """What is wanted, or a reply that needs no lease, or None if there is no such path.

    Raises Refused: 403 without the protocol's header, 400 for a token bound to a transport or an ID token for nobody.
    """
    segments = request.segments
    if segments == ("",):
        return _ROOT
    if segments[0] != "computeMetadata":
        return None
    if request.fields.get("metadata-flavor") != "Google":
        raise Refused(403, "MetadataFlavorMissing", "send the header Metadata-Flavor: Google")
    return _STATIC.get(segments) or _want(request, _place(segments))


def render(request: Request, lease: Lease, left: float) -> Reply:
    """The view of the lease that the path names. A project that is not known is 404."""
    _, view = _place(request.segments) or (DEFAULT, "")
    if view == "token":
        return _token(lease, left)
    if view in _PROJECT_VIEWS:
        return _project(view, lease.facts.project or "")
    if view in _FOLDERS and (request.parameter("recursive") or "").lower() == "true":
        details = _details(lease)
        return _json(**details) if view == "account" else _json(**dict.fromkeys(_names(lease), details))
    return _text(_TEXTS[view](lease))


def refuse(error: BrokerError, request_id: str) -> Reply:
    """The error as text: clients put it into their own as it is."""
    text = f"{error.code}: {message(error, request_id, _HINT)}"
    return Reply(error.status, text.encode(), "text/plain", retry_after(error) + _FLAVOR)


def _place(segments: tuple[str, ...]) -> tuple[str, str] | None:
    """The account and the view that the path names; None if there is no such path."""
    match segments[1:]:
        case ("v1", "instance", "service-accounts", account, view) if view in _ACCOUNT_VIEWS:
            return account, view
        case ("v1", "instance", "service-accounts") | ("v1", "instance", "service-accounts", ""):
            return DEFAULT, "accounts"
        case ("v1", "instance", "service-accounts", account) | ("v1", "instance", "service-accounts", account, ""):
            return account, "account"
        case ("v1", "project", view) if view in _PROJECT_VIEWS:
            return DEFAULT, view
    return None


def _want(request: Request, place: tuple[str, str] | None) -> Want | None:
    if place is None:
        return None
    account, view = place
    named = None if account == DEFAULT else account
    if view == "token" and any(name in {"transport", "binding-enforcement"} for name, _ in request.query):
        raise Refused(400, "BoundToken", "tokens are not bound to a transport here; set GCE_METADATA_MTLS_MODE=none")
    if view != "identity":
        return Want(Kind.GOOGLE, account=named)
    audience = request.parameter("audience")
    if not audience:
        raise Refused(400, "AudienceMissing", "say whom the ID token is for: ?audience=...")
    return Want(Kind.GOOGLE_ID, account=named, audience=audience)


def _token(lease: Lease, left: float) -> Reply:
    """Numbers are numbers and the content type is JSON: google-auth fails on anything else."""
    return _json(
        access_token=_access_token(lease).token.open(),
        expires_in=max(1, int(left)),
        token_type="Bearer",  # noqa: S106 - the type of the token
    )


def _project(view: str, project: str) -> Reply:
    if project and (view == "project-id" or project.isdecimal()):
        return _text(project)
    return _text("NotFound: the project is not known here", 404)


def _access_token(lease: Lease) -> AccessToken:
    if not isinstance(lease.value, AccessToken):
        raise TypeError("the desk gave a lease of another kind")
    return lease.value


def _id_token(lease: Lease) -> str:
    if not isinstance(lease.value, IdToken):
        raise TypeError("the desk gave a lease of another kind")
    return lease.value.token.open()


def _email(lease: Lease) -> str:
    """The account's name, never empty: `default`, asked for alike, where none is known or it cannot stand in a path."""
    email = lease.facts.email
    return email if email and _PLAIN_SEGMENT.fullmatch(email) else DEFAULT


def _names(lease: Lease) -> tuple[str, ...]:
    return tuple(dict.fromkeys((DEFAULT, _email(lease))))


def _details(lease: Lease) -> dict[str, Any]:
    return {"aliases": (DEFAULT,), "email": _email(lease), "scopes": _access_token(lease).scopes}


_TEXTS: Mapping[str, Callable[[Lease], str]] = {
    "account": lambda _: "aliases\nemail\nidentity\nscopes\ntoken",
    "accounts": lambda lease: "\n".join(f"{name}/" for name in _names(lease)),
    "aliases": lambda _: DEFAULT,
    "email": _email,
    "identity": _id_token,
    "scopes": lambda lease: "\n".join(_access_token(lease).scopes),
}
