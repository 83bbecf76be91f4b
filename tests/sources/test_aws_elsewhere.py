"""The STS of other stores, by its `endpoint_url`: a fake that refuses what MinIO refuses."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.errors import Denied
from broker.model import AwsKeys, Facts, Given, Minted
from broker.secret import Secret
from broker.sources import aws
from broker.sources.aws_specs import AssumeRole, WebIdentity
from tests.fakes.minio_rules import MinioRules
from tests.fakes.sts import FakeSts, fault
from tests.fakes.sts_world import web_token
from tests.sources.aws_world import ALICE, POLICY, keys

ROLE = "arn:minio:iam:::role/any"
WEEK = 604_800


@pytest.fixture
def minio() -> Iterator[FakeSts]:
    """MinIO, with one user."""
    with FakeSts(rules=MinioRules) as fake:
        yield fake


def a_role(minio: FakeSts, **more: object) -> AssumeRole:
    """As the configuration has it."""
    named = {"role_arn": ROLE, "session_name": "job", **more}
    return AssumeRole(endpoint_url=minio.url, **named)  # type: ignore[arg-type]  # whatever a test names


@pytest.mark.usefixtures("alice")
class TestAssumeRole:
    def test_a_session_names_itself_by_its_key(self, minio: FakeSts):
        """MinIO names nobody; its own logs know the key."""
        minted = aws.assume_role(a_role(minio, policy=POLICY), Given())

        assert minted.facts.identity == keys(minted).access_key_id == minio.registry.latest().access_key_id
        assert minted.facts.arn is None

    @pytest.mark.parametrize("seconds", [900, WEEK])
    def test_it_lives_as_long_as_asked(self, minio: FakeSts, seconds: int):
        """A quarter of an hour to a week, by upstream's own word."""
        minted = aws.assume_role(a_role(minio, duration=seconds), Given())

        assert minted.lifetime == pytest.approx(seconds, abs=2)
        assert minted.expires_at == minio.registry.latest().expires_at

    def test_who_it_is_cannot_be_asked(self, minio: FakeSts):
        """`check` then says what the mint told."""
        spec = a_role(minio)

        assert aws.who(spec, aws.assume_role(spec, Given()).value) == Facts()
        assert minio.calls[-1].action == "GetCallerIdentity"

    def test_another_refusal_of_that_question_is_an_error(self, minio: FakeSts):
        """Keys that the store does not accept are no good to a worker either."""
        spec = a_role(minio)
        minted = aws.assume_role(spec, Given())
        minio.script = lambda _: fault("AccessDenied", 403)

        with pytest.raises(Denied, match="cannot ask who the new keys are"):
            aws.who(spec, minted.value)

    def test_a_region_of_its_own_is_signed_for(self, minio: FakeSts):
        """MinIO's default is us-east-1; a site may have another."""
        aws.assume_role(a_role(minio, region="eu-central-1"), Given())

        assert minio.calls[-1].region == "eu-central-1"

    def test_keys_of_an_s3_static_credential_sign(self, minio: FakeSts, aws_home: object):
        """`from` names one: the keys are references then, and no profile is needed."""
        base = AwsKeys(ALICE[0], Secret(ALICE[1]), Secret(""))

        minted = aws.assume_role(a_role(minio), Given(base=base))

        assert isinstance(minted, Minted)
        assert "authorization" in minio.calls[-1].headers

    def test_a_session_mints_no_other(self, minio: FakeSts):
        """MinIO says so, and the error names what was wanted."""
        first = aws.assume_role(a_role(minio), Given())

        with pytest.raises(Denied, match="cannot assume arn:minio:iam:::role/any") as denied:
            aws.assume_role(a_role(minio), Given(base=first.value))

        assert denied.value.code == "AccessDenied"


@pytest.mark.usefixtures("aws_home")
class TestWebIdentity:
    def test_a_token_is_enough(self, minio: FakeSts, tmp_path: Path):
        """Of an OIDC provider that MinIO trusts; nothing is signed."""
        (file := tmp_path / "token").write_text(web_token(minio.world, "system:pod", time.time() + 600))
        spec = WebIdentity(
            role_arn=ROLE, session_name="pod", token_file=str(file), duration=WEEK, endpoint_url=minio.url
        )

        minted = aws.web_identity(spec, Given())

        assert spec.mistakes() == ()
        assert minted.facts.identity == keys(minted).access_key_id
        assert "authorization" not in minio.calls[-1].headers
