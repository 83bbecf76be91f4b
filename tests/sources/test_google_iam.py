import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AccessToken, Facts, IdToken
from broker.secret import Secret
from broker.sources import google_iam
from broker.sources.google_iam import Target
from tests.fakes.google import CLOUD_PLATFORM, IAM, FakeGoogle, Fault, jwt

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")

WORKER = "worker@my-project.iam.gserviceaccount.com"
BETWEEN = "between@my-project.iam.gserviceaccount.com"
TRAIN = "train@my-project.iam.gserviceaccount.com"
SCOPES = ("https://www.googleapis.com/auth/devstorage.read_only",)
AUDIENCE = "https://service.example"


@pytest.fixture
def bearer(google: FakeGoogle) -> Secret:
    """A token of the worker, which may act as `TRAIN`."""
    for email in (WORKER, BETWEEN, TRAIN):
        google.registry.service_account(email)
    google.registry.allow(WORKER, TRAIN)
    return Secret(google.registry.issue(WORKER, (IAM,)).token)


def target(google: FakeGoogle, *delegates: str) -> Target:
    return Target(service_account=TRAIN, delegates=delegates, endpoint=google.url)


class TestAccessToken:
    def test_it_is_the_targets_with_the_scopes_asked_for(self, google: FakeGoogle, bearer: Secret):
        """Google's own record of the token says so."""
        minted = google_iam.access_token(target(google), bearer, SCOPES, 900, Facts(email=TRAIN))

        assert isinstance(minted.value, AccessToken)
        issued = google.registry.look_up(minted.value.token.open())
        assert (issued.principal, issued.scopes) == (TRAIN, frozenset(SCOPES))
        assert minted.expires_at == int(issued.expires_at)
        assert 898.0 <= minted.lifetime <= 901.0
        assert google.calls["generateAccessToken"] == 1

    def test_delegates_are_asked_in_order(self, google: FakeGoogle, bearer: Secret):
        """Each needs the role on the next; a missing link is a denial."""
        google.registry.allow(WORKER, BETWEEN)
        with pytest.raises(Denied):
            google_iam.access_token(target(google, BETWEEN), bearer, SCOPES, 900, Facts())

        google.registry.allow(BETWEEN, TRAIN)
        google_iam.access_token(target(google, BETWEEN), bearer, SCOPES, 900, Facts())

        assert google.seen[-1].members()["delegates"] == [f"projects/-/serviceAccounts/{BETWEEN}"]

    def test_a_quota_project_goes_with_the_call(self, google: FakeGoogle, bearer: Secret):
        """A person's login has no project of its own to bill the call to."""
        billed = Target(service_account=TRAIN, endpoint=google.url, billed="billing")

        google_iam.access_token(billed, bearer, SCOPES, 900, Facts())

        assert google.seen[-1].fields["x-goog-user-project"] == "billing"

    def test_a_clock_ten_minutes_fast_changes_no_lifetime(self, google: FakeGoogle, bearer: Secret):
        """The expiry is by Google's calendar, and so is what it is compared with."""
        google.ahead = -600.0

        minted = google_iam.access_token(target(google), bearer, SCOPES, 900, Facts())

        assert 898.0 <= minted.lifetime <= 901.0
        assert minted.skew is not None
        assert 598.0 < minted.skew < 602.0

    @pytest.mark.parametrize("scope", ["https://www.googleapis.com/auth/devstorage.read_only", ""])
    def test_a_base_without_the_scope_is_denied(self, google: FakeGoogle, bearer: Secret, scope: str):
        """Only cloud-platform or iam opens the API."""
        poor = Secret(google.registry.issue(WORKER, scope.split()).token)

        with pytest.raises(Denied, match="cloud-platform"):
            google_iam.access_token(target(google), poor, SCOPES, 900, Facts())

    def test_a_base_that_has_expired_may_be_renewed(self, google: FakeGoogle, bearer: Secret):
        """Not final: the base lease is refreshed on its own, and no second attempt is made here."""
        google.registry.revoke(WORKER)

        with pytest.raises(IdentityMissing) as caught:
            google_iam.access_token(target(google), bearer, SCOPES, 900, Facts())

        assert caught.value.code == "Unauthenticated"
        assert google.calls["generateAccessToken"] == 1

    def test_a_lifetime_over_the_limit_says_what_would_allow_it(self, google: FakeGoogle, bearer: Secret):
        """An organisation policy, which few know."""
        with pytest.raises(Denied, match="allowServiceAccountCredentialLifetimeExtension"):
            google_iam.access_token(target(google), bearer, SCOPES, 7200, Facts())

        google.registry.longest = 43200
        assert google_iam.access_token(target(google), bearer, SCOPES, 43200, Facts()).lifetime > 43000

    def test_an_account_that_is_gone_is_denied(self, google: FakeGoogle, bearer: Secret):
        """Deleted between two mints."""
        google.registry.delete(TRAIN)

        with pytest.raises(Denied) as caught:
            google_iam.access_token(target(google), bearer, SCOPES, 900, Facts())

        assert caught.value.code == "NotFound"

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (Fault(status=500), Unreachable),
            (Fault(status=503, fields=(("Retry-After", "7"),)), Unreachable),
            (Fault(status=429, body=b'{"error": {"status": "RESOURCE_EXHAUSTED"}}'), Throttled),
            (Fault(status=302, fields=(("Location", "/elsewhere"),)), Malformed),
            (Fault(status=404, body=b"<html>not here</html>"), Malformed),
            (Fault(status=200), Malformed),
            (Fault(status=200, body=b"[]"), Malformed),
            (Fault(status=200, body=b"{}"), Malformed),
            (Fault(status=200, body=b"x" * (1 << 20)), Malformed),
            (Fault(status=200, body=b'{"accessToken": "canary"}'), Malformed),
            (Fault(status=200, body=b'{"accessToken": {}, "expireTime": "2999-01-01T00:00:00Z"}'), Malformed),
            (Fault(status=200, body=b'{"accessToken": "canary", "expireTime": "2999-01-01T00:00:00Z"}'), Malformed),
            (Fault(status=200, body=b'{"accessToken": "canary", "expireTime": "2001-01-01T00:00:00Z"}'), Malformed),
            (Fault(status=200, body=b'{"accessToken": "canary", "expireTime": "soon"}'), Malformed),
            (Fault(status=200, body=b'{"accessToken": "canary", "expireTime": 7}'), Malformed),
        ],
    )
    def test_every_fault_is_one_of_our_errors_after_one_attempt(
        self, google: FakeGoogle, bearer: Secret, fault: Fault, kind: type[MintError]
    ):
        """The generated client retries some of these and crashes on others; upstream's words stay out of ours."""
        google.fail("generateAccessToken", fault)

        with pytest.raises(kind) as caught:
            google_iam.access_token(target(google), bearer, SCOPES, 900, Facts())

        assert type(caught.value) is kind
        assert google.calls["generateAccessToken"] == 1
        assert google.calls["unknown"] == 0
        assert "canary" not in str(caught.value)

    def test_nobody_listening_is_unreachable(self, bearer: Secret):
        """Named by its host."""
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            google_iam.access_token(
                Target(service_account=TRAIN, endpoint="http://127.0.0.1:1"), bearer, SCOPES, 900, Facts()
            )

    def test_googles_own_endpoint_is_asked_through_the_proxy(self, bearer: Secret, monkeypatch: pytest.MonkeyPatch):
        """Many machines have no other way out; when it is down, it is what to look at."""
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

        with pytest.raises(Unreachable, match=r"iamcredentials\.googleapis\.com: the proxy"):
            google_iam.access_token(Target(service_account=TRAIN), bearer, SCOPES, 900, Facts())

    def test_a_bearer_is_not_sent_in_the_clear(self, bearer: Secret):
        """An endpoint on another machine is https or nothing."""
        with pytest.raises(Denied):
            google_iam.access_token(
                Target(service_account=TRAIN, endpoint="http://iam.example"), bearer, SCOPES, 900, Facts()
            )

    def test_an_environment_that_the_client_refuses_is_named(
        self, google: FakeGoogle, bearer: Secret, monkeypatch: pytest.MonkeyPatch
    ):
        """It does so before anything is asked, so Google is not to blame."""
        monkeypatch.setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "sometimes")

        with pytest.raises(IdentityMissing, match="GOOGLE_API_USE_"):
            google_iam.access_token(target(google), bearer, SCOPES, 900, Facts())

    def test_a_proxy_is_not_asked_about_this_machine(
        self, google: FakeGoogle, bearer: Secret, monkeypatch: pytest.MonkeyPatch
    ):
        """The bearer token must not pass through it."""
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")

        assert google_iam.access_token(target(google), bearer, (CLOUD_PLATFORM,), 900, Facts()).lifetime > 0


class TestIdToken:
    def test_it_is_signed_for_the_audience_and_names_its_owner(self, google: FakeGoogle, bearer: Secret):
        """A service verifies it against Google's public key."""
        minted = google_iam.id_token(target(google), bearer, AUDIENCE, Facts())

        assert isinstance(minted.value, IdToken)
        claims = jwt.verify(minted.value.token.open(), google.oauth.key.public_key())
        assert (claims["aud"], claims["email"]) == (AUDIENCE, TRAIN)
        assert minted.facts.email == TRAIN
        assert minted.expires_at == claims["exp"]

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"token": 7}', b'{"token": "a.b.c"}', b'{"token": ""}'])
    def test_a_bad_answer_is_malformed(self, google: FakeGoogle, bearer: Secret, body: bytes):
        """Never a lease of half a token."""
        google.fail("generateIdToken", Fault(status=200, body=body))

        with pytest.raises(Malformed):
            google_iam.id_token(target(google), bearer, AUDIENCE, Facts())

    def test_it_needs_the_role_too(self, google: FakeGoogle, bearer: Secret):
        """As the access token does."""
        google.registry.forbid(WORKER, TRAIN)

        with pytest.raises(Denied, match="serviceAccountTokenCreator"):
            google_iam.id_token(target(google), bearer, AUDIENCE, Facts())
