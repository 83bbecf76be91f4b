"""App Service's managed identity endpoint, as azure-identity and object_store find it at IDENTITY_ENDPOINT.

Pure: a Request in, a Want out; a Lease in, a Reply out. No clock, no socket, no policy. `client_id` names a credential;
whose identity a token is, and what it is for, the credential decides: `resource` is echoed and widens nothing.
"""

from broker.dialects.refusal import message, retry_after
from broker.errors import BrokerError, Refused
from broker.model import AzureToken, Kind, Lease, Want
from broker.wire import Reply, Request, json_body

NAME = "azure"
path_token_ok = False

VERSION = "2019-08-01"
_HINT = "set IDENTITY_ENDPOINT and IDENTITY_HEADER; `credbroker env` prints them"


def parse(request: Request) -> Want | None:
    """Which token is wanted, or None if there is no such path. Raises Refused (400) for another version, no resource.

    Other names of an identity (`mi_res_id`, `object_id`) are Azure's own, and known to nobody here.
    """
    if request.segments != ("azure", "token"):
        return None
    if request.parameter("api-version") != VERSION:
        raise Refused(400, "ApiVersionUnknown", f"ask with api-version={VERSION}, as App Service has it")
    if not request.parameter("resource"):
        raise Refused(400, "ResourceMissing", "say what the token is for: resource=https://storage.azure.com")
    if request.parameter("mi_res_id") or request.parameter("object_id"):
        raise Refused(400, "IdentityUnknown", "name a credential by client_id; it is known by nothing else")
    return Want(Kind.AZURE, request.parameter("client_id") or None)


def render(request: Request, lease: Lease, left: float) -> Reply:  # noqa: ARG001 - what every dialect is given
    """The token. `expires_on` is text, as App Service's own answer has it: object_store reads no number there."""
    value = lease.value
    if not isinstance(value, AzureToken):
        raise TypeError("the desk gave a lease of another kind")
    return Reply(
        200,
        json_body(
            access_token=value.token.open(),
            expires_on=str(int(lease.expires_at)),
            resource=request.parameter("resource"),
            token_type="Bearer",  # noqa: S106 - the type of the token
        ),
    )


def refuse(error: BrokerError, request_id: str) -> Reply:
    """As App Service says it: msal shows `statusCode` and `message`, and breaks on what is no JSON."""
    text = f"{error.code}: {message(error, request_id, _HINT)}"
    return Reply(error.status, json_body(statusCode=error.status, message=text), headers=retry_after(error))
