"""While the API server is away, its keys judge: for ten minutes after its last good answer, and not a second longer."""

import asyncio

import pytest

from broker.config.shape import Cluster
from broker.errors import Unreachable
from broker.server import reviews
from tests.server.reviewing import TRAINER, Work, a_config, at_work

AWAY = Unreachable("away", code="ConnectionFailed")


class TestAway:
    def test_tokens_are_judged_by_the_keys(self):
        """Each anew: nobody has been told to trust it before."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = AWAY
            token = work.token()
            await work.known(token)
            assert work.asked[1:] == [(token, False), (token, True)]

        at_work(main)

    def test_nobody_waits_for_it_then(self):
        """It was asked once; from then on only the renewal looks for it."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = AWAY
            await work.known(work.token())
            for number in range(5):
                await work.known(work.token(jti=str(number)))
            assert [by_keys for _, by_keys in work.asked[3:]] == [True] * 5

        at_work(main)

    @pytest.mark.parametrize(("after", "outcome"), [(595, "known"), (602, "ReviewAway")])
    def test_ten_minutes_after_its_last_answer_nobody_is_known(self, after: int, outcome: str):
        """Pods were deleted meanwhile, and keys withdrawn."""

        async def main(work: Work) -> None:
            await work.minute(1)
            work.error = AWAY
            await work.minute(after - 1)
            assert await work.refused(work.token()) == outcome

        at_work(main)

    @pytest.mark.parametrize(("after", "outcome"), [(590, "known"), (602, "ReviewAway")])
    def test_a_server_that_gives_keys_and_no_reviews_is_away_all_the_same(self, after: int, outcome: str):
        """Its storage is gone, say: it serves the keys from memory, for ever, and knows no pods."""

        async def main(work: Work) -> None:
            await work.minute(1)
            work.review_error = AWAY
            await work.known(work.token())
            await work.minute(after)
            assert await work.refused(work.token(jti="2")) == outcome
            work.review_error = None
            await work.minute(11)
            await work.known(work.token(jti="3"))
            work.error = AWAY
            await work.minute(590)
            await work.known(work.token(jti="4"))

        at_work(main)

    def test_an_answer_to_a_review_counts_as_one(self):
        """Not the renewals alone say that it was there."""

        async def main(work: Work) -> None:
            await work.minute(250)
            await work.known(work.token())
            work.error = AWAY
            await work.minute(590)
            assert await work.refused(work.token(jti="2")) == "known"

        at_work(main)

    def test_a_verdict_by_keys_ends_with_them(self):
        """Its minute is cut short."""

        async def main(work: Work) -> None:
            await work.minute(1)
            work.error = AWAY
            await work.minute(589)
            token = work.token()
            assert await work.refused(token) == "known"
            await work.minute(13)
            assert await work.refused(token) == "ReviewAway"

        at_work(main)

    def test_a_verdict_of_the_api_server_is_believed_its_minute(self):
        """It was good when it was given."""

        async def main(work: Work) -> None:
            token = work.token()
            await work.known(token)
            work.error = AWAY
            await asyncio.sleep(59)
            await work.known(token)

        at_work(main)

    def test_without_keys_nobody_can_tell(self):
        """It went away before we had them: ask again, rather than be refused for good."""

        async def main(work: Work) -> None:
            work.error = AWAY
            assert await work.refused(work.token()) == "ReviewAway"
            asked = len(work.asked)
            assert await work.refused(work.token(jti="2")) == "ReviewAway"
            assert len(work.asked) == asked

        at_work(main)

    def test_a_refusal_by_keys_is_one(self):
        """An unknown key name is no reason to wait for the API server."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = AWAY
            assert await work.refused(work.cluster.signed(work.cluster.claims(work.pod, "credbroker"), kid="x")) == (
                "review-refused"
            )

        at_work(main)

    def test_it_is_found_again_within_seconds(self):
        """By a renewal, which asks on nobody's behalf."""

        async def main(work: Work) -> None:
            await work.minute(2)
            work.error = AWAY
            await work.known(work.token())
            await work.minute(300)
            work.error = None
            await work.minute(reviews.PROBE + 1)
            token = work.token(jti="2")
            await work.known(token)
            assert work.asked[-1] == (token, False)

        at_work(main)


class TestRenewal:
    def test_keys_are_had_at_once_and_renewed_in_time(self):
        """So that at the beginning of an outage at least five minutes of them are left."""

        async def main(work: Work) -> None:
            await work.minute(1)
            assert work.asked == [(None, False)]
            await work.minute(3600)
            assert 12 <= len(work.asked) <= 13

        at_work(main)

    def test_a_storm_of_unknown_keys_renews_nothing(self):
        """The API server is asked about each token, a few at a time, and never for its keys."""

        async def main(work: Work) -> None:
            await work.minute(2)
            for number in range(200):
                await work.refused(work.cluster.signed(work.cluster.claims(work.pod, "credbroker"), kid=f"x{number}"))
            assert [text for text, _ in work.asked].count(None) == 1

        at_work(main)

    def test_a_bug_in_a_renewal_ends_nothing(self):
        """The next one comes."""

        async def main(work: Work) -> None:
            work.error = ZeroDivisionError()
            await work.minute(5)
            work.error = None
            await work.minute(reviews.PROBE + 1)
            work.error = AWAY
            await work.known(work.token())

        at_work(main)


class TestAdopt:
    def test_another_configuration_reviews_anew_and_keeps_the_keys(self):
        """Its audiences may be others; the cluster is the same."""

        async def main(work: Work) -> None:
            await work.minute(2)
            token, before = work.token(), work.config
            await work.known(token)
            work.config = a_config(TRAINER)
            work.reviews.adopt(before)
            work.error = AWAY
            await work.known(token)
            assert work.asked[-1] == (token, True)

        at_work(main)

    def test_a_caller_that_is_gone_is_nobody_at_once(self):
        """Not after a minute."""

        async def main(work: Work) -> None:
            token, before = work.token(), work.config
            caller = await work.known(token)
            work.config = a_config()
            work.reviews.adopt(before)
            assert await work.refused(token) == "no-kubernetes-caller"
            assert caller.pod is not None
            assert work.reviews.of(caller.pod) == "pod-matches-nobody"

        at_work(main)

    def test_keys_of_another_cluster_are_forgotten(self):
        """They would let its pods in."""

        async def main(work: Work) -> None:
            await work.minute(2)
            before = work.config
            work.config = a_config(TRAINER, kubernetes=Cluster(api_server="https://10.9.9.9"))
            work.reviews.adopt(before)
            work.error = AWAY
            assert await work.refused(work.token()) == "ReviewAway"

        at_work(main)


class TestEndOf:
    def test_a_reviewed_tokens_end_is_its_own_word(self):
        """Which the review has confirmed; of others nothing is known."""

        async def main(work: Work) -> None:
            token = work.token()
            assert work.reviews.end_of(token) is None
            await work.known(token)
            assert work.reviews.end_of(token) == int(work.clock.wall()) + 3600
            other = work.cluster.signed(work.cluster.claims(work.pod, "credbroker"), kid="x")
            await work.refused(other)
            assert work.reviews.end_of(other) is None

        at_work(main)
