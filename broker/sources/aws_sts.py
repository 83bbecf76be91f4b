"""Asking STS: one call, one try, a bounded answer; and that answer judged before it becomes a lease.

botocore is imported inside functions only. A fresh client each time (some 10 ms once botocore is warm): the broker owns
retries, and only walks along `sts_regions` where one does not answer.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from broker import clock
from broker.errors import MintError, Throttled, Unreachable
from broker.model import AwsKeys, Facts, Minted
from broker.schedule import SERVE_FLOOR
from broker.secret import Secret
from broker.sources.aws_errors import Attempt, date
from broker.sources.aws_identity import DEFAULT_REGION, Identity, Local

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient
    from botocore.session import Session

LONGEST_ANSWER = 1 << 20  # bytes; a true one has a few thousand
LONGEST_LIFETIME = 7 * 24 * 3600.0 + 60.0  # STS gives 36 h at most, MinIO's a week; its Date has whole seconds
_PRINTABLE = re.compile(r"[!-~]+")
_ARN = re.compile(r"arn:[\w-]+:(?:sts|iam)::(?P<account>\d{12})?:[\w+=,.@:/-]{1,1024}", re.ASCII)


class Upstream(Protocol):
    """What a spec says about where STS is."""

    @property
    def sts_regions(self) -> tuple[str, ...]:
        """Regions of STS to try in order, instead of the one of the workers."""

    @property
    def endpoint_url(self) -> str | None:
        """One endpoint for all regions, instead of AWS's own."""


class Answer(msgspec.Struct, frozen=True):
    """What STS answered, when by our wall clock, and when by its own if it said so."""

    body: Mapping[str, Any]
    arrived: float
    dated: float | None
    attempt: Attempt


class _Question(msgspec.Struct, frozen=True):
    """One call, wherever it is asked."""

    endpoint_url: str | None
    identity: Identity
    operation: str
    task: str
    parameters: Mapping[str, object]


def ask(
    local: Local, upstream: Upstream, identity: Identity, operation: str, task: str, **parameters: object
) -> Answer:
    """One call of STS; parameters that are None or empty are left out. `task` completes "cannot ...".

    Raises Denied, Throttled, Unreachable, Malformed or IdentityMissing.
    """
    question = _Question(upstream.endpoint_url, identity, operation, task, parameters)
    regions = upstream.sts_regions or (local.region or DEFAULT_REGION,)
    for region in regions[:-1]:
        try:
            return _ask_in(region, local.session, question)
        except (Unreachable, Throttled) as error:
            if isinstance(error, Throttled) and error.code != "Http503":
                raise  # it answered: asking next door would not be patience
    return _ask_in(regions[-1], local.session, question)


def minted(answer: Answer, facts: Facts) -> Minted:
    """The keys in an answer.

    Raises Malformed unless they are whole, outlive the last 30 s in which nothing is served, and end within a week.
    """
    refuse = answer.attempt.malformed
    credentials = answer.body.get("Credentials")
    if not isinstance(credentials, dict):
        refuse("the answer has no keys in it")
    parts = [credentials.get(name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
    key_id, secret, token = (part if isinstance(part, str) and _PRINTABLE.fullmatch(part) else "" for part in parts)
    if not (key_id and secret and token):
        refuse("the answer has only a part of the keys in it")
    expiry = credentials.get("Expiration")
    if not isinstance(expiry, datetime) or expiry.tzinfo is None:
        refuse("the answer does not say plainly when the keys expire")
    lifetime = expiry.timestamp() - (answer.arrived if answer.dated is None else answer.dated)
    if not SERVE_FLOOR <= lifetime <= LONGEST_LIFETIME:
        refuse("the keys in the answer are expired, about to expire, or valid for absurdly long")
    return Minted(
        AwsKeys(key_id, Secret(secret), Secret(token)),
        expires_at=expiry.timestamp(),
        lifetime=lifetime,
        facts=facts,
        skew=None if answer.dated is None else answer.arrived - answer.dated,
    )


def facts_of(arn: object, region: str | None) -> Facts:
    """Whose keys they are, from the ARN that STS gave; the STS of some stores gives none."""
    match = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    return Facts(arn=match[0], account=match["account"], region=region) if match else Facts(region=region)


def _ask_in(region: str, session: "Session", question: _Question) -> Answer:
    identity = question.identity
    attempt = Attempt(f"{question.task} in {region}", identity.place, identity.profile)
    given = {name: value for name, value in question.parameters.items() if value}
    with (
        _asking(attempt),
        contextlib.closing(_client(session, question.endpoint_url, region, identity.keys)) as client,
    ):
        client.meta.events.register_first("before-send.sts", _bounded(client, attempt))
        body = getattr(client, question.operation)(**given)
        return Answer(body, clock.wall(), date(body["ResponseMetadata"]["HTTPHeaders"]), attempt)


def _client(session: "Session", endpoint_url: str | None, region: str, keys: AwsKeys | None) -> "BaseClient":
    # AssumeRoleWithWebIdentity goes unsigned; but without any keys botocore would search for some first.
    keys = keys or AwsKeys("unsigned", Secret("unsigned"), Secret(""))
    return session.create_client(
        "sts",
        region,
        endpoint_url=endpoint_url,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key.open(),
        aws_session_token=keys.session_token.open() or None,
    )


def _bounded(client: "BaseClient", attempt: Attempt) -> Callable[..., Any]:
    """Sends a request as botocore would, but reads no more than LONGEST_ANSWER and judges the status itself.

    botocore reads whatever comes, and where the body of a 5xx is not STS's own it forgets the status.
    """
    from botocore.awsrequest import AWSResponse

    connection = client._endpoint.http_session  # type: ignore[attr-defined]  # noqa: SLF001 - proxies and CA are in it

    def send(request: "AWSPreparedRequest", **_: object) -> AWSResponse:
        request.stream_output = True  # leaves the body unread
        response = connection.send(request)
        body = response.raw.read(LONGEST_ANSWER + 1)
        response.raw.close()
        if len(body) > LONGEST_ANSWER:
            attempt.malformed("the endpoint answers without end")
        headers = {name.lower(): value for name, value in response.headers.items()}
        attempt.bad_status(response.status_code, headers, clock.wall())
        return AWSResponse(response.url, response.status_code, response.headers, _Read(body))

    return send


class _Read:
    """A body that has been read, in the shape that botocore reads it from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


@contextlib.contextmanager
def _asking(attempt: Attempt) -> Iterator[None]:
    """Errors of botocore around a call become ours; what its parser trips over is an answer that is none."""
    from botocore.exceptions import ClientError

    try:
        yield
    except MintError:
        raise
    except ClientError as error:
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        code = str(error.response.get("Error", {}).get("Code", ""))
        raise attempt.refused(code, headers, clock.wall()) from None
    except Exception as error:  # noqa: BLE001 - botocore's parser trips over garbage in many ways
        ours = attempt.failed(error)
        if ours is None:
            attempt.malformed("the endpoint's answer is not one of STS")
        raise ours from None
