"""`s3-static`: keys of any S3-compatible store that somebody else made, dispensed as AWS keys. Mints nothing.

Only `who`, for `check`, asks a store; it loads botocore and runs only in a minter.
"""

import contextlib
import re
from typing import Annotated, ClassVar

from msgspec import Meta

from broker import clock
from broker.errors import IdentityMissing, MintError
from broker.model import AwsKeys, Facts, Given, Kind, Minted, Reference, Settings, Spec, Value
from broker.secret import Secret
from broker.sources import aws_sts, references
from broker.sources.aws_errors import Attempt
from broker.sources.aws_identity import DEFAULT_REGION, Identity, opened
from broker.sources.aws_specs import EndpointUrl, Region
from broker.sources.handing import REREAD, Reread, handed
from broker.sources.source import Source

LIST = "list_buckets"
_PRINTABLE = re.compile(r"[!-~]+")
_LONGEST = {"access_key_id": 128, "secret_access_key": 1024, "session_token": 8192}  # the reply stays under 10,000
# What a store says to keys that it does not know, or that do not fit each other.
_UNKNOWN = {
    "InvalidAccessKeyId": "it does not know the access key: is it of this store, and still active?",
    "SignatureDoesNotMatch": "it refused the signature: check the secret key, `region` and this machine's clock",
    "InvalidToken": "it does not accept the session token",
    "ExpiredToken": "the keys have expired: their owner must renew them",
    "AuthorizationHeaderMalformed": "it is of another region: correct `region`",
    "RequestTimeTooSkewed": "the clocks are too far apart: set this machine's",
}
# What it says to keys that it knows, which may do other things.
_KNOWN = frozenset({"AccessDenied", "MethodNotAllowed", "NotImplemented"})


class S3Static(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`s3-static`: long-lived keys of any store that speaks S3, served as every AWS SDK asks for keys."""

    kind: ClassVar[Kind] = Kind.AWS
    short_lived: ClassVar[bool] = False
    sts_regions: ClassVar[tuple[str, ...]] = ()  # as `aws_sts` asks who they are, where no endpoint_url is given

    access_key_id: Annotated[Reference, Meta(description="where the access key's id is read")]
    secret_access_key: Annotated[Reference, Meta(description="where the secret key is read")]
    session_token: Annotated[
        Reference | None, Meta(description="where a session token is read, if there is one; most stores have none")
    ] = None
    region: Annotated[Region | None, Meta(description="what requests are signed for, as workers are told")] = None
    endpoint_url: Annotated[
        EndpointUrl | None,
        Meta(description="where the store is, if not at AWS: S3_ENDPOINT_URL and AWS_ENDPOINT_URL_S3 of workers"),
    ] = None
    reread: Reread = REREAD

    def settings(self) -> Settings:
        """Where the store is: streaming reads one name, the AWS SDKs the other."""
        if self.endpoint_url is None:
            return ()
        return (("S3_ENDPOINT_URL", self.endpoint_url), ("AWS_ENDPOINT_URL_S3", self.endpoint_url))


def mint(spec: S3Static, _: Given) -> Minted:
    """The keys as they stand now, all of one moment."""
    asked = {"access_key_id": spec.access_key_id, "secret_access_key": spec.secret_access_key}
    if spec.session_token is not None:
        asked["session_token"] = spec.session_token
    found = references.read_together(asked)
    for name, secret in found.items():
        text = secret.open()
        if not _PRINTABLE.fullmatch(text) or len(text) > _LONGEST[name]:
            advice = f"{name}: {references.place(asked[name])} holds no such key: it has blanks or is too long"
            raise IdentityMissing(advice, code="ReferenceNoKey")
    key_id = found["access_key_id"].open()
    keys = AwsKeys(key_id, found["secret_access_key"], found.get("session_token", Secret("")))
    return handed(keys, Facts(principal=key_id, region=spec.region), spec.reread)


def who(spec: S3Static, value: Value) -> Facts:
    """Whose keys they are, as AWS says; another store can only say whether it knows them.

    Raises IdentityMissing where it does not.
    """
    assert isinstance(value, AwsKeys)
    local, identity = opened(None, spec.region), Identity(place="the keys", keys=value)
    if spec.endpoint_url is None:
        answer = aws_sts.ask(local, spec, identity, "get_caller_identity", "ask whose the keys are")
        return aws_sts.facts_of(answer.body.get("Arn"), local.region)
    _knock(spec.endpoint_url, spec.region or DEFAULT_REGION, value)
    return Facts()


def _knock(endpoint_url: str, region: str, keys: AwsKeys) -> None:
    """Ask for the buckets. Keys that may not list them are known to the store none the less."""
    from botocore.config import Config
    from botocore.exceptions import ClientError

    attempt = Attempt("ask the store whether it knows the keys", "the keys")
    with contextlib.closing(
        opened(None, region).session.create_client(
            "s3",
            region,
            endpoint_url=endpoint_url,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key.open(),
            aws_session_token=keys.session_token.open() or None,
            config=Config(signature_version="s3v4"),
        )
    ) as store:
        try:
            getattr(store, LIST)()  # botocore makes its methods as it goes
        except ClientError as error:
            _refused(attempt, error.response)
        except Exception as error:  # noqa: BLE001 - botocore's parser trips over garbage in many ways
            raise _ours(attempt, error) from None


def _refused(attempt: Attempt, response: object) -> None:
    """Raises where it was for who asked, and not for what was asked."""
    assert isinstance(response, dict)
    code = str(response.get("Error", {}).get("Code", ""))
    answered = response.get("ResponseMetadata", {})
    if code in _UNKNOWN:
        raise IdentityMissing(f"cannot use the keys at the store: {_UNKNOWN[code]} ({code})", code=code) from None
    if code in _KNOWN:
        return
    headers, now = answered.get("HTTPHeaders", {}), clock.wall()
    attempt.bad_status(int(answered.get("HTTPStatusCode", 0)), headers, now)
    raise attempt.refused(code, headers, now) from None


def _ours(attempt: Attempt, error: Exception) -> MintError:
    found = attempt.failed(error)
    if found is None:
        attempt.malformed("the endpoint's answer is not one of S3")
    return found


SOURCES = (Source(name="s3-static", spec=S3Static, mint=mint, who=who),)
