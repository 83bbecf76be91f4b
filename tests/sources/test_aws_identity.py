"""The identity that boto3's chain finds, each way that it may be set up, and each way that it may be broken."""

import hashlib
import json
import socket
import sys
import time
from pathlib import Path

import pytest
from botocore.credentials import SSOProvider
from botocore.utils import JSONFileCache

from broker.errors import Denied, IdentityMissing, MintError, Unreachable
from broker.model import AwsKeys
from broker.secret import Secret
from broker.sources.aws_identity import Identity, found, handed_on, look, opened
from tests.fakes.sts import FakeSts, fault
from tests.sources.conftest import ALICE, AwsHome

TRAIN = "arn:aws:iam::123456789012:role/train"
SESSION = AwsKeys("ASIAEXAMPLE", Secret("secret"), Secret("token"))


def script(folder: Path, printed: object) -> str:
    """A credential_process that prints this."""
    program = folder / "process.py"
    program.write_text(f"print({json.dumps(printed if isinstance(printed, str) else json.dumps(printed))})")
    return f"{sys.executable} {program}"


def role_profile(aws_home: AwsHome, monkeypatch: pytest.MonkeyPatch, sts: FakeSts, **more: str) -> None:
    """A profile that assumes a role, as a person's `~/.aws/config` has it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
    aws_home.profile("train", role_arn=TRAIN, source_profile="default", role_session_name="me", **more)


def sso_profile(aws_home: AwsHome) -> None:
    """A profile of the older kind of SSO."""
    aws_home.profile(
        "work",
        sso_start_url="https://example.invalid/start",
        sso_region="eu-west-1",
        sso_account_id="123456789012",
        sso_role_name="Developer",
    )


def missing(profile: str | None) -> IdentityMissing:
    """How the chain fails."""
    with pytest.raises(IdentityMissing) as failed:
        found(opened(profile))
    return failed.value


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

    @pytest.mark.parametrize("printed", ["no JSON", {"Version": 2}, {"Version": 1, "AccessKeyId": "A"}, "[]"])
    def test_a_credential_process_that_prints_nonsense(self, aws_home: AwsHome, tmp_path: Path, printed: object):
        """Nothing that it printed is repeated."""
        aws_home.profile("p", credential_process=script(tmp_path, printed))

        error = missing("p")

        assert error.code in {"CredentialRetrievalFailed", "IdentityUnusable"}
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

    def test_a_silent_metadata_server_costs_two_seconds_whatever_the_environment_says(
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

        assert time.monotonic() - began < 4


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
