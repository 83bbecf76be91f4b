"""GetFederationToken against a fake STS that refuses what AWS refuses, and against moto server."""

import json

import pytest

from broker.errors import Denied
from broker.model import Given
from broker.sources import aws
from broker.sources.aws_specs import Federation
from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts
from tests.sources.aws_world import POLICY, READ_ONLY, environment, keys, session_spec


@pytest.mark.usefixtures("alice")
class TestFederation:
    def spec(self, sts: FakeSts | Moto, **more: object) -> Federation:
        named = {"session_name": "trainer", **more}
        return Federation(endpoint_url=sts.url, **named)  # type: ignore[arg-type]  # whatever a test names

    def test_every_parameter_arrives(self, sts: FakeSts):
        """Without a policy the keys could do nothing, so it had better get there."""
        spec = self.spec(sts, policy=POLICY, policy_arns=(READ_ONLY,), tags={"team": "v"}, duration=129_600)

        minted = aws.federation(spec, Given())

        form = sts.calls[0].form
        assert (form["Name"], form["DurationSeconds"], form["Tags.member.1.Key"]) == ("trainer", "129600", "team")
        assert json.loads(form["Policy"]) == POLICY
        assert form["PolicyArns.member.1.arn"] == READ_ONLY
        assert minted.facts.arn == "arn:aws:sts::123456789012:federated-user/trainer"
        assert minted.facts.account == "123456789012"

    def test_a_temporary_identity_is_told_what_is_needed(self, sts: FakeSts, monkeypatch: pytest.MonkeyPatch):
        """STS would refuse it, less helpfully."""
        environment(monkeypatch, keys(aws.session(session_spec(sts), Given())))

        with pytest.raises(Denied, match="an IAM user's own keys, not a session from the environment") as denied:
            aws.federation(self.spec(sts), Given())

        assert denied.value.code == "TemporaryIdentity"
        assert sts.count("GetFederationToken") == 0

    def test_moto_mints_one_too(self, moto: Moto):
        """A second reading of the protocol, by other people."""
        minted = aws.federation(self.spec(moto), Given())

        assert str(minted.facts.arn).endswith(":federated-user/trainer")
