from pathlib import Path
from typing import Any

import pytest

from broker.errors import Denied, IdentityMissing
from broker.model import AccessToken, AwsKeys, Facts, Given, IdToken, Kind
from broker.secret import Secret
from broker.sources import TABLE, google_adc
from broker.sources import google as source
from broker.sources.google import Adc, Impersonate
from tests.fakes.google import IAM, FakeGoogle, Fault, files
from tests.fakes.google.place import LAST, POOLED, TRAIN, WORKER, Place
from tests.sources.google_world import AUDIENCE, READ, mint

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")


class TestIdTokenAdc:
    def given(self, file: str | None) -> tuple[Adc, Given]:
        return Adc(file=file, audiences=(AUDIENCE,)), Given(audience=AUDIENCE)

    @pytest.mark.parametrize("audience", [None, "", "https://other.example", AUDIENCE + "/"])
    def test_an_audience_that_is_not_configured_is_denied(self, place: Place, audience: str | None):
        """An ID token is a login somewhere: only where the operator said."""
        spec = Adc(file=place.write(place.key()), audiences=(AUDIENCE,))

        with pytest.raises(Denied) as caught:
            source.id_token_adc(spec, Given(audience=audience))

        assert caught.value.code == "AudienceNotAllowed"
        assert place.google.calls.total() == 0

    def test_a_service_account_key(self, place: Place):
        """Signed by Google for that audience."""
        minted = source.id_token_adc(*self.given(place.write(place.key())))

        claims = place.claims(minted)
        assert (claims["aud"], claims["email"]) == (AUDIENCE, WORKER)
        assert minted.expires_at == claims["exp"]
        assert minted.facts.email == WORKER

    def test_an_impersonating_file(self, place: Place):
        """The target's, by generateIdToken at the file's host."""
        place.registry.allow(WORKER, TRAIN)
        file = place.write(files.impersonated(place.google, place.key(), TRAIN))

        assert place.claims(source.id_token_adc(*self.given(file)))["email"] == TRAIN
        assert place.google.calls["generateIdToken"] == 1

    def test_an_external_account_that_impersonates(self, place: Place):
        """Likewise."""
        (place.folder / "subject").write_text("subject")
        place.registry.allow(POOLED, TRAIN)
        members = place.pooled(
            {"file": str(place.folder / "subject")},
            service_account_impersonation_url=files.impersonation_url(place.google, TRAIN),
        )

        assert place.claims(source.id_token_adc(*self.given(place.write(members))))["email"] == TRAIN

    def test_an_instance(self, place: Place, node: FakeGoogle):
        """From its own metadata server's identity path, e-mail included."""
        node.metadata.account = place.registry.service_account(WORKER)

        assert place.claims(source.id_token_adc(*self.given(None)))["email"] == WORKER

    def test_a_persons_login_is_denied(self, place: Place):
        """Google gives people none for an audience."""
        file = place.write(files.authorized_user(place.registry.user()))

        with pytest.raises(Denied) as caught:
            source.id_token_adc(*self.given(file))

        assert caught.value.code == "NoIdTokens"


class TestImpersonate:
    def spec(self, place: Place, **more: Any) -> Impersonate:
        return Impersonate(service_account=TRAIN, endpoint_url=place.google.url, **more)

    def base(self, place: Place, email: str = WORKER) -> Given:
        return Given(base=AccessToken(Secret(place.registry.issue(email, (IAM,)).token)))

    def test_from_a_base_lease(self, place: Place):
        """No identity of the daemon's own is needed."""
        place.registry.allow(WORKER, TRAIN)

        minted = source.mint_impersonate(self.spec(place, scopes=(READ,), lifetime=900), self.base(place))

        issued = place.issued(minted)
        assert (issued.principal, issued.scopes) == (TRAIN, frozenset({READ}))
        assert 898.0 <= minted.lifetime <= 901.0
        assert minted.facts == Facts(email=TRAIN, project="my-project")
        assert place.google.calls == {"generateAccessToken": 1}

    def test_an_endpoint_may_end_with_a_slash(self, place: Place):
        """People write it so; the path must not begin with two."""
        place.registry.allow(WORKER, TRAIN)
        spec = Impersonate(service_account=TRAIN, endpoint_url=place.google.url + "/")

        assert place.issued(source.mint_impersonate(spec, self.base(place))).principal == TRAIN

    def test_from_the_adc(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """Without `from`, what the search finds acts as the target."""
        place.registry.allow(WORKER, TRAIN)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", place.write(place.key()))

        assert place.issued(source.mint_impersonate(self.spec(place), Given())).principal == TRAIN

    def test_from_an_adc_that_impersonates_itself(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """Two steps: the file's target, then ours."""
        place.registry.allow(WORKER, LAST)
        place.registry.allow(LAST, TRAIN)
        file = place.write(files.impersonated(place.google, place.key(), LAST))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", file)

        assert place.issued(source.mint_impersonate(self.spec(place), Given())).principal == TRAIN
        assert place.google.calls["generateAccessToken"] == 2

    def test_delegates_stand_between(self, place: Place):
        """Each has the role on the next."""
        place.registry.allow(WORKER, LAST)
        place.registry.allow(LAST, TRAIN)

        minted = source.mint_impersonate(self.spec(place, delegates=(LAST,)), self.base(place))

        assert place.issued(minted).principal == TRAIN

    def test_without_any_identity(self, place: Place):
        """Says what was looked for."""
        with pytest.raises(IdentityMissing, match="GOOGLE_APPLICATION_CREDENTIALS"):
            source.mint_impersonate(self.spec(place), Given())

    def test_a_base_of_another_cloud_is_denied(self, place: Place):
        """The configuration's reader says so first; this is for whoever comes past it."""
        with pytest.raises(Denied):
            source.mint_impersonate(self.spec(place), Given(base=AwsKeys("AKIA", Secret("s"), Secret(""))))

    def test_an_id_token_for_a_configured_audience(self, place: Place):
        """And for no other."""
        place.registry.allow(WORKER, TRAIN)
        spec = self.spec(place, audiences=(AUDIENCE,))
        base = self.base(place).base

        minted = source.id_token_impersonate(spec, Given(base=base, audience=AUDIENCE))

        assert place.claims(minted)["email"] == TRAIN
        with pytest.raises(Denied):
            source.id_token_impersonate(spec, Given(base=base, audience="https://other.example"))

    @pytest.mark.parametrize(
        ("email", "project"),
        [
            (TRAIN, "my-project"),
            ("123-compute@developer.gserviceaccount.com", None),
            ("sa@proj.example.com.iam.gserviceaccount.com", None),
        ],
    )
    def test_the_project_is_read_from_the_email_where_it_stands_in_it(self, email: str, project: str | None):
        """A guess would send workers to somebody else's project."""
        facts = source.who_impersonate(Impersonate(service_account=email), IdToken(Secret("t"), AUDIENCE))

        assert facts == Facts(email=email, project=project)


class TestWho:
    def test_google_is_asked_where_the_key_was_exchanged(self, place: Place):
        """The fake stands in for all of Google."""
        file = place.write(place.key())

        assert source.who_adc(Adc(file=file), mint(file).value).email == WORKER
        assert place.google.calls["tokeninfo"] == 1

    def test_google_is_asked_where_the_impersonation_was(self, place: Place):
        """Likewise, for both sources."""
        place.registry.allow(WORKER, TRAIN)
        file = place.write(files.impersonated(place.google, place.key(), TRAIN))
        value = mint(file).value

        assert source.who_adc(Adc(file=file), value).email == TRAIN
        assert (
            source.who_impersonate(Impersonate(service_account=LAST, endpoint_url=place.google.url), value).email
            == TRAIN
        )

    def test_the_file_says_it_where_google_does_not(self, place: Place):
        """`check` shows something in any case."""
        file = place.write(place.key())
        place.google.fail("tokeninfo", Fault(status=503))

        assert source.who_adc(Adc(file=file), mint(file).value) == Facts(email=WORKER, project="my-project")


class TestFind:
    def test_a_login_is_told_in_a_few_words(self, place: Place, alone: Path):
        """What zero configuration says that it will use."""
        login = files.authorized_user(place.registry.user())
        files.write(alone / ".config/gcloud/application_default_credentials.json", login)

        assert source.find_adc(Adc()) == "authorized_user from ~/.config/gcloud/application_default_credentials.json"

    def test_nothing_is_none(self):
        """Then zero configuration has no Google credential."""
        assert source.find_adc(Adc()) is None

    @pytest.mark.parametrize(("members", "kind"), [({"type": "gdch_service_account"}, Denied), ({}, IdentityMissing)])
    def test_an_identity_of_no_use_is_an_error(
        self, place: Place, monkeypatch: pytest.MonkeyPatch, members: dict[str, Any], kind: type[Exception]
    ):
        """Saying nothing would leave its owner wondering."""
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", place.write(members))

        with pytest.raises(kind):
            source.find_adc(Adc())

    def test_no_cloud_is_asked(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """Looking is not minting."""
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", place.write(place.key()))

        assert source.find_adc(Adc()) == f"service_account {WORKER} from {place.folder / 'adc.json'}"
        assert place.google.calls.total() == 0


class TestTable:
    def test_both_sources_are_in_the_table(self):
        """By the names of the contract; only acting as another chains."""
        adc, impersonate = TABLE["gcp-adc"], TABLE["gcp-impersonate"]

        assert (adc.spec, adc.base, adc.find) == (Adc, None, source.find_adc)
        assert (impersonate.spec, impersonate.base, impersonate.find) == (Impersonate, Kind.GOOGLE, None)
        assert adc.id_token
        assert impersonate.id_token

    def test_the_search_is_not_done_for_a_base_lease(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """A chained credential must not depend on an identity that it does not use."""
        monkeypatch.setattr(google_adc, "search", lambda _: 1 / 0)
        place.registry.allow(WORKER, TRAIN)
        base = AccessToken(Secret(place.registry.issue(WORKER, (IAM,)).token))

        source.mint_impersonate(Impersonate(service_account=TRAIN, endpoint_url=place.google.url), Given(base=base))
