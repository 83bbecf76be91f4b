"""One call of STS with everything that can go wrong on its way, and an answer that is judged before it is a lease."""

import itertools
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import AwsKeys, Facts
from broker.secret import Secret
from broker.sources import aws_identity, aws_sts
from broker.sources.aws_errors import Attempt
from broker.sources.aws_identity import Identity
from broker.sources.aws_specs import Session
from tests.fakes.sts import FakeSts, Fault, fault
from tests.sources.conftest import ALICE, AwsHome

IDENTITY = Identity(place="alice's keys", keys=AwsKeys(ALICE[0], Secret(ALICE[1]), Secret("")))
ATTEMPT = Attempt("get a session", "alice's keys")
NOW = 1_800_000_000.0


def asked(sts: FakeSts, **where: object) -> aws_sts.Answer:
    """One GetSessionToken."""
    spec = Session(endpoint_url=sts.url, **where)  # type: ignore[arg-type]  # whatever a test names
    return aws_sts.ask(aws_identity.opened(None, spec.region), spec, IDENTITY, "get_session_token", "get a session")


def refused(sts: FakeSts, reply: Fault) -> MintError:
    """How a call fails that gets this reply."""
    sts.script = lambda _: reply
    with pytest.raises(MintError) as failed:
        asked(sts)
    assert "UPSTREAM" not in failed.value.advice
    assert sts.count("GetSessionToken") == 1, "the broker owns retries"
    return failed.value


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


@pytest.mark.usefixtures("aws_home")
class TestFaults:
    @pytest.mark.parametrize(
        ("reply", "patience"),
        [
            (fault("Throttling", 400), None),
            (fault("ThrottlingException", 400, ("Retry-After", "7")), 7.0),
            (fault("RequestLimitExceeded", 503, ("Retry-After", "12")), 12.0),
            (Fault(status=429, body=b"slow down", headers=(("Retry-After", "3"),)), 3.0),
            (Fault(status=503, body=b"UPSTREAM is out"), None),
        ],
    )
    def test_throttling_keeps_what_upstream_asked_for(self, sts: FakeSts, reply: Fault, patience: float | None):
        """Retry-After is upstream's to say and ours to honour."""
        error = refused(sts, reply)

        assert isinstance(error, Throttled)
        assert error.retry_after == patience

    def test_patience_until_a_date_is_counted_on_upstreams_clock(self, sts: FakeSts):
        """Ours may be off."""
        now = time.time() - 3600
        headers = (("Date", formatdate(now, usegmt=True)), ("Retry-After", formatdate(now + 20, usegmt=True)))

        assert refused(sts, Fault(status=503, headers=headers)).retry_after == 20

    @pytest.mark.parametrize(
        ("reply", "kind", "code"),
        [
            (fault("InternalFailure", 500), Unreachable, "Http500"),
            (Fault(status=500, body=b"{UPSTREAM"), Unreachable, "Http500"),
            (Fault(hang_up=True), Unreachable, "ConnectionFailed"),
            (fault("AccessDenied", 403), Denied, "AccessDenied"),
            (fault("RegionDisabledException", 403), Denied, "RegionDisabledException"),
            (fault("SomethingNewException", 400), Denied, "SomethingNewException"),
            (fault("ExpiredToken", 403), IdentityMissing, "ExpiredToken"),
            (fault("InvalidClientTokenId", 403), IdentityMissing, "InvalidClientTokenId"),
            (fault("UPSTREAM says", 403), Malformed, "UnusableAnswer"),
            (Fault(status=403, body=b"<html><body>UPSTREAM proxy</body></html>"), Malformed, "UnusableAnswer"),
            (Fault(status=404, body=b"UPSTREAM"), Malformed, "UnusableAnswer"),
            (Fault(status=302, headers=(("Location", "http://127.0.0.1:1/"),)), Malformed, "UnusableAnswer"),
            (Fault(body=b"UPSTREAM garbage"), Malformed, "UnusableAnswer"),
            (Fault(body=b""), Malformed, "UnusableAnswer"),
            (Fault(body=b'{"UPSTREAM": 1}'), Malformed, "UnusableAnswer"),
            (Fault(body=b"<html><body>UPSTREAM</body></html>"), Malformed, "UnusableAnswer"),
            (Fault(body=b"<GetSessionTokenResponse><GetSessionTokenRes"), Malformed, "UnusableAnswer"),
            (Fault(body=b"\xff\xfe\x00"), Malformed, "UnusableAnswer"),
        ],
    )
    def test_every_fault_has_its_error(self, sts: FakeSts, reply: Fault, kind: type[MintError], code: str):
        """Transient or final decides whether the held lease stays."""
        error = refused(sts, reply)

        assert (type(error), error.code) == (kind, code)

    @pytest.mark.parametrize(
        "inside",
        [
            "<Expiration>soon</Expiration>",
            "<Expiration>99999-01-01T00:00:00Z</Expiration>",
            "<Expiration><deep/></Expiration>",
            "<Credentials/>" * 3,
            "",
        ],
    )
    def test_what_the_parser_trips_over_is_no_answer(self, sts: FakeSts, inside: str):
        """Upstream's nonsense must not look like a bug of ours."""
        body = (
            "<GetSessionTokenResponse><GetSessionTokenResult><Credentials><AccessKeyId>ASIA</AccessKeyId>"
            f"<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>{inside}</Credentials>"
            "</GetSessionTokenResult></GetSessionTokenResponse>"
        )
        sts.script = lambda _: Fault(body=body.encode())

        with pytest.raises(Malformed):
            aws_sts.minted(asked(sts), Facts())

    def test_an_answer_without_end_is_cut_off(self, sts: FakeSts):
        """A minter's memory is not upstream's to fill."""
        sent = itertools.count()

        def endless() -> Iterator[bytes]:
            for _ in sent:
                yield b"x" * 65_536

        error = refused(sts, Fault(body=endless()))

        assert isinstance(error, Malformed)
        assert next(sent) < 1000, "it was read on and on"

    def test_an_endpoint_that_accepts_and_says_nothing_times_out(self, sts: FakeSts, monkeypatch: pytest.MonkeyPatch):
        """The minter's deadline is the last resort, not the first."""
        monkeypatch.setattr(aws_identity, "READ_TIMEOUT", 0.05)

        error = refused(sts, Fault(wait=600))

        assert (type(error), error.code) == (Unreachable, "ReadTimeout")

    def test_a_body_that_stops_in_the_middle_times_out(self, sts: FakeSts, monkeypatch: pytest.MonkeyPatch):
        """Headers alone are no answer."""
        monkeypatch.setattr(aws_identity, "READ_TIMEOUT", 0.05)

        def stalling() -> Iterator[bytes]:
            yield b"<GetSession"
            sts.stopping.wait(600)

        assert isinstance(refused(sts, Fault(body=stalling())), Unreachable)

    def test_a_port_where_nobody_listens_is_unreachable(self, aws_home: AwsHome):
        """The message says what to look at."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        spec = Session(endpoint_url=f"http://127.0.0.1:{port}")

        with pytest.raises(Unreachable, match="check the network") as failed:
            aws_sts.ask(aws_identity.opened(None), spec, IDENTITY, "get_session_token", "get a session")

        assert failed.value.code == "ConnectionFailed"

    def test_a_wrong_region_is_final(self, sts: FakeSts):
        """What botocore itself refuses to build."""
        with pytest.raises(Denied, match="region"):
            asked(sts, region="-no-host-label-")

    @pytest.mark.parametrize(("ahead", "word"), [(900, "behind"), (-900, "ahead")])
    def test_a_clock_that_is_off_is_blamed(self, sts: FakeSts, ahead: int, word: str):
        """STS says SignatureDoesNotMatch, which sends people looking at their keys."""
        sts.now = sts.rules.now = lambda: time.time() + ahead + (5 if ahead > 0 else -5)

        with pytest.raises(IdentityMissing, match=f"15 min {word}") as failed:
            asked(sts)

        assert failed.value.code == "ClockSkewed"


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
