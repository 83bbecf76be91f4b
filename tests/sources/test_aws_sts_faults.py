"""Everything that can go wrong between a question to STS and its answer."""

import itertools
import socket
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from broker.errors import Denied, IdentityMissing, Malformed, MintError, Throttled, Unreachable
from broker.model import Facts
from broker.sources import aws_identity, aws_sts
from broker.sources.aws_specs import Session
from tests.fakes.sts import FakeSts, Fault, fault
from tests.sources.aws_world import IDENTITY, AwsHome, asked


def refused(sts: FakeSts, reply: Fault) -> MintError:
    """How a call fails that gets this reply."""
    sts.script = lambda _: reply
    with pytest.raises(MintError) as failed:
        asked(sts)
    assert "UPSTREAM" not in failed.value.advice
    assert sts.count("GetSessionToken") == 1, "the broker owns retries"
    return failed.value


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
        assert "without end" in error.advice
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
