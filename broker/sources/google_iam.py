"""Acting as a service account: generateAccessToken and generateIdToken of the IAM Credentials API, over REST.

google-cloud-iam's client does the asking, once; google_wire listens on its session.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from broker.errors import BrokerError, IdentityMissing
from broker.model import Facts, Minted
from broker.secret import Secret
from broker.sources import google_answers
from broker.sources.google_adc import Identity
from broker.sources.google_errors import Attempt, Refusal, impersonation_refused
from broker.sources.google_wire import TIMEOUT, Ear, check_url, is_near, reaching

if TYPE_CHECKING:
    from google.cloud.iam_credentials_v1 import IAMCredentialsClient

ENDPOINT = "https://iamcredentials.googleapis.com"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Which service account to act as, through whom, asked where. `billed` is the asking identity's quota project."""

    service_account: str
    delegates: tuple[str, ...] = ()
    endpoint: str = ENDPOINT
    billed: str | None = None

    @classmethod
    def of(cls, identity: Identity, endpoint_url: str | None) -> "Target":
        """What an identity file says to act as; `endpoint_url` counts before the file's."""
        acts_as = identity.acts_as
        assert acts_as is not None
        return cls(
            service_account=acts_as.service_account,
            delegates=acts_as.delegates,
            endpoint=endpoint_url or acts_as.endpoint,
            billed=identity.billed,
        )

    @property
    def attempt(self) -> Attempt:
        """The words for its errors."""
        return Attempt(self.service_account, "service account")


def access_token(target: Target, bearer: Secret, scopes: tuple[str, ...], lifetime: int, facts: Facts) -> Minted:
    """An access token of the target for `lifetime` seconds, asked for with the access token `bearer`."""
    from google.protobuf.duration_pb2 import Duration

    with _client(target, bearer) as (client, ear):
        answer = client.generate_access_token(
            name=_name(target.service_account),
            delegates=[_name(delegate) for delegate in target.delegates],
            scope=list(scopes),
            lifetime=Duration(seconds=lifetime),
            retry=None,
            timeout=TIMEOUT,
        )
        return google_answers.impersonated(answer, ear.heard[-1], scopes, facts, target.attempt)


def id_token(target: Target, bearer: Secret, audience: str, facts: Facts) -> Minted:
    """An ID token of the target for `audience`, its e-mail included, asked for with the access token `bearer`."""
    with _client(target, bearer) as (client, ear):
        answer = client.generate_id_token(
            name=_name(target.service_account),
            delegates=[_name(delegate) for delegate in target.delegates],
            audience=audience,
            include_email=True,
            retry=None,
            timeout=TIMEOUT,
        )
        return google_answers.identity(answer.token, audience, ear.heard[-1], facts, target.attempt)


@contextlib.contextmanager
def _client(target: Target, bearer: Secret) -> Iterator[tuple["IAMCredentialsClient", Ear]]:
    """A client that makes one attempt, and the ear on it; what goes wrong inside becomes a MintError."""
    from google.cloud.iam_credentials_v1 import IAMCredentialsClient
    from google.oauth2.credentials import Credentials

    near = is_near(check_url(target.endpoint))
    made: Any = Credentials
    shown = made(bearer.open(), quota_project_id=target.billed)
    options = {"universe_domain": "googleapis.com"}  # whatever the environment says: the bearer is of no other
    if target.endpoint != ENDPOINT:
        options["api_endpoint"] = target.endpoint
    ear = Ear()
    try:
        with (
            reaching(target.endpoint),
            IAMCredentialsClient(credentials=shown, transport="rest", client_options=options) as client,
        ):
            transport: Any = client.transport
            session = transport._session  # noqa: SLF001 - the generated client has no other way to its session
            session.trust_env = not near  # a proxy cannot know this machine
            ear.on(session)
            yield client, ear
    except BrokerError:
        raise
    except Refusal as refusal:
        raise impersonation_refused(refusal, target.service_account) from None
    except Exception:  # noqa: BLE001 - the generated client lets out whatever an ill-formed answer leads to
        if ear.heard:
            raise target.attempt.malformed("something that is no token") from None
        advice = "correct the GOOGLE_API_USE_ variables of the daemon's environment"
        raise IdentityMissing(f"google-cloud-iam cannot make a client: {advice}", code="ClientUnusable") from None


def _name(account: str) -> str:
    """A service account as the API names it."""
    return account if account.startswith("projects/") else f"projects/-/serviceAccounts/{account}"
