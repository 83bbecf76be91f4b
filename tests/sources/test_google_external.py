import os

import pytest

from broker.errors import Denied, IdentityMissing
from tests.fakes.google import Fault, files
from tests.fakes.google.place import POOLED, TRAIN, Place
from tests.fakes.google.registry import User
from tests.fakes.sigv4 import KeyRecord
from tests.sources.google_world import READ, mint

pytest_plugins = ["tests.fakes.google.fixtures"]
pytestmark = pytest.mark.usefixtures("alone")


class TestExternalAccount:
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
