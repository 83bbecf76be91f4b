"""What goes wrong at Entra ID, as errors of ours. Pure: what was heard in, a MintError out; no SDK is needed.

Only the documented number of a refusal is repeated, never Entra's sentence: it may quote what was sent.
"""

from http import HTTPStatus

import msgspec

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.sources.web import Heard

LARGEST_SKEW = 300.0  # an assertion that is dated further off than this is refused as 700024

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_FINAL = {
    53003: ("ConditionalAccess", "a Conditional Access policy forbids it: ask who administers the tenant"),
    70011: ("ScopeInvalid", "correct `scopes`: one resource, with /.default behind it"),
    90002: ("TenantUnknown", "there is no such tenant: correct `tenant_id`, and `authority` for another cloud"),
    500011: ("ResourceUnknown", "the tenant does not know the resource in `scopes`: correct it"),
    700016: ("ClientUnknown", "the tenant does not know the client: correct `client_id` and `tenant_id`"),
    700023: ("AudienceRefused", "the assertion is for another authority: correct `authority`"),
    700027: (
        "CertificateRefused",
        "the client does not know the certificate: upload it to the app, or correct `certificate`",
    ),
    700213: (
        "FederationRefused",
        "no federated credential of the client fits the token in `federated_token_file`, by issuer, subject, audience",
    ),
    7000112: ("ClientDisabled", "the client was disabled in its tenant"),
    7000215: ("SecretRefused", "`client_secret` is not one of the client's: it wants the secret's value, not its id"),
    7000222: ("SecretExpired", "`client_secret` has expired: make a new one for the client"),
}
_ALIKE = {
    50013: 700213,
    70021: 700213,
    700211: 700213,
    700212: 700213,
    700214: 700213,
    900021: 90002,
    900023: 90002,
    1002012: 70011,
    7000229: 700016,
}
_THROTTLED = {50196, 90055}
_TRANSIENT = {90033, 90012, 900384}
OUT_OF_TIME = 700024


class Attempt(msgspec.Struct, frozen=True):
    """What was being done: `what` is it for people, `federated` whether somebody else's token was shown."""

    what: str
    federated: bool = False

    def refused(self, heard: Heard) -> MintError:
        """The error for an answer that is a refusal."""
        number, passing = number_in(heard), heard.transient()
        if passing is not None:
            return passing
        if number is None:
            return Malformed(f"{self.what}: {heard.host} answered HTTP {heard.status}, but not as Entra does")
        if number in _THROTTLED:
            return Throttled(f"{self.what}: Entra asks for patience (AADSTS{number})", retry_after=heard.retry_after)
        if number in _TRANSIENT:
            return Unreachable(f"{self.what}: Entra fails for the moment (AADSTS{number})", code="EntraFailing")
        if number == OUT_OF_TIME:
            return self._out_of_time(heard)
        code, advice = _FINAL.get(_ALIKE.get(number, number), ("EntraRefused", "Entra refuses it for good"))
        return Denied(f"{self.what}: {advice} (AADSTS{number})", code=code)

    def _out_of_time(self, heard: Heard) -> MintError:
        off = heard.skew
        if off is not None and abs(off) > LARGEST_SKEW:
            words = f"this machine's clock is {abs(off) / 60:.0f} min {'ahead' if off > 0 else 'behind'}: set it"
            return IdentityMissing(f"{self.what}: {words}", code="ClockSkewed")
        if self.federated:
            words = "the token in `federated_token_file` has expired: its owner must renew it"
            return IdentityMissing(f"{self.what}: {words}", code="SubjectTokenExpired")
        return Denied(f"{self.what}: the certificate is not valid now: replace it", code="CertificateExpired")


def is_refusal(heard: Heard) -> bool:
    """Whether an answer is one."""
    return heard.status >= HTTPStatus.BAD_REQUEST


def number_in(heard: Heard) -> int | None:
    """The number after AADSTS, or None where the answer is not Entra's."""
    try:
        numbers = msgspec.json.decode(heard.text.open(), type=_Refused).error_codes
    except msgspec.DecodeError:
        return None
    return numbers[0] if numbers else None


class _Refused(msgspec.Struct):
    error: str
    error_codes: tuple[int, ...] = ()
