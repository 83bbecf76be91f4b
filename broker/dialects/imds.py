"""IMDSv2, the instance metadata of EC2, for clients that know no other place to ask: `imds = true`.

Pure: a Request in, a Want or another wish out; a Lease in, a Reply out. No clock, no socket, no policy. IMDSv1 is never
spoken: without a session token there is nothing here but the PUT that gives one. Facts of a machine (instance id,
addresses, user data) are not known and not invented: 404, as where there is none.
"""

import html
import http
import re

import msgspec

from broker.dialects.refusal import message, retry_after, status_for_aws
from broker.errors import BrokerError, Refused
from broker.model import AwsKeys, Kind, Lease, Want
from broker.secret import Secret
from broker.wire import Reply, Request, json_body, timestamp

NAME = "imds"
path_token_ok = False

TOKEN_FIELD = "x-aws-ec2-metadata-token"  # noqa: S105 - a field's name
TTL_FIELD = "X-aws-ec2-metadata-token-ttl-seconds"
LONGEST_TTL = 21_600  # six hours

_HINT = (
    f"ask for a session token first (PUT /latest/api/token with {TTL_FIELD}) and show it on connections of the same "
    "user; clients that know more than IMDS set what `credbroker env` prints instead"
)
_TTL = re.compile(r"[1-9][0-9]{0,4}")
_ROLES = {"security-credentials": False, "security-credentials-extended": True}  # whether it tells the account too
_ZONE = ("meta-data", "placement", "availability-zone")
_REGION = ("meta-data", "placement", "region")
_DOCUMENT = ("dynamic", "instance-identity", "document")


class NewToken(msgspec.Struct, frozen=True):
    """The wish for a session token that lives `ttl` seconds."""

    ttl: int


class RoleList(msgspec.Struct, frozen=True):
    """The wish for the name of the role that there is."""


def parse(request: Request) -> Want | NewToken | RoleList | None:
    """What is wanted, or None if there is no such path. A path may end with a slash: SDKs do not agree about that.

    Raises Refused: 400 for a TTL that is none, 401 for a GET that shows no session token, whoever else it says it is.
    """
    if request.segments[0] != "latest":
        return None
    if request.segments == ("latest", "api", "token") and request.method == "PUT":
        return NewToken(_ttl(request.fields.get(TTL_FIELD.lower(), "")))
    if TOKEN_FIELD not in request.fields:
        raise Refused(401, "Unauthorized", "this is IMDSv2, and the request shows no session token", reason="imds-v1")
    match _path(request):
        case ("meta-data", "iam", folder) if folder in _ROLES:
            return RoleList()
        case ("meta-data", "iam", folder, role) if folder in _ROLES:
            return Want(Kind.AWS, role)
        case path if path in {_ZONE, _REGION, _DOCUMENT}:
            return Want(Kind.AWS)
    return None


def token(text: Secret, ttl: int) -> Reply:
    """The session token; Rust and Ruby want its life beside it."""
    return Reply(200, text.open().encode(), "text/plain", ((TTL_FIELD, str(ttl)),))


def roles(names: tuple[str, ...]) -> Reply:
    """The first of the caller's AWS credentials, as the instance's role; 404 where there is none, as on an instance.

    An instance has one role, and botocore takes the whole text for its name (of two lines it makes "trainother"), so
    the others are not listed. They answer under their names all the same.
    """
    return _text(names[0]) if names else _page(404, "no AWS credential is granted")


def render(request: Request, lease: Lease, left: float) -> Reply:  # noqa: ARG001 - what every dialect is given
    """The keys, or the place that the path names, of which a lease knows the region and the account."""
    path = _path(request)
    if path[1] == "iam":
        return _keys(lease, extended=_ROLES[path[2]])
    region = lease.facts.region
    if path == _DOCUMENT:
        return Reply(200, json_body(accountId=lease.facts.account, region=region))
    if region is None:
        return _page(404, "the region is not known here; `region` in the credential tells it")
    # The zone is made up: botocore and C++ cut its letter off to have the region.
    return _text(f"{region}a" if path == _ZONE else region)


def refuse(error: BrokerError, request_id: str) -> Reply:
    """The error as a page, as EC2 gives them. Never 429, which it does not use: 503 is what its clients ask again."""
    text = f"{error.code}: {message(error, request_id, _HINT)}"
    return _page(status_for_aws(error), text, *retry_after(error))


def _path(request: Request) -> tuple[str, ...]:
    """The parts behind /latest, without a trailing slash."""
    segments = request.segments[1:]
    return segments[:-1] if segments and not segments[-1] else segments


def _ttl(text: str) -> int:
    """Strictly digits: int() would take signs, spaces and underscores."""
    if not _TTL.fullmatch(text) or int(text) > LONGEST_TTL:
        raise Refused(400, "BadRequest", f"{TTL_FIELD} must be a number of seconds from 1 to {LONGEST_TTL}")
    return int(text)


def _keys(lease: Lease, *, extended: bool) -> Reply:
    """The role's document. SDKs take any Code but this one for an error."""
    keys = lease.value
    if not isinstance(keys, AwsKeys):
        raise TypeError("the desk gave a lease of another kind")
    return Reply(
        200,
        json_body(
            Code="Success",
            LastUpdated=timestamp(lease.issued_at),
            Type="AWS-HMAC",
            AccessKeyId=keys.access_key_id,
            SecretAccessKey=keys.secret_access_key.open(),
            Token=keys.session_token.open(),  # "" where the store has none: an absent field breaks boto3 and obstore
            Expiration=timestamp(lease.expires_at),
            AccountId=lease.facts.account if extended else None,
        ),
    )


def _text(text: str) -> Reply:
    return Reply(200, text.encode(), "text/plain")


def _page(status: int, text: str, *headers: tuple[str, str]) -> Reply:
    title = f"{status} - {http.HTTPStatus(status).phrase}"
    body = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><p>{html.escape(text)}</p></body></html>"
    return Reply(status, body.encode(), "text/html", headers)
