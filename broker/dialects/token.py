"""A bearer token for programs of people's own: `/token` and `/token/{credential}`.

The members are those of an OAuth2 token reply (RFC 6749, 5.1), and `expires_at` beside `expires_in`, which goes stale
on its way. Its refusals also answer a path of no dialect. Pure: no clock, no socket, no policy.
"""

from broker.dialects.refusal import plain
from broker.errors import BrokerError
from broker.model import AccessToken, Kind, Lease, Want
from broker.wire import Reply, Request, json_body, timestamp

NAME = "token"
path_token_ok = False


def parse(request: Request) -> Want | None:
    """Which token is wanted, or None if there is no such path."""
    match request.segments:
        case ("token",):
            return Want(Kind.GOOGLE)
        case ("token", name) if name:
            return Want(Kind.GOOGLE, name)
    return None


def render(request: Request, lease: Lease, left: float) -> Reply:
    """The token with its life, or alone where `Accept` asks for text."""
    value = lease.value
    if not isinstance(value, AccessToken):
        raise TypeError("the desk gave a lease of another kind")
    if _wants_text(request.fields.get("accept", "")):
        return Reply(200, value.token.open().encode(), "text/plain")
    return Reply(
        200,
        json_body(
            access_token=value.token.open(),
            token_type="Bearer",  # noqa: S106 - the type of the token
            expires_in=max(1, int(left)),
            expires_at=timestamp(lease.expires_at),
            scope=" ".join(value.scopes),
        ),
    )


def refuse(error: BrokerError, request_id: str) -> Reply:
    """The error as flat JSON."""
    return plain(error, request_id)


def _wants_text(accept: str) -> bool:
    """Whether text is named and JSON is not; parameters such as `q` are not weighed."""
    named = {media.partition(";")[0].strip(" ").lower() for media in accept.split(",")}
    return "text/plain" in named and "application/json" not in named
