"""What goes wrong at Google, as errors of ours. Pure: words and statuses in, a MintError out; no SDK is needed.

Only error words that Google documents are repeated, never its sentences: those may quote what was sent.
"""

from http import HTTPStatus

import msgspec

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable

LARGEST_SKEW = 300.0  # a key's assertion that is dated further off than this is refused as invalid_grant
LOG_IN = "run `gcloud auth application-default login`"

# RFC 6749 and 8693 in lower case, Google's APIs in capitals.
_TRANSIENT = {"temporarily_unavailable", "server_error", "internal_failure", "UNAVAILABLE", "INTERNAL"}
_THROTTLED = {"RESOURCE_EXHAUSTED", "slow_down"}
_FINAL = {
    "access_denied",
    "admin_policy_enforced",
    "deleted_client",
    "disabled_client",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "org_internal",
    "unauthorized_client",
    "unsupported_grant_type",
    "FAILED_PRECONDITION",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "UNAUTHENTICATED",
}

# What to do when an exchange is refused, by the type of the identity and then by Google's word.
_ADVICE = {
    ("authorized_user", "invalid_grant"): f"the login was revoked or has expired: {LOG_IN}",
    ("authorized_user", "invalid_client"): f"the OAuth client of the login is unknown: {LOG_IN}",
    ("external_account_authorized_user", "invalid_grant"): f"the login was revoked or has expired: {LOG_IN} again, "
    "with the same --login-config",
    ("service_account", "invalid_grant"): "the key or its account was deleted or disabled: make a new key, or use an "
    "identity without a key file",
    ("external_account", "invalid_target"): "the workload identity pool or its provider is gone or disabled: correct "
    "`audience` in the file",
    ("external_account", "unauthorized_client"): "the provider's attribute condition rejects this workload",
}
_GENERAL = {
    "invalid_scope": "correct `scopes`",
    "access_denied": "an administrator's policy forbids it",
}


class Refusal(Exception):
    """Google answered 4xx. Ours alone: it becomes a MintError where it is known what was being done.

    `word` is one of the documented ones or None; `off` is our clock less Google's in seconds, if it told its own;
    `exchange` says that a token was asked for, rather than something needed to ask for one.
    """

    def __init__(self, status: int, word: str | None, off: float | None, *, exchange: bool) -> None:
        super().__init__(status, word)
        self.status = status
        self.word = word
        self.off = off
        self.exchange = exchange


class Attempt(msgspec.Struct, frozen=True):
    """What was being done: mint from the identity at `place`, which is of `type`."""

    place: str
    type: str

    def refused(self, refusal: Refusal) -> MintError:
        """The error for a refused exchange."""
        word, code = refusal.word, camel(refusal.word, refusal.status)
        if self.type == "gce":
            return self._refused_by_node(refusal)
        if not refusal.exchange:
            return self._no_subject()
        if word is None:
            return self.malformed(f"HTTP {refusal.status} without an error word of Google")
        if self.type == "service_account" and refusal.off is not None and abs(refusal.off) > LARGEST_SKEW:
            return IdentityMissing(f"{self.place}: {clock_words(refusal.off)}", code="ClockSkewed")
        if (self.type, word) == ("external_account", "invalid_grant"):
            return IdentityMissing(
                f"{self.place}: Google does not accept its subject token: it has expired and must be renewed by its "
                f"owner, or its issuer, audience or attributes are not those of the provider ({word})",
                code="SubjectTokenRefused",
            )
        advice = _ADVICE.get((self.type, word)) or _GENERAL.get(word) or "Google refuses it for good"
        return Denied(f"{self.place} ({self.type}): {advice} ({word})", code=code)

    def failed(self, *, exchanged: bool) -> MintError:
        """The error for anything else that google-auth raises: before an answer came, the identity is to blame."""
        if exchanged:
            return self.malformed("something that is no token")
        return self._no_subject() if self.type == "external_account" else self.incomplete()

    def incomplete(self) -> MintError:
        """The error for an identity file that lacks something."""
        return IdentityMissing(
            f"{self.place} is not a whole {self.type} file: create it anew", code="IdentityUnreadable"
        )

    def malformed(self, what: str) -> MintError:
        """The error for an answer that is no usable credential; `what` is ours."""
        return Malformed(f"{self.place}: Google answered with {what}", code="UnusableAnswer")

    def _refused_by_node(self, refusal: Refusal) -> MintError:
        if refusal.status == HTTPStatus.NOT_FOUND:
            advice = "this instance has no service account: attach one, or name a key with `file`"
            return IdentityMissing(f"{self.place}: {advice}", code="NoServiceAccount")
        advice = "it refuses to give tokens to this process"
        return Denied(f"{self.place}: {advice} (HTTP {refusal.status})", code=f"Http{refusal.status}")

    def _no_subject(self) -> MintError:
        return IdentityMissing(
            f"{self.place}: its subject token cannot be had: check what `credential_source` in it names",
            code="SubjectTokenMissing",
        )


def impersonation_refused(refusal: Refusal, target: str) -> MintError:
    """The error for a refused generateAccessToken or generateIdToken of `target`."""
    code = camel(refusal.word, refusal.status)
    match refusal.word:
        case None:
            return Malformed(f"{target}: HTTP {refusal.status} without an error word of Google", code="UnusableAnswer")
        case "UNAUTHENTICATED":
            return IdentityMissing(
                f"cannot act as {target}: Google does not accept the token of the identity below it ({refusal.word})",
                code=code,
            )
        case "NOT_FOUND":
            advice = "no such service account: correct `service_account` and `delegates`"
        case "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
            advice = (
                "correct `lifetime` (over 1h needs the organisation policy "
                "iam.allowServiceAccountCredentialLifetimeExtension), `scopes` and `delegates`"
            )
        case _:
            advice = (
                "grant roles/iam.serviceAccountTokenCreator on it to the identity below it, or to each of `delegates` "
                "in turn, and enable the IAM Service Account Credentials API; the identity's own token needs the scope "
                "cloud-platform"
            )
    return Denied(f"cannot act as {target}: {advice} ({refusal.word})", code=code)


def transient(host: str, status: int, word: str | None, retry_after: float | None) -> MintError | None:
    """The error for a status or a word that asks to try again, else None."""
    code = camel(word, status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or word in _THROTTLED:
        return Throttled(f"{host} asks for patience (HTTP {status})", code=code, retry_after=retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT or word in _TRANSIENT:
        return Unreachable(f"{host} fails (HTTP {status})", code=code, retry_after=retry_after)
    return None


def word_in(body: str) -> str | None:
    """The documented error word in a refusal's body, or None."""
    try:
        error = msgspec.json.decode(body, type=_Refused).error
    except msgspec.DecodeError:
        return None
    word = error if isinstance(error, str) else error.status
    return word if word in _FINAL | _TRANSIENT | _THROTTLED else None


def camel(word: str | None, status: int) -> str:
    """A word of Google's as an error code of ours."""
    return "".join(part.capitalize() for part in word.split("_")) if word else f"Http{status}"


def clock_words(off: float) -> str:
    """What to do about a clock."""
    return f"this machine's clock is {abs(off) / 60:.0f} min {'ahead' if off > 0 else 'behind'}: set it"


class _ApiError(msgspec.Struct):
    status: str | None = None


class _Refused(msgspec.Struct):
    error: str | _ApiError
