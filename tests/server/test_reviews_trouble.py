"""Reviews under a flood, and what is told when the API server does not help."""

import asyncio

import pytest

from broker.errors import BrokerError, IdentityMissing, Malformed, NotReady, Throttled, Unreachable
from broker.events import ReviewsFail, ReviewsWork
from broker.server import reviews
from broker.server.reviews import Examination
from tests.server.reviewing import Work, at_work


class TestFlood:
    def test_one_peer_has_few_reviews_at_once(self):
        """Others are not kept waiting by its tokens."""

        async def main(work: Work) -> None:
            work.takes = 0.01
            tokens = [work.token(jti=str(number)) for number in range(reviews.MOST_OF_ONE + 1)]
            for token in tokens[:-1]:
                assert isinstance(work.reviews.caller(token, "10.0.0.9"), Examination)
            with pytest.raises(NotReady):
                work.reviews.caller(tokens[-1], "10.0.0.9")
            began = work.clock.now()
            await work.known(work.token(), "10.0.0.1")
            assert work.clock.now() - began < 0.2
            assert isinstance(work.reviews.caller(tokens[-1], "10.0.0.9"), Examination)
            await asyncio.sleep(1)

        at_work(main)

    def test_many_peers_together_shut_nobody_out(self):
        """Beyond a queue in all each has one more: memory is bounded, and who comes with one is soon known."""

        async def main(work: Work) -> None:
            work.takes = 0.01
            for number in range(reviews.MOST_WAITING):
                work.reviews.caller(work.token(jti=str(number)), f"10.0.0.{number % 20}")
            with pytest.raises(NotReady):
                work.reviews.caller(work.token(), "10.0.0.1")
            began = work.clock.now()
            await work.known(work.token(), "10.0.9.9")
            assert work.clock.now() - began < 0.2
            await asyncio.sleep(5)
            await work.known(work.token(), "10.0.0.1")

        at_work(main)


class TestTold:
    def test_an_outage_is_told_once_and_its_end_once(self):
        """Not at each request."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = Unreachable("away", code="ConnectionFailed")
            for number in range(5):
                await work.known(work.token(jti=str(number)))
            await work.minute(30)
            work.error = None
            await work.minute(15)
            assert work.noted == [
                ReviewsFail("review", "ConnectionFailed", "away", by_keys=True),
                ReviewsFail("renewal", "ConnectionFailed", "away", by_keys=True),
                ReviewsWork(),
            ]

        at_work(main)

    def test_keys_that_are_not_had_do_not_stop_reviews(self):
        """A cluster may keep them to itself: then there is no bridge over an outage."""

        async def main(work: Work) -> None:
            work.renewal_error = IdentityMissing("forbidden", code="ReviewForbidden")
            await work.minute(30)
            await work.known(work.token())
            assert work.noted == [ReviewsFail("renewal", "ReviewForbidden", "forbidden", by_keys=False)]
            work.error = Unreachable("away")
            assert await work.refused(work.token(jti="2")) == "ReviewAway"

        at_work(main)

    @pytest.mark.parametrize("error", [IdentityMissing("no right"), Malformed("garbage")])
    def test_an_answer_that_does_not_help_is_no_outage(self, error: BrokerError):
        """Keys bridge silence. They do not overrule a server that answers."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = error
            assert await work.refused(work.token()) == "ReviewAway"
            assert [by_keys for _, by_keys in work.asked] == [False, False]
            assert [event.by_keys for event in work.noted if isinstance(event, ReviewsFail)] == [False]

        at_work(main)

    @pytest.mark.parametrize("error", [Unreachable("away"), Throttled("patience")])
    def test_silence_and_a_plea_for_patience_are(self, error: BrokerError):
        """Neither says anything about the token."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = error
            await work.known(work.token())

        at_work(main)
