"""The AWS sources against a fake STS that refuses what AWS refuses, and against moto server."""

import hashlib
import json
import time

import pytest

from broker.errors import Denied, IdentityMissing
from broker.model import AwsKeys, Given, Kind
from broker.secret import Secret
from broker.sources import aws
from broker.sources.aws_specs import AssumeRole, Session
from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts
from tests.fakes.sts_world import Role, World
from tests.sources.aws_world import POLICY, READ_ONLY, TRAIN, AwsHome, environment, keys, session_spec

NEXT = "arn:aws:iam::123456789012:role/team/next"
DEVICE = "arn:aws:iam::123456789012:mfa/alice"
BULKY = {f"tag{n}": hashlib.sha256(b"%d" % n).hexdigest() for n in range(50)}


def role_spec(sts: FakeSts | Moto, **more: object) -> AssumeRole:
    named = {"role_arn": TRAIN, "session_name": "node-trainer", **more}
    return AssumeRole(endpoint_url=sts.url, **named)  # type: ignore[arg-type]  # whatever a test names


@pytest.mark.usefixtures("alice")
class TestSession:
    def test_an_iam_users_keys_become_a_session(self, sts: FakeSts):
        """The long-term keys themselves never leave the minter."""
        minted = aws.session(session_spec(sts, duration=7200, region="eu-west-1"), Given())

        issued = sts.registry.latest()
        assert keys(minted).access_key_id == issued.access_key_id
        assert keys(minted).secret_access_key.open() == issued.secret
        assert keys(minted).session_token.open() == issued.session_token
        assert minted.expires_at == issued.expires_at
        assert minted.lifetime == pytest.approx(7200, abs=5)
        assert minted.facts.region == "eu-west-1"
        assert not minted.facts.handed_on

    def test_the_mfa_code_goes_with_it(self, sts: FakeSts):
        """Each code is good for one session."""
        aws.session(session_spec(sts, mfa_serial=DEVICE), Given(mfa_code=Secret("123456")))

        assert sts.registry.latest().mfa

    def test_without_a_code_it_says_how_to_give_one(self, sts: FakeSts):
        """A daemon cannot ask; the commands can."""
        with pytest.raises(IdentityMissing, match="credbroker refresh NAME") as missing:
            aws.session(session_spec(sts, mfa_serial=DEVICE), Given())

        assert missing.value.code == "MfaRequired"
        assert sts.calls == []

    def test_a_wrong_code_is_denied(self, sts: FakeSts):
        """AWS says AccessDenied, and so does the advice."""
        with pytest.raises(Denied, match="MFA code") as denied:
            aws.session(session_spec(sts, mfa_serial=DEVICE), Given(mfa_code=Secret("000000")))

        assert denied.value.code == "AccessDenied"

    def test_a_session_in_the_environment_is_handed_on(self, sts: FakeSts, monkeypatch: pytest.MonkeyPatch):
        """STS would refuse GetSessionToken; the session has an expiry of its own."""
        held = keys(aws.session(session_spec(sts), Given()))
        environment(monkeypatch, held, AWS_CREDENTIAL_EXPIRATION="2099-01-01T00:00:00Z", AWS_ACCOUNT_ID="123456789012")

        minted = aws.session(session_spec(sts), Given())

        assert minted.value == held
        assert minted.facts.handed_on
        assert minted.facts.account == "123456789012"
        assert minted.facts.note == "handed on from a session from the environment variables"
        assert minted.expires_at == 4070908800
        assert sts.count("GetSessionToken") == 1

    def test_a_session_that_does_not_tell_its_expiry_is_asked_for_again_soon(
        self, sts: FakeSts, monkeypatch: pytest.MonkeyPatch
    ):
        """Six minutes are assumed, and `check` says so."""
        environment(monkeypatch, keys(aws.session(session_spec(sts), Given())))

        minted = aws.session(session_spec(sts), Given())

        assert minted.lifetime == 360
        assert minted.expires_at == pytest.approx(time.time() + 360, abs=5)
        assert "not known, 6 min are assumed" in str(minted.facts.note)

    def test_moto_mints_one_too(self, moto: Moto):
        """A second reading of the protocol, by other people."""
        minted = aws.session(session_spec(moto, duration=900), Given())

        assert minted.lifetime == pytest.approx(900, abs=5)


@pytest.mark.usefixtures("alice")
class TestAssumeRole:
    def test_every_parameter_arrives(self, sts: FakeSts):
        """What the operator narrowed must be narrow upstream."""
        spec = role_spec(
            sts,
            external_id="partner/7",
            policy=POLICY,
            policy_arns=(READ_ONLY,),
            tags={"team": "vision", "cost": "7"},
            transitive_tags=("team",),
            source_identity="alice",
            duration=43_200,
            region="eu-west-1",
        )

        minted = aws.assume_role(spec, Given())

        form = sts.calls[0].form
        assert json.loads(form.pop("Policy")) == POLICY
        assert form == {
            "Action": "AssumeRole",
            "Version": "2011-06-15",
            "RoleArn": TRAIN,
            "RoleSessionName": "node-trainer",
            "DurationSeconds": "43200",
            "ExternalId": "partner/7",
            "PolicyArns.member.1.arn": READ_ONLY,
            "Tags.member.1.Key": "team",
            "Tags.member.1.Value": "vision",
            "Tags.member.2.Key": "cost",
            "Tags.member.2.Value": "7",
            "TransitiveTagKeys.member.1": "team",
            "SourceIdentity": "alice",
        }
        assert sts.calls[0].region == "eu-west-1"
        assert minted.lifetime == pytest.approx(43_200, abs=5)

    def test_whose_keys_they_are_comes_with_the_mint(self, sts: FakeSts):
        """No second call is needed for `status`."""
        facts = aws.assume_role(role_spec(sts), Given()).facts

        assert facts.arn == "arn:aws:sts::123456789012:assumed-role/train/node-trainer"
        assert facts.account == "123456789012"
        assert len(sts.calls) == 1

    def test_a_chained_role_is_signed_by_the_lease_it_chains_from(self, aws_home: AwsHome, sts: FakeSts):
        """No identity of this machine is needed or used."""
        base = aws.assume_role(role_spec(sts, tags={"team": "v"}, transitive_tags=("team",)), Given()).value
        aws_home.credentials.unlink()

        minted = aws.assume_role(role_spec(sts, role_arn=NEXT), Given(base=base))

        assert isinstance(base, AwsKeys)
        assert f"Credential={base.access_key_id}/" in sts.calls[1].headers["authorization"]
        assert minted.facts.arn == "arn:aws:sts::123456789012:assumed-role/next/node-trainer"
        assert sts.registry.latest().tags == (("team", "v"),)

    def test_a_base_that_expired_is_transient(self, sts: FakeSts):
        """Its owner may renew it at any time, so the held lease stays."""
        sts.rules.lifetime = 60
        base = aws.assume_role(role_spec(sts), Given()).value
        sts.now = lambda: time.time() + 61

        with pytest.raises(IdentityMissing, match="the lease it chains from") as missing:
            aws.assume_role(role_spec(sts, role_arn=NEXT), Given(base=base))

        assert missing.value.code == "ExpiredToken"
        assert missing.value.transient

    @pytest.mark.parametrize(
        ("refused", "code"),
        [
            ({"role_arn": "arn:aws:iam::123456789012:role/nobody"}, "AccessDenied"),
            ({"duration": 7200, "role_arn": NEXT}, "ValidationError"),
            ({"policy": {"Statement": "nonsense"}}, "MalformedPolicyDocument"),
            ({"tags": BULKY}, "PackedPolicyTooLarge"),
            ({"role_arn": "arn:aws:iam::123456789012:role/partner", "external_id": "guess"}, "AccessDenied"),
        ],
    )
    def test_a_final_refusal_is_denied(self, refused: dict[str, object], code: str, aws_home: AwsHome):
        """Asking again soon cannot help; AWS's own words are not repeated."""
        world = World()
        partner = Role(arn="arn:aws:iam::123456789012:role/partner", external_id="secret")
        with (
            FakeSts(World(roles=(*world.roles, partner))) as sts,
            pytest.raises(Denied) as denied,
        ):
            aws.assume_role(role_spec(sts, **refused), Given())

        assert denied.value.code == code
        assert "UPSTREAM-TEXT" not in denied.value.advice

    def test_a_role_that_demands_mfa_gets_the_code(self, aws_home: AwsHome):
        """The code goes with the call that it is asked for."""
        with FakeSts(World(roles=(Role(arn=TRAIN, mfa=True),))) as sts:
            aws.assume_role(role_spec(sts, mfa_serial=DEVICE), Given(mfa_code=Secret("123456")))
            with pytest.raises(Denied):
                aws.assume_role(role_spec(sts), Given())

    def test_a_long_session_name_is_shortened_without_becoming_anothers(self, sts: FakeSts):
        """Pod names are long; the caller at the end stays readable and two names stay two."""
        names = [f"{'n' * 60}{end}-trainer" for end in "ab"]
        arns = {str(aws.assume_role(role_spec(sts, session_name=name), Given()).facts.arn) for name in names}

        assert len(arns) == 2
        assert all(arn.endswith("-trainer") and len(arn.rpartition("/")[2]) == 64 for arn in arns)

    def test_moto_mints_one_too(self, moto: Moto):
        """A second reading of the protocol, by other people."""
        minted = aws.assume_role(role_spec(moto, policy=POLICY, tags={"a": "b"}), Given())

        assert minted.facts.arn == "arn:aws:sts::123456789012:assumed-role/train/node-trainer"
        assert aws.who(role_spec(moto), minted.value).arn == minted.facts.arn


@pytest.mark.usefixtures("alice")
class TestWho:
    def test_the_new_keys_say_who_they_are(self, aws_home: AwsHome, sts: FakeSts):
        """`check` asks with what was minted, not with the identity that minted it."""
        minted = aws.session(session_spec(sts), Given())
        aws_home.credentials.unlink()

        facts = aws.who(session_spec(sts, region="eu-west-1"), minted.value)

        assert facts.arn == "arn:aws:iam::123456789012:user/alice"
        assert facts.account == "123456789012"
        assert facts.region == "eu-west-1"

    def test_keys_that_were_revoked_are_told_apart(self, sts: FakeSts):
        """An answer of STS about the new keys is no answer about the identity."""
        minted = aws.session(session_spec(sts), Given())
        sts.registry.revoke(keys(minted).access_key_id)

        with pytest.raises(IdentityMissing, match="the new keys"):
            aws.who(session_spec(sts), minted.value)


class TestFind:
    def test_it_names_what_zero_configuration_would_use(self, alice: AwsHome):
        """One phrase for the line that `serve` prints."""
        assert aws.find(Session()) == "IAM user keys from the profile default"

    def test_nothing_is_nothing(self, aws_home: AwsHome):
        """Then there is no credential `aws`."""
        assert aws.find(Session()) is None


class TestTable:
    def test_only_roles_chain(self):
        """`from` must name AWS keys, and only AssumeRole takes them."""
        assert {source.name: source.base for source in aws.SOURCES} == {
            "aws-session": None,
            "aws-assume-role": Kind.AWS,
            "aws-web-identity": None,
            "aws-federation": None,
        }
