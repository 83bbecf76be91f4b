"""A role assumed with a token file, against a fake STS that reads the token, and against moto server."""

import json
import time
from pathlib import Path

import pytest

from broker.errors import Denied, IdentityMissing
from broker.model import Given
from broker.sources import aws
from broker.sources.aws_specs import WebIdentity
from tests.fakes.moto_process import Moto
from tests.fakes.sts import FakeSts
from tests.fakes.sts_world import Role, World, web_token
from tests.sources.aws_world import POLICY, READ_ONLY, TRAIN, AwsHome


@pytest.mark.usefixtures("aws_home")
class TestWebIdentity:
    @pytest.fixture
    def cluster(self) -> World:
        """A world whose role trusts one service account."""
        return World(roles=(Role(arn=TRAIN, subjects=("system:pod",), trusts=()),))

    def spec(self, sts: FakeSts | Moto, file: Path, **more: object) -> WebIdentity:
        named = {"role_arn": TRAIN, "session_name": "pod", "token_file": str(file), **more}
        return WebIdentity(endpoint_url=sts.url, **named)  # type: ignore[arg-type]  # whatever a test names

    def test_the_token_is_read_at_each_mint_and_nothing_is_signed(self, cluster: World, tmp_path: Path):
        """Kubernetes replaces the file; no key of this machine may be mixed in."""
        file = tmp_path / "token"
        with FakeSts(cluster) as sts:
            for ahead in (600, 1200):
                file.write_text(web_token(cluster, "system:pod", time.time() + ahead) + "\n")
                facts = aws.web_identity(self.spec(sts, file), Given()).facts
                assert facts.arn == "arn:aws:sts::123456789012:assumed-role/train/pod"

        first, second = (call.form["WebIdentityToken"] for call in sts.calls)
        assert first != second
        assert all("authorization" not in call.headers for call in sts.calls)

    def test_no_other_identity_is_looked_for(self, aws_home: AwsHome, cluster: World, tmp_path: Path):
        """A broken profile, or a metadata server that does not answer, is none of this role's business."""
        file = tmp_path / "token"
        file.write_text(web_token(cluster, "system:pod", time.time() + 600))
        aws_home.profile(credential_process="/nowhere/at/all")
        with FakeSts(cluster) as sts:
            assert aws.web_identity(self.spec(sts, file), Given()).facts.account == "123456789012"

    def test_policies_narrow_it(self, cluster: World, tmp_path: Path):
        """As they do for any assumed role."""
        file = tmp_path / "token"
        file.write_text(web_token(cluster, "system:pod", time.time() + 600))
        with FakeSts(cluster) as sts:
            aws.web_identity(self.spec(sts, file, policy=POLICY, policy_arns=(READ_ONLY,)), Given())

        assert json.loads(sts.calls[0].form["Policy"]) == POLICY
        assert sts.calls[0].form["PolicyArns.member.1.arn"] == READ_ONLY

    @pytest.mark.parametrize(
        ("subject", "ahead", "code"), [("system:pod", -1, "ExpiredTokenException"), ("other", 600, "AccessDenied")]
    )
    def test_what_sts_refuses(self, cluster: World, tmp_path: Path, subject: str, ahead: int, code: str):
        """An expired token may be renewed by its owner; another subject is another subject for good."""
        file = tmp_path / "token"
        file.write_text(web_token(cluster, subject, time.time() + ahead))
        with FakeSts(cluster) as sts, pytest.raises((IdentityMissing, Denied)) as refused:
            aws.web_identity(self.spec(sts, file), Given())

        assert refused.value.code == code
        assert isinstance(refused.value, Denied) == (code == "AccessDenied")

    @pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 20_001, b"two\nlines"])
    def test_an_unusable_file_is_named(self, content: bytes | None, sts: FakeSts, tmp_path: Path):
        """Nothing is sent, and the message says which file."""
        file = tmp_path / "token"
        if content is not None:
            file.write_bytes(content)

        with pytest.raises(IdentityMissing, match=str(file)) as missing:
            aws.web_identity(self.spec(sts, file), Given())

        assert missing.value.code == "TokenFileUnreadable"
        assert sts.calls == []

    def test_moto_mints_one_too(self, moto: Moto, tmp_path: Path):
        """A second reading of the protocol, by other people."""
        file = tmp_path / "token"
        file.write_text("a.web.token")

        minted = aws.web_identity(self.spec(moto, file), Given())

        assert minted.facts.account == "123456789012"
