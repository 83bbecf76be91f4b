"""Every error of AWS and botocore has one of ours, whose words are ours too."""

import botocore.exceptions as theirs
import pytest
from botocore.parsers import ResponseParserError
from urllib3.exceptions import ProtocolError

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.sources import aws_errors
from broker.sources.aws_errors import Attempt, date, patience

ATTEMPT = Attempt("assume a role", "the profile prod", "prod")
NOW = 1_893_456_000.0  # Tue, 01 Jan 2030 00:00:00 GMT
DATE = "Tue, 01 Jan 2030 00:00:00 GMT"


class TestFailed:
    @pytest.mark.parametrize(
        ("error", "kind", "words"),
        [
            (theirs.ProfileNotFound(profile="X"), IdentityMissing, "aws configure --profile prod"),
            (theirs.NoCredentialsError(), IdentityMissing, "aws sso login --profile prod"),
            (theirs.PartialCredentialsError(provider="X", cred_var="X"), IdentityMissing, "only a part of the keys"),
            (theirs.SSOTokenLoadError(error_msg="X"), IdentityMissing, "aws sso login --profile prod"),
            (theirs.UnauthorizedSSOTokenError(), IdentityMissing, "aws sso login --profile prod"),
            (theirs.TokenRetrievalError(provider="X", error_msg="X"), IdentityMissing, "aws sso login --profile prod"),
            (theirs.LoginRefreshRequired(), IdentityMissing, "aws login --profile prod"),
            (theirs.CredentialRetrievalError(provider="X", error_msg="X"), IdentityMissing, "run it by hand"),
            (theirs.MetadataRetrievalError(error_msg="X"), IdentityMissing, "metadata server"),
            (theirs.ConfigParseError(path="X"), IdentityMissing, "~/.aws/config"),
            (theirs.InfiniteLoopConfigError(source_profile="X", visited_profiles=[]), IdentityMissing, "contradicts"),
            (theirs.RefreshWithMFAUnsupportedError(), IdentityMissing, "credbroker exec"),
            (theirs.MissingDependencyException(msg="X"), IdentityMissing, "botocore[crt]"),
            (FileNotFoundError("X"), IdentityMissing, "cannot be read"),
            (theirs.ParamValidationError(report="X"), Denied, "out of its limits"),
            (theirs.NoRegionError(), Denied, "set `region`"),
            (theirs.InvalidRegionError(region_name="X"), Denied, "correct `region`"),
            (theirs.SSLError(endpoint_url="X", error=OSError("X")), Unreachable, "TLS"),
            (theirs.ProxyConnectionError(proxy_url="X"), Unreachable, "the proxy"),
            (theirs.EndpointConnectionError(endpoint_url="X"), Unreachable, "check the network"),
            (theirs.ConnectTimeoutError(endpoint_url="X"), Unreachable, "does not answer"),
            (theirs.ReadTimeoutError(endpoint_url="X"), Unreachable, "did not answer"),
            (theirs.ConnectionClosedError(endpoint_url="X"), Unreachable, "broke off"),
            (ProtocolError("X"), Unreachable, "broke off"),
            (ResponseParserError("X"), Malformed, "not one of STS"),
        ],
    )
    def test_it_says_what_to_do(self, error: Exception, kind: type[MintError], words: str):
        """And nothing of what the SDK or upstream said."""
        ours = ATTEMPT.failed(error)

        assert type(ours) is kind
        assert words in ours.advice
        assert "X" not in ours.advice

    def test_a_stranger_stays_one(self):
        """A bug must not look like an outage."""
        assert ATTEMPT.failed(ZeroDivisionError()) is None

    def test_every_name_is_one_that_botocore_has(self):
        """A renamed exception would fall through the table in silence."""
        elsewhere = {"HTTPError", "ResponseParserError", "OSError"}

        assert [name for name in aws_errors._BY_NAME if not hasattr(theirs, name) and name not in elsewhere] == []


class TestRefused:
    @pytest.mark.parametrize("code", sorted(aws_errors._THROTTLED))
    def test_throttling_is_patience(self, code: str):
        """The next try waits as long as upstream asks."""
        error = ATTEMPT.refused(code, {"retry-after": "4"}, NOW)

        assert (type(error), error.code, error.retry_after) == (Throttled, code, 4.0)

    @pytest.mark.parametrize("code", sorted(aws_errors._IDENTITY))
    def test_an_identity_that_is_not_accepted_may_come_back(self, code: str):
        """Its owner may renew it at any time, so the held lease stays."""
        error = ATTEMPT.refused(code, {}, NOW)

        assert (type(error), error.code) == (IdentityMissing, code)
        assert "the profile prod" in error.advice

    @pytest.mark.parametrize("code", [*sorted(aws_errors._FINAL), "NoSuchEntity"])
    def test_any_other_word_of_aws_is_final(self, code: str):
        """Asking again soon cannot help."""
        error = ATTEMPT.refused(code, {}, NOW)

        assert (type(error), error.code) == (Denied, code)
        assert "assume a role" in error.advice

    def test_an_identity_provider_that_is_down_is_upstreams_outage(self):
        """STS could not ask it; nothing was denied."""
        assert isinstance(ATTEMPT.refused("IDPCommunicationError", {}, NOW), Unreachable)

    @pytest.mark.parametrize("code", ["", "Unknown", "404", "secret text", "a" * 20, "A" * 70, "Abc\n"])
    def test_what_is_no_code_is_not_repeated(self, code: str):
        """A proxy's page is not AWS's final word."""
        error = ATTEMPT.refused(code, {}, NOW)

        assert isinstance(error, Malformed)
        assert error.code == "UnusableAnswer"

    @pytest.mark.parametrize(("off", "word"), [(600, "10 min ahead"), (-600, "10 min behind")])
    def test_a_clock_that_is_off_is_blamed_first(self, off: int, word: str):
        """Keys are looked at for hours otherwise."""
        error = ATTEMPT.refused("SignatureDoesNotMatch", {"date": DATE}, NOW + off)

        assert error.code == "ClockSkewed"
        assert word in error.advice

    def test_a_clock_that_is_right_is_not(self):
        """A wrong secret is a wrong secret."""
        assert ATTEMPT.refused("SignatureDoesNotMatch", {"date": DATE}, NOW + 20).code == "SignatureDoesNotMatch"


class TestBadStatus:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (301, Malformed),
            (307, Malformed),
            (429, Throttled),
            (500, Unreachable),
            (503, Throttled),
            (504, Unreachable),
        ],
    )
    def test_some_answers_are_judged_unread(self, status: int, kind: type[MintError]):
        """Whatever a redirect or a failing gateway writes, it is not STS's word."""
        with pytest.raises(kind):
            ATTEMPT.bad_status(status, {}, NOW)

    @pytest.mark.parametrize("status", [200, 400, 403])
    def test_the_others_are_read(self, status: int):
        """Their body says what it is."""
        ATTEMPT.bad_status(status, {}, NOW)


class TestPatience:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, None),
            ({"retry-after": "0"}, 0.0),
            ({"retry-after": "120"}, 120.0),
            ({"retry-after": "-5"}, None),
            ({"retry-after": "1e9"}, None),
            ({"retry-after": "soon"}, None),
            ({"retry-after": DATE}, 30.0),
            ({"retry-after": DATE, "date": "Mon, 31 Dec 2029 23:59:50 GMT"}, 10.0),
            ({"retry-after": "Mon, 31 Dec 2029 00:00:00 GMT"}, 0.0),
        ],
    )
    def test_both_spellings_and_nonsense(self, headers: dict[str, str], seconds: float | None):
        """HTTP allows seconds and a date; anything else is as if it were not there."""
        assert patience(headers, NOW - 30) == seconds


class TestDate:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [(DATE, NOW), ("", None), ("yesterday", None), ("Tue, 01 Jan 2030 00:00:00", None), ("Tue, 99 Jan 2030", None)],
    )
    def test_an_http_date_or_nothing(self, text: str, seconds: float | None):
        """A Date that cannot be trusted is no clock."""
        assert date({"date": text}) == seconds
