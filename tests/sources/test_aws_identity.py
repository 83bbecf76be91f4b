"""The identity that boto3's chain finds, each way that it may be set up, and each way that it may be broken."""

import socket
import time
from pathlib import Path

import pytest

from broker.errors import Denied, IdentityMissing
from broker.model import AwsKeys
from broker.secret import Secret
from broker.sources.aws_identity import Identity, found, handed_on, look, opened
from tests.fakes.sts import FakeSts, fault
from tests.sources.aws_world import ALICE, AwsHome, missing, role_profile, script, sso_profile

SESSION = AwsKeys("ASIAEXAMPLE", Secret("secret"), Secret("token"))


class TestFound:
    def test_keys_of_the_credentials_file(self, alice: AwsHome):
        """An IAM user, whose keys never expire."""
        identity = found(opened(None))

        assert identity.keys == AwsKeys(ALICE[0], Secret(ALICE[1]), Secret(""))
        assert identity.place == "IAM user keys from the profile default"
        assert identity.expires_at is None
        assert not identity.temporary

    def test_keys_of_the_environment(self, aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch):
        """They come before the files, as in boto3."""
        aws_home.keys("AKIAOTHER", "other")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", ALICE[0])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ALICE[1])

        assert found(opened(None)).place == "IAM user keys from the environment variables"

    def test_a_profile_that_is_named_comes_before_the_environment(
        self, aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch
    ):
        """What the configuration names is what is used."""
        aws_home.keys(*ALICE, profile="prod")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")

        identity = found(opened("prod"))

        assert identity.keys == AwsKeys(ALICE[0], Secret(ALICE[1]), Secret(""))
        assert identity.profile == "prod"

    def test_a_role_of_a_profile_is_a_session_with_an_expiry(
        self, alice: AwsHome, monkeypatch: pytest.MonkeyPatch, sts: FakeSts
    ):
        """What botocore assumed for the profile ends when STS says."""
        role_profile(alice, monkeypatch, sts)

        identity = found(opened("train"))

        assert identity.temporary
        assert identity.expires_at == sts.registry.latest().expires_at
        assert identity.place == "the role of the profile train"

    def test_what_a_credential_process_prints(self, aws_home: AwsHome, tmp_path: Path):
        """Its account is known where it tells it."""
        printed = {
            "Version": 1,
            "AccessKeyId": "ASIAX",
            "SecretAccessKey": "s",
            "SessionToken": "t",
            "Expiration": "2099-01-01T00:00:00Z",
            "AccountId": "123456789012",
        }
        aws_home.profile("p", credential_process=script(tmp_path, printed))

        identity = found(opened("p"))

        assert identity.expires_at == 4070908800
        assert identity.account == "123456789012"
        assert identity.place == "the credential_process of the profile p"

    def test_the_code_for_a_profiles_own_mfa_is_passed_on(
        self, alice: AwsHome, monkeypatch: pytest.MonkeyPatch, sts: FakeSts
    ):
        """Left alone, botocore would read the terminal, which a minter has not."""
        role_profile(alice, monkeypatch, sts, mfa_serial="arn:aws:iam::123456789012:mfa/alice")

        assert found(opened("train", mfa_code=Secret("123456"))).temporary
        assert sts.registry.latest().mfa

    def test_without_that_code_it_says_how_to_give_one(
        self, alice: AwsHome, monkeypatch: pytest.MonkeyPatch, sts: FakeSts
    ):
        """Rather than waiting for a terminal."""
        role_profile(alice, monkeypatch, sts, mfa_serial="arn:aws:iam::123456789012:mfa/alice")

        error = missing("train")

        assert error.code == "MfaRequired"
        assert "credbroker exec" in error.advice


class TestLook:
    def test_a_session_of_the_environment(self, aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch):
        """A token tells a session from a user's keys."""
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
            monkeypatch.setenv(f"AWS_{name}", "x")

        assert look(None) == "a session from the environment variables"

    def test_it_asks_no_cloud(self, aws_home: AwsHome):
        """An SSO profile is named without a token, which would need the network."""
        sso_profile(aws_home)

        assert look("work") == "the SSO session of the profile work"

    def test_a_missing_profile_is_an_error_and_not_nothing(self, aws_home: AwsHome):
        """Zero configuration must not pass over a misspelt AWS_PROFILE."""
        with pytest.raises(IdentityMissing, match="does not exist"):
            look("prdo")

    def test_a_silent_metadata_server_costs_no_minutes_whatever_the_environment_says(
        self, aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch
    ):
        """A laptop has none, and `serve` must not hang."""
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
            monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}/")
            monkeypatch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "60")
            monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "9")
            began = time.monotonic()

            assert look(None) is None

        assert time.monotonic() - began < 30


class TestHandedOn:
    def test_its_owner_decides_when_it_ends(self):
        """The broker adds nothing to it."""
        ends = float(int(time.time()) + 900)

        minted = handed_on(Identity(place="an SSO session", keys=SESSION, expires_at=ends), "eu-west-1")

        assert minted.expires_at == ends
        assert minted.lifetime == pytest.approx(900, abs=5)
        assert minted.facts.region == "eu-west-1"

    @pytest.mark.parametrize("left", [-10, 0, 29])
    def test_one_that_is_as_good_as_over_is_missing(self, left: int):
        """Its owner must renew it; the message says how."""
        identity = Identity(place="an SSO session", keys=SESSION, profile="work", expires_at=time.time() + left)

        with pytest.raises(IdentityMissing, match="aws sso login --profile work") as failed:
            handed_on(identity, None)

        assert failed.value.code == "ExpiredToken"


class TestOpened:
    def test_the_region_is_the_configurations_then_the_profiles(self, aws_home: AwsHome):
        """Workers get it; the one that stands in where nobody named any is not theirs."""
        aws_home.profile("p", region="eu-central-1")

        regions = [opened("p", "eu-west-1").region, opened("p").region, opened(None).region]

        assert regions == ["eu-west-1", "eu-central-1", None]

    def test_botocore_does_not_log_what_upstream_said(
        self, alice: AwsHome, monkeypatch: pytest.MonkeyPatch, sts: FakeSts, caplog: pytest.LogCaptureFixture
    ):
        """Its warnings carry tracebacks with upstream's words in them."""
        role_profile(alice, monkeypatch, sts)
        sts.script = lambda _: fault("AccessDenied", 403)

        with pytest.raises(Denied):
            found(opened("train"))

        assert "UPSTREAM" not in caplog.text
