"""What goes wrong at AWS, as errors of ours. Pure: names, codes and statuses in, a MintError out; no botocore.

Upstream's error code goes into ours; its words never do. `task` says what was being done ("assume arn:..."), `place`
where the identity came from ("the profile prod").
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn

import msgspec

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable

LARGEST_SKEW = 300.0  # STS refuses signatures that are further off than this
_CODE = re.compile(r"[A-Z][A-Za-z]{2,63}")

_THROTTLED = {
    "BandwidthLimitExceeded",
    "LimitExceeded",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
}
# Upstream's words for "who are you": the owner of the identity may renew or correct it at any time.
_IDENTITY = {
    "AuthFailure": "STS does not know the identity: check its keys",
    "ExpiredToken": "the identity has expired: its owner must renew it (log in again)",
    "ExpiredTokenException": "the identity has expired: its owner must renew it",
    "IncompleteSignature": "STS could not read the signature: check the access key for stray characters",
    "InvalidClientTokenId": (
        "STS does not know the access key: it was deleted or deactivated, belongs to another partition, or the region "
        "is not enabled for the account"
    ),
    "InvalidIdentityToken": (
        "STS does not accept the web identity token: check its issuer, its audience and the provider in IAM"
    ),
    "MissingAuthenticationToken": "STS saw no signature: check endpoint_url and any proxy in between",
    "RequestExpired": "STS found the request too old: set this machine's clock",
    "SignatureDoesNotMatch": "STS refused the signature: check the secret key and this machine's clock",
    "UnauthorizedException": "the SSO session has expired: log in again with `aws sso login`",
    "UnrecognizedClientException": "STS does not know the access key: check the keys",
}
_FINAL = {
    "AccessDenied": (
        "AWS does not allow it: check the role's trust policy (external id, source identity, tags, MFA) and the "
        "identity's own permissions; a wrong or reused MFA code is refused like this too"
    ),
    "ForbiddenException": "the SSO user has no access to the account or role that the profile names",
    "IDPRejectedClaim": "the identity provider rejected the token: check its audience and subject",
    "MalformedPolicyDocument": "AWS cannot read the session policy: correct `policy`",
    "PackedPolicyTooLarge": "policy, policy_arns and tags are too large together: shorten them",
    "RegionDisabledException": "STS is not active in this region for the account: choose another in sts_regions",
    "ValidationError": (
        "AWS refuses a parameter: a duration over the role's maximum (1h from a role session), or a name, ARN or tag "
        "out of its limits"
    ),
}

# botocore's exceptions by name, most telling first: (our error, its code, advice).
_LOGIN = "{place}: its session has expired or was never begun: run `aws sso login{profile}`"
_BY_NAME: dict[str, tuple[type[MintError], str, str]] = {
    "ProfileNotFound": (
        IdentityMissing,
        "ProfileNotFound",
        "{place} does not exist: correct `profile`, or create it with `aws configure{profile}`",
    ),
    "NoCredentialsError": (
        IdentityMissing,
        "NoCredentials",
        "{place}: no AWS identity was found: log in (`aws sso login{profile}`, `aws configure{profile}`)",
    ),
    "PartialCredentialsError": (
        IdentityMissing,
        "PartialCredentials",
        "{place}: only a part of the keys is set: set both access key and secret key",
    ),
    "SSOError": (IdentityMissing, "SsoSessionExpired", _LOGIN),
    "TokenRetrievalError": (IdentityMissing, "SsoSessionExpired", _LOGIN),
    "NoAuthTokenError": (IdentityMissing, "SsoSessionExpired", _LOGIN),
    "LoginError": (
        IdentityMissing,
        "LoginExpired",
        "{place}: its session has expired or was never begun: run `aws login{profile}`",
    ),
    "RefreshWithMFAUnsupportedError": (
        IdentityMissing,
        "MfaRequired",
        "{place} asks for an MFA code: use `credbroker exec`, or `credbroker refresh NAME`",
    ),
    "CredentialRetrievalError": (
        IdentityMissing,
        "CredentialRetrievalFailed",
        "{place}: its credential_process or container endpoint failed: run it by hand",
    ),
    "MetadataRetrievalError": (
        IdentityMissing,
        "CredentialRetrievalFailed",
        "{place}: the metadata server gave no credentials",
    ),
    "ConfigParseError": (
        IdentityMissing,
        "ConfigUnreadable",
        "the AWS config file cannot be parsed: correct ~/.aws/config and ~/.aws/credentials",
    ),
    "InvalidConfigError": (
        IdentityMissing,
        "ConfigInvalid",
        "{place} is incomplete or contradicts itself: correct it in ~/.aws/config",
    ),
    "MissingDependencyException": (
        IdentityMissing,
        "DependencyMissing",
        "{place} needs botocore[crt], which is not installed beside credbroker",
    ),
    "ParamValidationError": (Denied, "ParameterInvalid", "cannot {task}: a parameter is out of its limits"),
    "NoRegionError": (Denied, "RegionMissing", "cannot {task}: set `region`"),
    "InvalidRegionError": (Denied, "RegionInvalid", "cannot {task}: correct `region` or `sts_regions`"),
    "EndpointProviderError": (Denied, "RegionInvalid", "cannot {task}: correct `region` or `sts_regions`"),
    "SSLError": (
        Unreachable,
        "TlsFailed",
        "cannot {task}: TLS with the endpoint failed: check endpoint_url, ca_bundle and this machine's clock",
    ),
    "ProxyConnectionError": (Unreachable, "ProxyUnreachable", "cannot {task}: the proxy does not answer"),
    "ConnectTimeoutError": (Unreachable, "ConnectTimeout", "cannot {task}: the endpoint does not answer"),
    "ReadTimeoutError": (Unreachable, "ReadTimeout", "cannot {task}: the endpoint accepted but did not answer"),
    "ConnectionError": (
        Unreachable,
        "ConnectionFailed",
        "cannot {task}: no connection to the endpoint: check the network, endpoint_url and region",
    ),
    "HTTPClientError": (Unreachable, "ConnectionFailed", "cannot {task}: the connection broke off"),
    "HTTPError": (Unreachable, "ConnectionFailed", "cannot {task}: the connection broke off"),  # urllib3's own
    "ResponseParserError": (Malformed, "UnusableAnswer", "cannot {task}: the endpoint's answer is not one of STS"),
    "OSError": (IdentityMissing, "FileUnreadable", "{place}: a file that it names cannot be read"),
}


class Attempt(msgspec.Struct, frozen=True):
    """What was being done, for whom: the words that an error of ours needs."""

    task: str
    place: str
    profile: str | None = None

    def words(self, advice: str) -> str:
        """The advice with its places filled in."""
        profile = f" --profile {self.profile}" if self.profile else ""
        return advice.format(task=self.task, place=self.place, profile=profile)

    def failed(self, error: Exception) -> MintError | None:
        """The error of ours for one of botocore's, found by its name or its parents'; None for a stranger."""
        for ancestor in type(error).__mro__:
            if found := _BY_NAME.get(ancestor.__name__):
                kind, code, advice = found
                return kind(self.words(advice), code=code)
        return None

    def refused(self, code: str, headers: Mapping[str, str], now: float) -> MintError:
        """The error for a refusal with AWS's code; `headers` in lower case, `now` the local time of its arrival."""
        if not _CODE.fullmatch(code) or code == "Unknown":
            return Malformed(f"cannot {self.task}: the endpoint refused without a code of AWS", code="UnusableAnswer")
        if code in _THROTTLED:
            return Throttled(
                f"cannot {self.task} now: AWS asks for patience ({code})", code=code, retry_after=patience(headers, now)
            )
        if code == "IDPCommunicationError":
            return Unreachable(f"cannot {self.task} now: STS cannot reach the identity provider ({code})", code=code)
        if code in _IDENTITY:
            return self._unknown(code, headers, now)
        advice = _FINAL.get(code, "AWS refuses it for good")
        return Denied(f"cannot {self.task} with {self.place}: {advice} ({code})", code=code)

    def _unknown(self, code: str, headers: Mapping[str, str], now: float) -> MintError:
        """STS does not accept the identity; where the clock is to blame, it says so."""
        theirs = date(headers)
        if theirs is not None and abs(now - theirs) > LARGEST_SKEW:
            off = f"{abs(now - theirs) / 60:.0f} min {'ahead' if now > theirs else 'behind'}"
            return IdentityMissing(f"cannot {self.task}: this machine's clock is {off}: set it", code="ClockSkewed")
        return IdentityMissing(f"cannot {self.task} with {self.place}: {_IDENTITY[code]} ({code})", code=code)

    def bad_status(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Refuse an answer by its HTTP status alone: redirects, 429 and 5xx, whatever their body says."""
        if status in {429, 503}:
            raise Throttled(
                f"cannot {self.task} now: AWS asks for patience (HTTP {status})",
                code=f"Http{status}",
                retry_after=patience(headers, now),
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"cannot {self.task} now: the endpoint fails (HTTP {status})", code=f"Http{status}")
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            self.malformed("the endpoint redirects elsewhere, which is not followed")

    def malformed(self, what: str) -> NoReturn:
        """Refuse an answer that is no usable credential; `what` is ours."""
        raise Malformed(f"cannot {self.task}: {what}", code="UnusableAnswer")


def date(headers: Mapping[str, str]) -> float | None:
    """Upstream's own time from its Date header, in seconds since the epoch."""
    return _http_date(headers.get("date", ""))


def patience(headers: Mapping[str, str], now: float) -> float | None:
    """Retry-After in seconds, given either way that HTTP allows; None if absent or nonsense."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,6}", text):
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    return max(0.0, until - (date(headers) or now))


def _http_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
