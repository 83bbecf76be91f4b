"""What goes wrong at Backblaze B2, as errors of ours. Pure: its words are judged, its sentences are not repeated."""

import msgspec

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled
from broker.sources.json_api import Answered

_LOGIN = "b2_authorize_account"
_IDENTITY = {"unauthorized", "bad_auth_token", "expired_auth_token"}
_CAPS = {"cap_exceeded", "transaction_cap_exceeded", "storage_cap_exceeded"}


def refusal(call: str, bucket: str, answered: Answered) -> MintError:
    """The error for what `call` was answered, if that is a refusal."""
    try:
        word = msgspec.json.decode(answered.text.open(), type=_Refused).code
    except msgspec.DecodeError:
        return Malformed(f"Backblaze refuses without saying why (HTTP {answered.status})", code="UnusableAnswer")
    code = "".join(part.capitalize() for part in word.split("_")) if word in _KNOWN else f"Http{answered.status}"
    if word in _IDENTITY and call == _LOGIN:
        advice = "were they revoked, have they expired, do they belong together?"
        return IdentityMissing(
            f"Backblaze does not accept `key_id` and `application_key`: {advice} ({code})", code=code
        )
    if word in _CAPS:
        return Throttled(f"the account's daily cap is used up: raise it at Backblaze, or wait ({code})", code=code)
    advice = {
        "unauthorized": "the key that makes keys may not do this: it must have itself what it gives, and the bucket",
        "bad_bucket_id": "the bucket is gone: correct `bucket`",
        "bad_request": "B2 refuses a parameter: correct `capabilities`, `prefix` or `ttl`",
    }.get(word, "Backblaze refuses it for good")
    return Denied(f"cannot make keys of the bucket {bucket}: {advice} ({call}: {code})", code=code)


_KNOWN = _IDENTITY | _CAPS | {"bad_request", "bad_bucket_id"}


class _Refused(msgspec.Struct):
    code: str
