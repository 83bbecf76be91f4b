"""Each way that a local identity may be absent, broken or refused, and what the message then says."""

import hashlib
from pathlib import Path

import pytest
from botocore.credentials import SSOProvider
from botocore.utils import JSONFileCache

from broker.errors import Denied, IdentityMissing, MintError, Unreachable
from broker.sources.aws_identity import found, opened
from tests.fakes.sts import FakeSts, fault
from tests.sources.aws_world import AwsHome, missing, role_profile, script, sso_profile

HALF = {"Version": 1, "AccessKeyId": "ASIAHALF"}


class TestNotFound:
    def test_nothing_at_all(self, aws_home: AwsHome):
        """It says how to log in."""
        error = missing(None)

        assert error.code == "NoCredentials"
        assert "aws configure" in error.advice

    @pytest.mark.parametrize("by", ["configuration", "environment"])
    def test_a_profile_that_does_not_exist(self, alice: AwsHome, monkeypatch: pytest.MonkeyPatch, by: str):
        """Named wherever it was named."""
        if by == "environment":
            monkeypatch.setenv("AWS_PROFILE", "prdo")

        error = missing("prdo" if by == "configuration" else None)

        assert error.code == "ProfileNotFound"
        assert "the profile prdo does not exist" in error.advice

    def test_half_a_pair_of_keys(self, aws_home: AwsHome):
        """Both or none."""
        aws_home.credentials.write_text("[default]\naws_access_key_id = AKIAHALF\n")

        assert missing(None).code == "PartialCredentials"

    def test_an_sso_session_that_was_never_begun(self, aws_home: AwsHome):
        """The command that begins it stands in the message."""
        sso_profile(aws_home)

        error = missing("work")

        assert error.code == "SsoSessionExpired"
        assert "`aws sso login --profile work`" in error.advice

    def test_an_sso_session_that_has_expired(self, aws_home: AwsHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """The same command renews it."""
        monkeypatch.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
        key = hashlib.sha1(b"https://example.invalid/start", usedforsecurity=False).hexdigest()
        JSONFileCache(str(tmp_path))[key] = {"accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z"}
        sso_profile(aws_home)

        assert missing("work").code == "SsoSessionExpired"

    @pytest.mark.parametrize("printed", ["no JSON", {"Version": 2}, HALF, {**HALF, "SecretAccessKey": ""}, "[]"])
    def test_a_credential_process_that_prints_nonsense(self, aws_home: AwsHome, tmp_path: Path, printed: object):
        """Nothing that it printed is repeated."""
        aws_home.profile("p", credential_process=script(tmp_path, printed))

        error = missing("p")

        assert error.code in {"CredentialRetrievalFailed", "IdentityUnusable", "PartialCredentials"}
        assert "the profile p" in error.advice

    def test_a_credential_process_that_is_not_there(self, aws_home: AwsHome):
        """A file that cannot be read or run."""
        aws_home.profile("p", credential_process="/nowhere/at/all")

        assert missing("p").code == "FileUnreadable"

    def test_a_session_that_its_owner_did_not_renew(self, aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch):
        """The environment is asked again, and says the same."""
        for name, text in (("ACCESS_KEY_ID", "ASIAOLD"), ("SECRET_ACCESS_KEY", "s"), ("SESSION_TOKEN", "t")):
            monkeypatch.setenv(f"AWS_{name}", text)
        monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z")

        assert missing(None).code == "IdentityUnusable"

    def test_a_config_file_that_cannot_be_parsed(self, aws_home: AwsHome):
        """The file is named, not quoted."""
        aws_home.config.write_text("secret nonsense")

        error = missing("any")

        assert error.code == "ConfigUnreadable"
        assert "nonsense" not in error.advice

    @pytest.mark.parametrize(("refusal", "kind"), [("AccessDenied", Denied), ("ExpiredToken", IdentityMissing)])
    def test_a_role_of_a_profile_that_is_refused(
        self,
        alice: AwsHome,
        monkeypatch: pytest.MonkeyPatch,
        sts: FakeSts,
        refusal: str,
        kind: type[MintError],
    ):
        """AWS's code decides, as in a mint of ours."""
        role_profile(alice, monkeypatch, sts)
        sts.script = lambda _: fault(refusal, 403)

        with pytest.raises(kind) as failed:
            found(opened("train"))

        assert failed.value.code == refusal
        assert "UPSTREAM" not in failed.value.advice

    def test_a_role_of_a_profile_whose_sts_is_away(self, alice: AwsHome, monkeypatch: pytest.MonkeyPatch):
        """The network's fault is not the identity's; and it is tried once."""
        with FakeSts() as sts:
            role_profile(alice, monkeypatch, sts)

        with pytest.raises(Unreachable):
            found(opened("train"))
