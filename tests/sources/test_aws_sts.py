"""One call of STS with everything that can go wrong on its way, and an answer that is judged before it is a lease."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.errors import Malformed, MintError, Unreachable
from broker.model import Facts
from broker.sources import aws_identity, aws_sts
from broker.sources.aws_errors import Attempt
from tests.fakes.sts import FakeSts, Fault, fault
from tests.sources.aws_world import IDENTITY, AwsHome, asked

ATTEMPT = Attempt("get a session", "alice's keys")
NOW = 1_800_000_000.0


def answered(**changes: object) -> dict[str, Any]:
    """An answer of STS as botocore reads it, with some of its keys changed or, if None, missing."""
    whole = {
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "secret",
        "SessionToken": "token",
        "Expiration": datetime.fromtimestamp(NOW, UTC) + timedelta(hours=1),
    }
    return {"Credentials": {name: given for name, given in {**whole, **changes}.items() if given is not None}}


@pytest.mark.usefixtures("aws_home")
class TestAsk:
    def test_the_answer_carries_both_clocks(self, sts: FakeSts):
        """Upstream's Date tells a clock that is off from a lease that is short."""
        sts.now = lambda: time.time() - 250

        answer = asked(sts)

        assert answer.arrived == pytest.approx(time.time(), abs=5)
        assert answer.dated == pytest.approx(time.time() - 250, abs=5)

    def test_the_region_is_the_specs_then_the_profiles_then_one_that_always_works(
        self, aws_home: AwsHome, sts: FakeSts
    ):
        """A signature for a region that the operator did not mean would be sent across the world."""
        asked(sts)
        aws_home.profile(region="eu-central-1")
        asked(sts)
        asked(sts, region="eu-west-1")

        assert [call.region for call in sts.calls] == ["us-east-1", "eu-central-1", "eu-west-1"]

    @pytest.mark.parametrize(
        "silence",
        [
            Fault(hang_up=True),
            Fault(status=500),
            Fault(status=503),
            Fault(status=502, body=b"<html>Bad Gateway</html>"),
        ],
    )
    def test_a_region_that_does_not_answer_is_passed_over(self, sts: FakeSts, silence: Fault):
        """One region's outage is not ours."""
        sts.script = lambda call: silence if call.region == "eu-west-1" else None

        answer = asked(sts, sts_regions=("eu-west-1", "eu-central-1"), region="us-east-1")

        assert [call.region for call in sts.calls] == ["eu-west-1", "eu-central-1"]
        assert "Credentials" in answer.body

    @pytest.mark.parametrize("word", [fault("Throttling"), fault("AccessDenied", 403), fault("ExpiredToken", 403)])
    def test_a_region_that_answers_has_the_last_word(self, sts: FakeSts, word: Fault):
        """Asking next door would not be patience, nor change a denial."""
        sts.script = lambda _: word

        with pytest.raises(MintError):
            asked(sts, sts_regions=("eu-west-1", "eu-central-1"))

        assert [call.region for call in sts.calls] == ["eu-west-1"]

    def test_when_no_region_answers_it_is_unreachable(self, sts: FakeSts):
        """Each was asked once, and the message names the last."""
        sts.script = lambda _: Fault(hang_up=True)

        with pytest.raises(Unreachable, match="in eu-central-1"):
            asked(sts, sts_regions=("eu-west-1", "eu-central-1"))

        assert len(sts.calls) == 2

    def test_upstream_is_told_who_asks(self, sts: FakeSts):
        """The user agent stands in the operator's CloudTrail."""
        asked(sts)

        assert "credbroker/" in sts.calls[0].headers["user-agent"]

    def test_without_an_endpoint_the_regional_one_is_asked(self, monkeypatch: pytest.MonkeyPatch):
        """The global endpoint is one region's, wherever the worker is."""
        session = aws_identity.opened(None).session

        client = aws_sts._client(session, None, "eu-west-1", IDENTITY.keys)

        assert client.meta.endpoint_url == "https://sts.eu-west-1.amazonaws.com"
        client.close()


class TestMinted:
    def answer(self, body: dict[str, Any], dated: float | None = NOW, arrived: float = NOW) -> aws_sts.Answer:
        return aws_sts.Answer(body, arrived, dated, ATTEMPT)

    def test_lifetime_is_counted_on_upstreams_clock(self):
        """Ours, ten minutes fast, would lose ten minutes of each lease."""
        minted = aws_sts.minted(self.answer(answered(), arrived=NOW + 600), Facts())

        assert minted.expires_at == NOW + 3600
        assert minted.lifetime == 3600
        assert minted.skew == 600

    def test_without_a_date_our_clock_must_do(self):
        """Then nothing is known of a skew."""
        minted = aws_sts.minted(self.answer(answered(), dated=None, arrived=NOW + 600), Facts())

        assert minted.lifetime == 3000
        assert minted.skew is None

    @pytest.mark.parametrize("name", ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"])
    @pytest.mark.parametrize("given", [None, "", 7, {}, "two words", "naïve", "line\n"])
    def test_partial_or_odd_keys_are_no_keys(self, name: str, given: object):
        """A partial lease must never replace a good one."""
        with pytest.raises(Malformed):
            aws_sts.minted(self.answer(answered(**{name: given})), Facts())

    @pytest.mark.parametrize(
        "expiry",
        [
            datetime.fromtimestamp(NOW + 29, UTC),
            datetime.fromtimestamp(NOW - 1, UTC),
            datetime(9999, 12, 31, tzinfo=UTC),
            datetime.fromtimestamp(NOW + 3600, UTC).replace(tzinfo=None),
        ],
    )
    def test_an_expiry_that_is_past_near_absurd_or_vague_is_refused(self, expiry: datetime):
        """Such a lease would be handed out dead, or never refreshed."""
        with pytest.raises(Malformed):
            aws_sts.minted(self.answer(answered(Expiration=expiry)), Facts())

    @pytest.mark.parametrize("body", [{}, {"Credentials": None}, {"Credentials": "text"}])
    def test_no_keys_at_all(self, body: dict[str, Any]):
        """A 200 alone is no lease."""
        with pytest.raises(Malformed):
            aws_sts.minted(self.answer(body), Facts())


class TestFactsOf:
    def test_the_account_is_in_the_arn(self):
        """So no second call is needed."""
        facts = aws_sts.facts_of("arn:aws-cn:sts::210987654321:assumed-role/a.b/c@d", "cn-north-1")

        assert facts == Facts(
            arn="arn:aws-cn:sts::210987654321:assumed-role/a.b/c@d", account="210987654321", region="cn-north-1"
        )

    @pytest.mark.parametrize("arn", [None, "", 7, "arn:aws:sts::1:x", "arn:aws:sts::123456789012:a\nb", "x" * 3000])
    def test_what_is_no_arn_is_not_shown(self, arn: object):
        """The STS of some stores gives none, and what upstream made up must not reach a log line."""
        assert aws_sts.facts_of(arn, None) == Facts()
