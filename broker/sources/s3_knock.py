"""Asking an S3-compatible store whether it takes keys: one harmless question, and what its refusal means.

For `check` alone. It loads botocore and runs only in a minter.
"""

import contextlib
from typing import Any

import msgspec

from broker import clock
from broker.errors import Denied, IdentityMissing, MintError
from broker.model import AwsKeys
from broker.sources.aws_errors import Attempt
from broker.sources.aws_identity import opened

# What a store says to keys that it does not know, or that do not fit each other.
_UNKNOWN = {
    "InvalidAccessKeyId": "it does not know the access key: is it of this store, and still active?",
    "SignatureDoesNotMatch": "it refused the signature: check the secret key, `region` and this machine's clock",
    "InvalidToken": "it does not accept the session token",
    "ExpiredToken": "the keys have expired: their owner must renew them",
    "ExpiredRequest": "it found the request too old: set this machine's clock",
    "AuthorizationHeaderMalformed": "it is of another region: correct `region`",
    "RequestTimeTooSkewed": "the clocks are too far apart: set this machine's",
    "Unauthorized": "it does not know the keys: those they come from are revoked, or not of this account",  # R2
}
# What it says to keys that it knows, which may do other things.
_KNOWN = frozenset({"AccessDenied", "MethodNotAllowed", "NotImplemented"})
_NOTHING_THERE = frozenset({"NoSuchKey", "InvalidRange"})  # and it would have been given


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `due` says that the keys were made for just this, so that a refusal is news."""

    operation: str = "list_buckets"
    parameters: dict[str, Any] = {}
    due: bool = False

    @classmethod
    def listing(cls, bucket: str, prefix: str = "") -> "Question":
        """The first name below a prefix."""
        parameters = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": 1}
        return cls(operation="list_objects_v2", parameters=parameters, due=True)

    @classmethod
    def reading(cls, bucket: str, name: str) -> "Question":
        """The first byte of an object, which need not be there."""
        parameters = {"Bucket": bucket, "Key": name, "Range": "bytes=0-0"}
        return cls(operation="get_object", parameters=parameters, due=True)


def knock(endpoint_url: str, region: str, keys: AwsKeys, question: Question | None = None) -> None:
    """Ask; without a question for the buckets. Keys that may not list those are known to the store none the less.

    Raises IdentityMissing where it does not know the keys, Denied where it gives them less than they are due.
    """
    from botocore.config import Config
    from botocore.exceptions import ClientError

    question = question or Question()
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
            getattr(store, question.operation)(**question.parameters)  # botocore makes its methods as it goes
        except ClientError as error:
            _refused(attempt, error.response, question)
        except Exception as error:  # noqa: BLE001 - botocore's parser trips over garbage in many ways
            raise _ours(attempt, error) from None


def _refused(attempt: Attempt, response: object, question: Question) -> None:
    """Raises where it was for who asked, and not for what was asked."""
    assert isinstance(response, dict)
    code = str(response.get("Error", {}).get("Code", ""))
    answered = response.get("ResponseMetadata", {})
    if code in _UNKNOWN:
        raise IdentityMissing(f"cannot use the keys at the store: {_UNKNOWN[code]} ({code})", code=code) from None
    if question.due:
        _judge(code, question)
    if code in _KNOWN | _NOTHING_THERE:
        return
    headers, now = answered.get("HTTPHeaders", {}), clock.wall()
    attempt.bad_status(int(answered.get("HTTPStatusCode", 0)), headers, now)
    raise attempt.refused(code, headers, now) from None


def _judge(code: str, question: Question) -> None:
    bucket = question.parameters["Bucket"]
    if code == "NoSuchBucket":
        raise Denied(f"the store has no bucket {bucket}: correct `bucket` ({code})", code=code) from None
    if code == "AccessDenied":
        advice = "there is none, the identity they come from has no right to it, or they are too narrow"
        raise Denied(f"the store knows the keys but keeps {bucket} from them: {advice} ({code})", code=code) from None


def _ours(attempt: Attempt, error: Exception) -> MintError:
    found = attempt.failed(error)
    if found is None:
        attempt.malformed("the endpoint's answer is not one of S3")
    return found
