"""An AWS Signature Version 4 verifier for the fakes, written from AWS's description and not from botocore.

It takes a request apart and either names the key that signed it or refuses it with the code that AWS would use. Header
authentication only: no presigned URLs. It knows no clock and no registry: both are given.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote, unquote_plus

import msgspec

FRESH = 15 * 60  # seconds that x-amz-date may be away from the fake's clock, either way
_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=(?P<key>[\w]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request, *SignedHeaders=(?P<signed>[a-z0-9;_-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_DATE = re.compile(r"\d{8}T\d{6}Z")
_HEX = re.compile(r"[0-9a-f]{64}")
_UNREAD_PAYLOADS = (  # the body is not in the signature, or is signed chunk by chunk
    "UNSIGNED-PAYLOAD",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
)

# What went wrong: (code and status of S3, code and status of the services of the query protocol, such as STS).
_CODES = {
    "missing": (("AccessDenied", 403), ("MissingAuthenticationToken", 403)),
    "malformed": (("AuthorizationHeaderMalformed", 400), ("IncompleteSignature", 400)),
    "scope": (("AuthorizationHeaderMalformed", 400), ("SignatureDoesNotMatch", 403)),
    "stale": (("RequestTimeTooSkewed", 403), ("SignatureDoesNotMatch", 403)),
    "key": (("InvalidAccessKeyId", 403), ("InvalidClientTokenId", 403)),
    "token": (("InvalidToken", 400), ("InvalidClientTokenId", 403)),
    "expired": (("ExpiredToken", 400), ("ExpiredToken", 403)),
    "unsigned": (("AccessDenied", 403), ("SignatureDoesNotMatch", 403)),
    "payload": (("XAmzContentSHA256Mismatch", 400), ("SignatureDoesNotMatch", 403)),
    "no payload": (("InvalidRequest", 400), ("SignatureDoesNotMatch", 403)),
    "signature": (("SignatureDoesNotMatch", 403), ("SignatureDoesNotMatch", 403)),
}


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One set of keys that the fakes know. `expires_at` is seconds since the epoch; None for long-term keys."""

    access_key_id: str
    secret: str
    session_token: str = ""
    expires_at: float | None = None
    arn: str = ""
    account: str = ""


class SignatureRefused(Exception):
    """The request is not what its signature says; `code` and `status` are AWS's, `why` is for a test."""

    def __init__(self, code: str, status: int, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.status = status
        self.why = why


def verify(  # noqa: PLR0917 - a request taken apart, and what to judge it by
    method: str,
    path: str,
    raw_query: str,
    headers: Mapping[str, str],
    body: bytes | str,
    secret_for: Callable[[str], KeyRecord | None],
    service: str,
    now: float,
    *,
    region: str | None = None,
) -> KeyRecord:
    """The key that signed this request. Raises SignatureRefused.

    `path` and `raw_query` are as they stood on the wire, `headers` have lower-case names, `body` is the bytes or their
    SHA-256 in hexadecimal. With `region` the credential scope must name that one.
    """
    wrong, record = _examined(
        _Received(method, path, raw_query, headers, body), secret_for, service=service, now=now, region=region
    )
    if wrong or record is None:
        code, status = _CODES[wrong][0 if service == "s3" else 1]
        raise SignatureRefused(code, status, wrong)
    return record


class _Received(msgspec.Struct, frozen=True):
    """A request as it came."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes | str


def _examined(
    request: _Received, secret_for: Callable[[str], KeyRecord | None], *, service: str, now: float, region: str | None
) -> tuple[str, KeyRecord | None]:
    """What is wrong with the request, by its name in _CODES, or "" and the key."""
    shown = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    stamp = request.headers.get("x-amz-date", "")
    if shown is None or not _DATE.fullmatch(stamp):
        return ("malformed" if request.headers.get("authorization") else "missing"), None
    if shown["service"] != service or region not in {None, shown["region"]} or shown["day"] != stamp[:8]:
        return "scope", None
    if abs(_seconds(stamp) - now) > FRESH:
        return "stale", None
    record = secret_for(shown["key"])
    if record is None:
        return "key", None
    wrong = _unsound(request, shown, record)
    if not wrong and record.expires_at is not None and record.expires_at <= now:
        wrong = "expired"
    return wrong, record


def _unsound(request: _Received, shown: re.Match[str], record: KeyRecord) -> str:
    """What is wrong between the request and the key it names, or ""."""
    headers, signed, service = request.headers, shown["signed"].split(";"), shown["service"]
    if headers.get("x-amz-security-token", "") != record.session_token:
        return "token"
    if not _covers(signed, headers):
        return "unsigned"
    payload, wrong = _payload(headers, request.body, service)
    scope = (shown["day"], shown["region"], service, "aws4_request")
    right = _signature(record.secret, headers["x-amz-date"], scope, _canonical(request, signed, payload, service))
    return wrong or ("" if hmac.compare_digest(right, shown["signature"]) else "signature")


def _seconds(stamp: str) -> float:
    """The x-amz-date as seconds since the epoch; the beginning of time for one that is no date."""
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


def _covers(signed: list[str], headers: Mapping[str, str]) -> bool:
    """Whether the signature covers Host and every x-amz header, is sorted, and names only what is there."""
    needed = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    return signed == sorted(set(signed)) and needed <= set(signed) and all(name in headers for name in signed)


def _payload(headers: Mapping[str, str], body: bytes | str, service: str) -> tuple[str, str]:
    """The payload hash for the canonical request, and what is wrong with it or ""."""
    actual = body if isinstance(body, str) else hashlib.sha256(body).hexdigest()
    stated = headers.get("x-amz-content-sha256")
    if stated is None:
        return actual, "no payload" if service == "s3" else ""
    if service == "s3" and stated in _UNREAD_PAYLOADS:
        return stated, ""
    return stated, "" if _HEX.fullmatch(stated) and stated == actual else "payload"


def _canonical(request: _Received, signed: list[str], payload: str, service: str) -> str:
    """The canonical request. S3 encodes the path once; all others encode what is already encoded."""
    uri = quote(unquote(request.path) if service == "s3" else request.path, safe="/~")
    fields = [f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed]
    return "\n".join(
        [request.method, uri or "/", _query(request.raw_query), "".join(fields), ";".join(signed), payload]
    )


def _query(raw_query: str) -> str:
    """The parameters decoded, encoded anew and sorted by their encoded names, then values."""
    pairs = [part.partition("=") for part in raw_query.split("&") if part]
    encoded = sorted((_encoded(name), _encoded(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encoded(text: str) -> str:
    return quote(unquote_plus(text), safe="~")


def _signature(secret: str, stamp: str, scope: tuple[str, ...], canonical: str) -> str:
    """The signature in hexadecimal: a key derived along the scope, over the hash of the canonical request."""
    key = b"AWS4" + secret.encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.digest(key, "\n".join([_ALGORITHM, stamp, "/".join(scope), digest]).encode(), "sha256").hex()
