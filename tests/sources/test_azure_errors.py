"""What Entra ID says, as errors of ours."""

import json

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.secret import Secret
from broker.sources.azure_errors import Attempt, is_refusal, number_in
from broker.sources.web import Heard

ATTEMPT = Attempt("a token for the client x")
FEDERATED = Attempt("a token for the client x", federated=True)


def heard(number: int | None = None, status: int = 400, off: float | None = None, text: str | None = None) -> Heard:
    """A refusal of Entra's by its number; `off` is our clock less its own."""
    said = {"error": "invalid_client", "error_description": f"AADSTS{number}: it quotes s3cret"}
    body = text if text is not None else json.dumps({**said, "error_codes": [] if number is None else [number]})
    date = None if off is None else 1000.0 - off
    return Heard(host="login.example", status=status, text=Secret(body), arrived=1000.0, date=date, retry_after=7.0)


class TestRefused:
    @pytest.mark.parametrize(
        ("number", "kind", "code"),
        [
            (7000215, Denied, "SecretRefused"),
            (900023, Denied, "TenantUnknown"),
            (700212, Denied, "FederationRefused"),
            (1002012, Denied, "ScopeInvalid"),
            (4242424, Denied, "EntraRefused"),
            (50196, Throttled, "Throttled"),
            (90033, Unreachable, "EntraFailing"),
            (700024, Denied, "CertificateExpired"),
            (None, Malformed, "Malformed"),
        ],
    )
    def test_its_number_decides(self, number: int | None, kind: type[MintError], code: str):
        """Documented ones have advice of their own, and any other is final."""
        error = ATTEMPT.refused(heard(number))

        assert (type(error), error.code) == (kind, code)
        assert "s3cret" not in error.advice

    @pytest.mark.parametrize(("status", "kind"), [(429, Throttled), (500, Unreachable), (503, Unreachable)])
    def test_a_status_that_asks_for_patience_counts_before_it(self, status: int, kind: type[MintError]):
        """Entra sends numbers with those too."""
        error = ATTEMPT.refused(heard(7000215, status=status))

        assert (type(error), error.retry_after) == (kind, 7.0)

    @pytest.mark.parametrize(
        ("attempt", "off", "code"),
        [
            (ATTEMPT, 900.0, "ClockSkewed"),
            (FEDERATED, -900.0, "ClockSkewed"),
            (FEDERATED, 10.0, "SubjectTokenExpired"),
            (FEDERATED, None, "SubjectTokenExpired"),
        ],
    )
    def test_an_assertion_out_of_time_is_somebodys_fault(self, attempt: Attempt, off: float | None, code: str):
        """The clock's where it is wrong by more than Entra allows, else the token's owner's."""
        error = attempt.refused(heard(700024, off=off))

        assert (type(error), error.code) == (IdentityMissing, code)


class TestReading:
    @pytest.mark.parametrize("text", ["", "<html>", "[]", '{"error":{}}', '{"error":"x","error_codes":["a"]}'])
    def test_what_is_not_entras_has_no_number(self, text: str):
        """A proxy's page, say."""
        assert number_in(heard(text=text)) is None

    @pytest.mark.parametrize(("status", "refusal"), [(200, False), (302, False), (400, True), (503, True)])
    def test_a_refusal_is_one_by_its_status(self, status: int, refusal: bool):
        """Whatever it says."""
        assert is_refusal(heard(1, status=status)) == refusal
