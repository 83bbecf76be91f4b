import pytest

from broker.errors import Denied
from broker.model import AccessToken, Facts
from tests.fakes.google import CLOUD_PLATFORM, IAM, FakeGoogle, files
from tests.fakes.google.place import TRAIN, WORKER, Place
from tests.sources.google_world import OPENID, READ, mint

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")


class TestMintAdc:
    def test_a_service_account_key(self, place: Place):
        """The assertion is verified by the fake; the lease carries the key's account and project."""
        minted = mint(place.write(place.key(quota_project_id="billing")), scopes=(READ,))

        issued = place.issued(minted)
        assert (issued.principal, issued.scopes) == (WORKER, frozenset({READ}))
        assert isinstance(minted.value, AccessToken)
        assert minted.value.scopes == (READ,)
        assert minted.facts == Facts(email=WORKER, project="my-project", quota_project="billing")
        assert minted.lifetime == 3600.0
        assert abs(minted.expires_at - issued.expires_at) < 1.5
        assert place.google.calls.total() == 1

    def test_a_persons_login(self, place: Place, logins: FakeGoogle):
        """Scopes are those of the consent, and the e-mail is free where it was consented to."""
        user = place.registry.user("person@example.com", OPENID)

        minted = mint(place.write(files.authorized_user(user, quota_project_id="billing")))

        assert place.issued(minted).principal == "person@example.com"
        assert isinstance(minted.value, AccessToken)
        assert minted.value.scopes == OPENID
        assert minted.facts == Facts(email="person@example.com", project="billing", quota_project="billing")
        assert logins.calls["token"] == 1

    def test_a_login_that_was_revoked(self, place: Place, logins: FakeGoogle):
        """Final, and it says what to type."""
        user = place.registry.user()
        file = place.write(files.authorized_user(user))
        logins.registry.forget(user)

        with pytest.raises(Denied, match="gcloud auth application-default login"):
            mint(file)

    def test_an_impersonating_key(self, place: Place):
        """The token is the target's, asked for at the file's own host; the first one only opens that API."""
        place.registry.allow(WORKER, TRAIN)

        minted = mint(place.write(files.impersonated(place.google, place.key(), TRAIN)), scopes=(READ,))

        issued = place.issued(minted)
        assert (issued.principal, issued.scopes) == (TRAIN, frozenset({READ}))
        assert minted.facts == Facts(email=TRAIN, project="my-project")
        assert place.google.calls == {"token": 1, "generateAccessToken": 1}
        assert place.registry.check(place.google.seen[-1].bearer, IAM) == WORKER

    def test_an_impersonating_login(self, place: Place, logins: FakeGoogle):
        """What `gcloud auth application-default login --impersonate-service-account` leaves."""
        user = place.registry.user()
        place.registry.allow(user.email, TRAIN)
        login = files.authorized_user(user, quota_project_id="billing")

        minted = mint(place.write(files.impersonated(logins, login, TRAIN)))

        assert place.issued(minted).principal == TRAIN
        assert place.google.seen[-1].fields["x-goog-user-project"] == "billing"

    @pytest.mark.parametrize(
        ("filed", "told", "lives"), [(None, None, 3600), (900, None, 900), (900, 1200, 1200), (None, 1200, 1200)]
    )
    def test_an_impersonation_lives_as_the_spec_or_the_file_says(
        self, place: Place, filed: int | None, told: int | None, lives: int
    ):
        """google-auth drops what the file says."""
        place.registry.allow(WORKER, TRAIN)
        members = files.impersonated(
            place.google, place.key(), TRAIN, service_account_impersonation={"token_lifetime_seconds": filed}
        )

        minted = mint(place.write(members), lifetime=told)

        assert lives - 2 <= minted.lifetime <= lives + 1

    def test_an_endpoint_of_the_spec_counts_before_the_files(self, place: Place):
        """A private endpoint, where the file was written for the public one."""
        place.registry.allow(WORKER, TRAIN)
        public = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{TRAIN}:generateAccessToken"
        file = place.write(
            files.impersonated(place.google, place.key(), TRAIN, service_account_impersonation_url=public)
        )

        assert place.issued(mint(file, endpoint_url=place.google.url)).principal == TRAIN

    def test_an_instance(self, place: Place, node: FakeGoogle):
        """Its token is handed on rather than minted, which `check` says."""
        node.metadata.account = place.registry.service_account(WORKER)
        node.metadata.scopes = (CLOUD_PLATFORM,)

        minted = mint(None)

        assert place.issued(minted).principal == WORKER
        assert (minted.facts.email, minted.facts.project) == (WORKER, "my-project")
        assert minted.facts.handed_on
        assert minted.facts.note

    def test_the_environments_project_counts_before_the_files(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """As google-auth has it; the spec's own counts before both."""
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "told")
        file = place.write(place.key())

        assert mint(file).facts.project == "told"
        assert mint(file, project="mine", quota_project="bill").facts == Facts(
            email=WORKER, project="mine", quota_project="bill"
        )

    def test_nothing_is_kept_between_two_mints(self, place: Place):
        """A fresh token each time: the broker decides when to refresh."""
        file = place.write(place.key())

        assert place.issued(mint(file)).token != place.issued(mint(file)).token
