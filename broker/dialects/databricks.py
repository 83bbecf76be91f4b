"""The Databricks metadata service, as Databricks' SDKs find it at DATABRICKS_METADATA_SERVICE_URL.

Pure: a Request in, a Want out; a Lease in, a Reply out. No clock, no socket, no policy.
"""

import urllib.parse

from broker.dialects.refusal import message, retry_after
from broker.errors import BrokerError, Refused
from broker.model import DatabricksToken, Kind, Lease, Want
from broker.wire import Reply, Request, json_body

NAME = "databricks"
path_token_ok = True  # its clients send no header of ours

EARLY = 300  # seconds: the SDK asks again only when a token has expired, and requests of its own may last
VERSION = "1"
_HINT = "set DATABRICKS_METADATA_SERVICE_URL, with its token; `credbroker env` prints it"


def parse(request: Request) -> Want | None:
    """Which credential is wanted, or None if there is no such path.

    Raises Refused: 400 without the protocol's headers, which a browser or an SSRF does not send.
    """
    match request.segments:
        case ("databricks", name) if name:
            if request.fields.get("x-databricks-metadata-version") != VERSION:
                raise Refused(400, "VersionUnknown", f"send the header X-Databricks-Metadata-Version: {VERSION}")
            if not request.fields.get("x-databricks-host"):
                raise Refused(400, "HostMissing", "send the header X-Databricks-Host: the workspace that is asked")
            return Want(Kind.DATABRICKS, name)
    return None


def render(request: Request, lease: Lease, left: float) -> Reply:  # noqa: ARG001 - what every dialect is given
    """The token, and when to ask again. A workspace that is not the token's own gets none."""
    value = lease.value
    if not isinstance(value, DatabricksToken):
        raise TypeError("the desk gave a lease of another kind")
    if _host(request.fields["x-databricks-host"]) != _host(value.host):
        return _problem(403, "WrongHost: this credential is for another workspace: correct DATABRICKS_HOST")
    return Reply(
        200,
        json_body(
            access_token=value.token.open(),
            token_type="Bearer",  # noqa: S106 - the type of the token
            expires_on=int(lease.expires_at) - EARLY,
        ),
    )


def refuse(error: BrokerError, request_id: str) -> Reply:
    """The error as JSON: its SDKs decode whatever comes."""
    reply = _problem(error.status, f"{error.code}: {message(error, request_id, _HINT)}")
    return Reply(reply.status, reply.body, headers=retry_after(error))


def _problem(status: int, text: str) -> Reply:
    return Reply(status, json_body(error=text))


def _host(text: str) -> str:
    """The host and port of a workspace's address, given with a scheme or without."""
    return urllib.parse.urlsplit(text if "://" in text else f"//{text}").netloc.lower()
