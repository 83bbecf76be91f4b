"""AWS container credentials, as every AWS SDK asks for them at AWS_CONTAINER_CREDENTIALS_FULL_URI.

Pure: a Request in, a Want out; a Lease in, a Reply out. No clock, no socket, no policy.
"""

from broker.dialects.refusal import message, retry_after, status_for_aws
from broker.errors import BrokerError
from broker.model import AwsKeys, Kind, Lease, Want
from broker.wire import Reply, Request, json_body, timestamp

NAME = "aws"
path_token_ok = False

_HINT = "set AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE and AWS_CONTAINER_AUTHORIZATION_TOKEN; `credbroker env` prints them"


def parse(request: Request) -> Want | None:
    """Which AWS credential is wanted, or None if there is no such path."""
    match request.segments:
        case ("aws",):
            return Want(Kind.AWS)
        case ("aws", name) if name:
            return Want(Kind.AWS, name)
    return None


def render(request: Request, lease: Lease, left: float) -> Reply:  # noqa: ARG001 - what every dialect is given
    """The four fields that every SDK needs, all strings; `left` is not shown, the expiry is absolute."""
    keys = lease.value
    if not isinstance(keys, AwsKeys):
        raise TypeError("the desk gave a lease of another kind")
    return Reply(
        200,
        json_body(
            AccessKeyId=keys.access_key_id,
            SecretAccessKey=keys.secret_access_key.open(),
            Token=keys.session_token.open(),  # "" where the store has none: an absent field breaks boto3 and obstore
            Expiration=timestamp(lease.expires_at),  # JS and Rust refuse offsets
            AccountId=lease.facts.account,
        ),
    )


def refuse(error: BrokerError, request_id: str) -> Reply:
    """The error in both spellings: Go and Java read lower case, JS reads capitals. Never 429: Java gives up on it."""
    text = message(error, request_id, _HINT)
    body = json_body(code=error.code, message=text, Code=error.code, Message=text)
    return Reply(status_for_aws(error), body, headers=retry_after(error))
