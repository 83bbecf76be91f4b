import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.sources import google_errors
from broker.sources.google_errors import Attempt, Refusal


def refused(
    kind: str, word: str | None, *, status: int = 400, off: float | None = None, exchange: bool = True
) -> MintError:
    return Attempt("~/adc.json", kind).refused(Refusal(status, word, off, exchange=exchange))


class TestAttempt:
    def test_a_revoked_login_is_denied_and_says_how_to_log_in(self):
        """The person at the screen needs the command, not the protocol."""
        error = refused("authorized_user", "invalid_grant")

        assert isinstance(error, Denied)
        assert error.code == "InvalidGrant"
        assert "gcloud auth application-default login" in error.advice
        assert "~/adc.json" in error.advice

    def test_a_deleted_key_is_denied(self):
        """Asking again with the same key cannot help."""
        error = refused("service_account", "invalid_grant", off=2.0)

        assert isinstance(error, Denied)
        assert "make a new key" in error.advice

    @pytest.mark.parametrize(("off", "words"), [(660.0, "11 min ahead"), (-660.0, "11 min behind")])
    def test_a_wrong_clock_is_named_and_is_not_final(self, off: float, words: str):
        """Google refuses an assertion dated in its future as invalid_grant; the key is good, the clock is not."""
        error = refused("service_account", "invalid_grant", off=off)

        assert isinstance(error, IdentityMissing)
        assert error.code == "ClockSkewed"
        assert words in error.advice

    def test_a_login_is_not_excused_by_a_wrong_clock(self):
        """A refresh token carries no date, so the clock cannot be why it is refused."""
        assert isinstance(refused("authorized_user", "invalid_grant", off=660.0), Denied)

    def test_a_subject_token_that_is_not_accepted_may_be_renewed(self):
        """It is short-lived and its owner rotates it: final only for him."""
        assert isinstance(refused("external_account", "invalid_grant"), IdentityMissing)

    def test_a_provider_that_is_gone_is_final(self):
        """Nothing in the workload can bring a pool back."""
        assert isinstance(refused("external_account", "invalid_target"), Denied)

    def test_a_subject_token_that_cannot_be_fetched_is_the_identitys_fault(self):
        """The refusal came from where the subject token is, not from Google."""
        error = refused("external_account", None, status=403, exchange=False)

        assert isinstance(error, IdentityMissing)
        assert error.code == "SubjectTokenMissing"

    def test_a_refusal_without_a_word_of_google_is_no_refusal(self):
        """A captive portal's 404 must not evict a good lease."""
        assert isinstance(refused("service_account", None, status=404), Malformed)

    def test_an_instance_without_a_service_account_says_so(self):
        """The metadata server answers 404 for it, in plain text."""
        error = refused("gce", None, status=404, exchange=False)

        assert isinstance(error, IdentityMissing)
        assert error.code == "NoServiceAccount"

    def test_an_instance_that_refuses_is_final(self):
        """Only its administrator can change that."""
        assert isinstance(refused("gce", None, status=403, exchange=False), Denied)

    def test_a_file_that_lacks_a_field_is_to_be_made_anew(self):
        """Nothing was asked, so nobody upstream is to blame."""
        error = Attempt("~/adc.json", "authorized_user").failed(exchanged=False)

        assert isinstance(error, IdentityMissing)
        assert "~/adc.json" in error.advice

    def test_an_answer_that_google_auth_cannot_read_is_malformed(self):
        """It may be whole the next time."""
        assert isinstance(Attempt("~/adc.json", "authorized_user").failed(exchanged=True), Malformed)


class TestImpersonationRefused:
    @pytest.mark.parametrize(
        ("status", "word", "kind", "said"),
        [
            (403, "PERMISSION_DENIED", Denied, "roles/iam.serviceAccountTokenCreator"),
            (404, "NOT_FOUND", Denied, "no such service account"),
            (400, "INVALID_ARGUMENT", Denied, "lifetime"),
            (400, "FAILED_PRECONDITION", Denied, "lifetime"),
            (401, "UNAUTHENTICATED", IdentityMissing, "the identity below it"),
            (404, None, Malformed, "without an error word"),
        ],
    )
    def test_each_word_has_its_error_and_its_advice(
        self, status: int, word: str | None, kind: type[MintError], said: str
    ):
        """What is final is what only a person can change; a base token that ran out is not."""
        error = google_errors.impersonation_refused(Refusal(status, word, None, exchange=True), "train@p.example")

        assert type(error) is kind
        assert said in error.advice
        assert "train@p.example" in error.advice


class TestTransient:
    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    def test_a_failing_server_is_unreachable(self, status: int):
        """Trying again is all that can help."""
        error = google_errors.transient("sts.example", status, None, 7.0)

        assert isinstance(error, Unreachable)
        assert error.retry_after == 7.0

    @pytest.mark.parametrize(
        ("status", "word"), [(429, None), (429, "RESOURCE_EXHAUSTED"), (403, "RESOURCE_EXHAUSTED")]
    )
    def test_a_request_for_patience_is_throttled(self, status: int, word: str | None):
        """The word counts as much as the status."""
        error = google_errors.transient("sts.example", status, word, 7.0)

        assert isinstance(error, Throttled)
        assert error.retry_after == 7.0

    @pytest.mark.parametrize("word", ["server_error", "temporarily_unavailable", "internal_failure"])
    def test_oauth_says_some_transient_errors_with_400(self, word: str):
        """RFC 6749: a redirect cannot carry a 5xx."""
        assert isinstance(google_errors.transient("sts.example", 400, word, None), Unreachable)

    def test_a_refusal_is_not_transient(self):
        """Else a denial would be retried for ever."""
        assert google_errors.transient("sts.example", 400, "invalid_grant", None) is None


class TestWordIn:
    @pytest.mark.parametrize(
        ("body", "word"),
        [
            ('{"error": "invalid_grant", "error_description": "Bad Request"}', "invalid_grant"),
            ('{"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}', "PERMISSION_DENIED"),
            ('{"error": {"code": 403}}', None),
            ('{"error": "ya29.something-secret"}', None),
            ('{"error": ["invalid_grant"]}', None),
            ('{"error": null}', None),
            ("[]", None),
            ("<html>invalid_grant</html>", None),
            ("", None),
        ],
    )
    def test_only_documented_words_get_out(self, body: str, word: str | None):
        """A body may hold anything, a secret included; it is never repeated."""
        assert google_errors.word_in(body) == word
