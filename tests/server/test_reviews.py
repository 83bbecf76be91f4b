"""Tokens of pods under review: once for all who show them, and remembered for a while."""

import asyncio

import pytest

from broker.config.shape import CallerEntry, Rule
from broker.errors import Malformed, Refused
from broker.model import Caller
from tests.jwts import forgeries
from tests.server.reviewing import Work, a_config, at_work


class TestCaller:
    def test_a_reviewed_pod_is_its_caller(self):
        """By no uid, and as no token."""

        async def main(work: Work) -> None:
            caller = await work.known(work.token())

            assert (caller.name, caller.how, caller.uid, caller.token_id) == ("trainer", "kubernetes", None, None)
            assert caller.pod is not None
            assert caller.pod.uid == work.pod.uid

        at_work(main)

    def test_a_verdict_holds_for_a_minute(self):
        """A deleted pod is nobody after that."""

        async def main(work: Work) -> None:
            token = work.token()
            await work.known(token)
            work.cluster.delete(work.pod)
            await asyncio.sleep(59)
            await work.known(token)
            assert len(work.asked) == 1
            await asyncio.sleep(1)
            assert await work.refused(token) == "review-refused"

        at_work(main)

    def test_a_pod_that_goes_on_asking_waits_but_once(self):
        """It is reviewed anew while the verdict still holds, however slow the API server is."""

        async def main(work: Work) -> None:
            token = work.token()
            await work.known(token)
            work.takes = 2.0
            for _ in range(300):
                await asyncio.sleep(1)
                assert isinstance(work.reviews.caller(token, "10.0.0.1"), Caller)
            assert len(work.asked) == 1 + 300 // 42

        at_work(main)

    def test_and_is_nobody_at_once_where_that_says_so(self):
        """No need to wait for the end of the minute."""

        async def main(work: Work) -> None:
            token = work.token()
            await work.known(token)
            work.cluster.delete(work.pod)
            await asyncio.sleep(41)
            await work.known(token)
            await asyncio.sleep(1)
            assert await work.refused(token) == "review-refused"

        at_work(main)

    def test_a_review_ahead_that_fails_takes_nothing_away(self):
        """The verdict holds to its end, and not beyond; it is tried again now and then, not at each request."""

        async def main(work: Work) -> None:
            token = work.token()
            await work.known(token)
            work.error = Malformed("nonsense")
            for _ in range(590):
                await asyncio.sleep(0.1)
                assert isinstance(work.reviews.caller(token, "10.0.0.1"), Caller)
            assert len(work.asked) < 12
            await asyncio.sleep(1)
            assert await work.refused(token) == "ReviewAway"

        at_work(main)

    def test_a_verdict_ends_with_its_token(self):
        """However fresh the review."""

        async def main(work: Work) -> None:
            token = work.token(exp=int(work.clock.wall()) + 10)
            await work.known(token)
            work.cluster.delete(work.pod)
            await asyncio.sleep(10)
            assert await work.refused(token) == "review-refused"

        at_work(main)

    def test_a_clock_that_is_ahead_does_not_make_it_ask_for_ever(self):
        """The API server says that the token is good; here it seems to have ended."""

        async def main(work: Work) -> None:
            token = work.token()
            work.clock.step(86_400)
            work.cluster.clock = lambda: work.clock.wall() - 86_400
            await work.known(token)

        at_work(main)

    def test_a_refusal_holds_for_a_moment(self):
        """Whoever repeats himself asks nobody; a pod that was slow to appear is soon known."""

        async def main(work: Work) -> None:
            token = work.token()
            del work.cluster.pods["ml", "worker-0"]
            for _ in range(5):
                assert await work.refused(token) == "review-refused"
            assert len(work.asked) == 1
            work.cluster.pods["ml", "worker-0"] = work.pod
            await asyncio.sleep(10)
            await work.known(token)

        at_work(main)

    def test_one_review_is_shared_by_all_who_show_the_token(self):
        """However many connections a pod has."""

        async def main(work: Work) -> None:
            work.takes, token = 0.5, work.token()
            await asyncio.gather(*(work.known(token) for _ in range(50)))
            assert len(work.asked) == 1

        at_work(main)

    @pytest.mark.parametrize("name", ["alg none", "wrong audience", "no pod", "garbage", "HS256 with the public key"])
    def test_what_can_never_be_good_is_refused_at_once(self, name: str):
        """Nobody is asked."""

        async def main(work: Work) -> None:
            with pytest.raises(Refused):
                work.reviews.caller(forgeries(work.cluster, work.pod)[name], "10.0.0.1")
            assert work.asked == []

        at_work(main)

    def test_a_good_token_of_no_caller_is_refused(self):
        """As is one of another node."""

        async def main(work: Work) -> None:
            assert await work.refused(work.token(work.cluster.run("web", "trainer", "w-0"))) == "pod-matches-nobody"
            elsewhere = work.cluster.run("ml", "trainer", "w-1", node="node-b")
            assert await work.refused(work.token(elsewhere)) == "pod-of-another-node"

        at_work(main)

    def test_where_no_caller_is_a_pod_nobody_is_asked(self):
        """A token is refused like any other nonsense."""

        async def main(work: Work) -> None:
            work.config = a_config(CallerEntry(name="a", rules=(Rule(uid=5),)))
            assert await work.refused(work.token()) == "no-kubernetes-caller"
            await work.minute()
            assert work.asked == []

        at_work(main)

    def test_a_bug_in_a_review_ends_one_review(self):
        """And not the reviewer."""

        async def main(work: Work) -> None:
            work.error = ZeroDivisionError()
            assert await work.refused(work.token()) == "ReviewAway"
            work.error = None
            await work.known(work.token(work.cluster.run("ml", "trainer", "w-1")))

        at_work(main)
