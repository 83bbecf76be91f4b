"""A lease as environment variables: `/env/{credential}`, and what `credbroker get --format env` prints.

For programs that read their credentials from the environment once, at their start. Pure: no clock, no policy.
"""

from broker.dialects.refusal import plain
from broker.errors import BrokerError, Refused
from broker.model import AccessToken, AwsKeys, AzureToken, DatabricksToken, Facts, Files, Lease, Variables, Want
from broker.wire import Reply, Request, json_body, timestamp

NAME = "env"
path_token_ok = False

STORAGE = "https://storage.azure.com"
STORAGE_TOKEN = "AZURE_STORAGE_TOKEN"  # noqa: S105 - the name of a variable, which object_store reads
OTHER_TOKEN = "AZURE_ACCESS_TOKEN"  # noqa: S105 - likewise, which only people's own programs read


def parse(request: Request) -> Want | None:
    """Which credential is wanted, of whatever kind, or None if there is no such path."""
    match request.segments:
        case ("env", name) if name:
            return Want(None, name)
    return None


def render(request: Request, lease: Lease, left: float) -> Reply:  # noqa: ARG001 - what every dialect is given
    """The variables, and the expiry beside them."""
    return Reply(200, json_body(**variables(lease), expires_at=timestamp(lease.expires_at)))


def refuse(error: BrokerError, request_id: str) -> Reply:
    """The error as flat JSON."""
    return plain(error, request_id)


def variables(lease: Lease) -> dict[str, str]:
    """The environment variables that clients of the lease's kind read, and those that travel with it.

    What is not known is left out. Raises Refused for a lease that is none of variables.
    """
    match lease.value:
        case AwsKeys() as keys:
            known = _aws(keys, lease.facts)
        case AccessToken() as token:
            known = _google(token, lease.facts)
        case AzureToken() as token:
            name = STORAGE_TOKEN if token.resource.rstrip("/") == STORAGE else OTHER_TOKEN
            known = {name: token.token.open()}
        case DatabricksToken() as token:
            known = {"DATABRICKS_HOST": token.host, "DATABRICKS_TOKEN": token.token.open()}
        case Files() as pair:  # named by the variables that can carry them, for programs that end before the lease
            known = {name: secret.open() for name, secret in pair.contents}
        case Variables() as secrets:
            known = {name: secret.open() for name, secret in secrets.values}
        case _:
            raise Refused(404, "NotFound", "this credential has no variables; docs/stores.md says how it is used")
    return {name: value for name, value in known.items() if value} | dict(lease.settings)


def _aws(keys: AwsKeys, facts: Facts) -> dict[str, str | None]:
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key.open(),
        "AWS_SESSION_TOKEN": keys.session_token.open(),
        "AWS_REGION": facts.region,
        "AWS_DEFAULT_REGION": facts.region,  # boto3 and the CLI know no other
    }


def _google(token: AccessToken, facts: Facts) -> dict[str, str | None]:
    text = token.token.open()
    return {
        "CLOUDSDK_AUTH_ACCESS_TOKEN": text,
        "GOOGLE_OAUTH_ACCESS_TOKEN": text,  # Terraform
        "GOOGLE_CLOUD_PROJECT": facts.project,
        "GOOGLE_CLOUD_QUOTA_PROJECT": facts.quota_project,
    }
