import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.errors import Denied, IdentityMissing
from broker.model import AccessToken, AwsKeys, Facts, Given, IdToken, Kind, Minted
from broker.secret import Secret
from broker.sources import TABLE, google_adc
from broker.sources import google as source
from broker.sources.google import Adc, Impersonate
from tests.fakes.google import CLOUD_PLATFORM, IAM, FakeGoogle, Fault, files, jwt
from tests.fakes.google.registry import Issued, User
from tests.fakes.sigv4 import KeyRecord

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")

WORKER = "worker@my-project.iam.gserviceaccount.com"
TRAIN = "train@my-project.iam.gserviceaccount.com"
LAST = "last@other-project.iam.gserviceaccount.com"
READ = "https://www.googleapis.com/auth/devstorage.read_only"
AUDIENCE = "https://service.example"
POOLED = "principal://iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/p1/subject/job"
OPENID = ("openid", "https://www.googleapis.com/auth/userinfo.email", CLOUD_PLATFORM)


class Place:
    """A fake Google and a folder to write identities into."""

    def __init__(self, google: FakeGoogle, folder: Path) -> None:
        self.google = google
        self.folder = folder
        self.registry = google.registry
        for email in (WORKER, TRAIN, LAST):
            google.registry.service_account(email)

    def write(self, members: dict[str, Any]) -> str:
        return str(files.write(self.folder / "adc.json", members))

    def key(self, **more: object) -> dict[str, Any]:
        return files.service_account(self.google, self.registry.service_account(WORKER), **more)

    def pooled(self, where: dict[str, Any], **more: object) -> dict[str, Any]:
        return files.external(self.google, self.registry.pool({"subject": POOLED}), where, **more)

    def issued(self, minted: Minted) -> Issued:
        """Google's own record of a minted token."""
        assert isinstance(minted.value, AccessToken)
        return self.registry.look_up(minted.value.token.open())

    def claims(self, minted: Minted) -> dict[str, Any]:
        """What an ID token says, once Google's signature on it is verified."""
        assert isinstance(minted.value, IdToken)
        return jwt.verify(minted.value.token.open(), self.google.oauth.key.public_key())


@pytest.fixture
def place(google: FakeGoogle, tmp_path: Path) -> Place:
    return Place(google, tmp_path)


def mint(file: str | None, **more: Any) -> Minted:
    return source.mint_adc(Adc(file=file, **more), Given())


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

    def test_an_external_account_by_file(self, place: Place):
        """The subject token file rotates, so it is read at each mint."""
        subject = place.folder / "subject"
        subject.write_text("subject")
        file = place.write(place.pooled({"file": str(subject)}))

        assert place.issued(mint(file)).principal == POOLED

        subject.write_text("another")
        with pytest.raises(IdentityMissing) as caught:
            mint(file)
        assert caught.value.code == "SubjectTokenRefused"

    @pytest.mark.parametrize("text", [None, ""])
    def test_an_external_account_without_its_subject_token(self, place: Place, text: str | None):
        """Its owner has yet to write it: not final, and Google is not asked."""
        subject = place.folder / "subject"
        if text is not None:
            subject.write_text(text)

        with pytest.raises(IdentityMissing) as caught:
            mint(place.write(place.pooled({"file": str(subject)})))

        assert caught.value.code == "SubjectTokenMissing"
        assert place.google.calls.total() == 0

    def test_an_external_account_by_url(self, place: Place):
        """With the headers and the field that its file names."""
        place.google.subject_token = "subject"
        where = {
            "url": f"{place.google.url}/subject",
            "headers": {"X-Identity": "workload"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        }

        assert place.issued(mint(place.write(place.pooled(where)))).principal == POOLED
        assert place.google.calls == {"subject": 1, "sts": 1}

    @pytest.mark.parametrize(
        "fault",
        [Fault(status=403), Fault(status=404), Fault(status=200, body=b"<html>"), Fault(status=200, body=b"{}")],
    )
    def test_an_external_account_whose_url_gives_no_subject_token(self, place: Place, fault: Fault):
        """The workload's own platform is to blame, not Google."""
        place.google.fail("subject", fault)
        where = {
            "url": f"{place.google.url}/subject",
            "format": {"type": "json", "subject_token_field_name": "value"},
        }

        with pytest.raises(IdentityMissing) as caught:
            mint(place.write(place.pooled(where)))

        assert caught.value.code == "SubjectTokenMissing"

    def test_an_external_account_by_a_program(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """Once it is allowed to run."""
        monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
        monkeypatch.setenv("PATH", os.environ["PATH"])

        minted = mint(place.write(place.pooled(files.from_executable(place.folder, "subject"))))

        assert place.issued(minted).principal == POOLED

    @pytest.mark.parametrize("program", ["/nowhere/program", "false", "echo canary"])
    def test_an_external_account_whose_program_fails(self, place: Place, monkeypatch: pytest.MonkeyPatch, program: str):
        """Absent, failing or talking nonsense; what it printed stays unsaid."""
        monkeypatch.setenv("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1")
        file = place.write(place.pooled({"executable": {"command": program, "timeout_millis": 5000}}))

        with pytest.raises(IdentityMissing) as caught:
            mint(file)

        assert caught.value.code == "SubjectTokenMissing"
        assert "canary" not in str(caught.value)

    def test_an_external_account_from_aws(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """The subject token is a GetCallerIdentity request, whose signature the fake verifies as AWS would."""
        arn = "arn:aws:sts::123456789012:assumed-role/job/i-1"
        keys = KeyRecord(access_key_id="AKIAEXAMPLE", secret="aws-secret", arn=arn)
        place.google.sts.aws_keys[keys.access_key_id] = keys
        pool = place.registry.pool({arn: POOLED}, "urn:ietf:params:aws:token-type:aws4_request")
        where = {
            "environment_id": "aws1",
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        }
        file = place.write(files.external(place.google, pool, where))
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret)

        assert place.issued(mint(file)).principal == POOLED

        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(IdentityMissing):
            mint(file)

    def test_an_external_account_that_impersonates(self, place: Place):
        """As most are used: with the file's lifetime, at the file's host."""
        (place.folder / "subject").write_text("subject")
        place.registry.allow(POOLED, TRAIN)
        members = place.pooled(
            {"file": str(place.folder / "subject")},
            service_account_impersonation_url=files.impersonation_url(place.google, TRAIN),
            service_account_impersonation={"token_lifetime_seconds": 900},
        )

        minted = mint(place.write(members), scopes=(READ,))

        issued = place.issued(minted)
        assert (issued.principal, issued.scopes) == (TRAIN, frozenset({READ}))
        assert 898.0 <= minted.lifetime <= 901.0
        assert minted.facts.email == TRAIN

    def test_a_pool_that_is_gone(self, place: Place):
        """Google says so at once; the words are of its file."""
        (place.folder / "subject").write_text("subject")
        place.google.fail("sts", Fault(status=400, body=b'{"error": "invalid_target", "error_description": "x"}'))

        with pytest.raises(Denied, match="pool or its provider"):
            mint(place.write(place.pooled({"file": str(place.folder / "subject")})))

    def test_a_workforce_login(self, place: Place):
        """A person of somebody else's directory; the client shows itself by HTTP Basic."""
        user = place.registry.user("principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/a")

        minted = mint(place.write(files.external_user(place.google, user)))

        assert place.issued(minted).principal == user.email
        assert minted.facts.email is None

    def test_a_workforce_login_that_was_revoked(self, place: Place):
        """Final, with the way to log in again."""
        user = place.registry.user("principal://staff/a")
        file = place.write(files.external_user(place.google, user))
        place.registry.users[0] = User(user.email, user.client_id, user.client_secret, "another", user.scopes)

        with pytest.raises(Denied, match="--login-config"):
            mint(file)

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


class TestSpecs:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"scopes": [READ], "audiences": [AUDIENCE], "project": "p", "quota_project": "q", "file": "key.json"},
            {"endpoint_url": "https://iam.example", "lifetime": 43200},
        ],
    )
    def test_adc_takes_what_the_contract_names(self, fields: dict[str, Any]):
        """Every key of it."""
        assert msgspec.convert(fields, Adc).kind is Kind.GOOGLE

    @pytest.mark.parametrize(
        "fields",
        [
            {"scopes": []},
            {"scopes": ["two words"]},
            {"scopes": [""]},
            {"lifetime": 59},
            {"lifetime": 43201},
            {"endpoint_url": "iam.example"},
            {"endpoint_url": "https://iam.example/v1"},
            {"project": "a/b"},
            {"file": ""},
            {"service_account": TRAIN},
        ],
    )
    def test_what_cannot_be_meant_is_a_mistake(self, fields: dict[str, Any]):
        """Better when reading than when minting."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(fields, Adc)

    @pytest.mark.parametrize(
        "email", [TRAIN, "{user}@my-project.iam.gserviceaccount.com", "x@p.example.com.iam.gserviceaccount.com"]
    )
    def test_a_service_account_may_be_a_template(self, email: str):
        """One for each user, rendered later and held against the same limits."""
        assert msgspec.convert({"service_account": email}, Impersonate).service_account == email

    @pytest.mark.parametrize(
        "email", ["train", "a/b@p.example", "a@b@p.example", "a@p.example:generateIdToken", "@p.example", ""]
    )
    def test_a_service_account_is_an_email(self, email: str):
        """It becomes a part of a URL."""
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"service_account": email}, Impersonate)

    def test_a_plain_endpoint_must_be_on_this_machine(self):
        """A bearer token is shown to it."""
        assert Adc(endpoint_url="http://127.0.0.1:8080").mistakes() == ()
        assert Adc(endpoint_url="https://iam.example").mistakes() == ()
        assert [field for field, _ in Adc(endpoint_url="http://iam.example").mistakes()] == ["endpoint_url"]
        assert Adc().mistakes() == ()

    def test_lifetimes_are_durations_and_files_are_paths(self):
        """The configuration's reader goes by the units that the types declare."""
        units = {
            field.name: unit
            for field in msgspec.structs.fields(Impersonate) + msgspec.structs.fields(Adc)
            for unit in ("seconds", "path")
            if f"'unit': '{unit}'" in str(field.type)
        }

        assert units == {"lifetime": "seconds", "file": "path"}


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
