"""Keys of jobs that are over while upstream is away, the configuration changes, or the daemon ends."""

import asyncio

import pytest

from broker.errors import BrokerError, Denied, Throttled, Unreachable
from broker.events import KeysLeft, LeasesTakenOver
from broker.retiring import FIRST_SWEEP, LAST, PATIENCE, SWEEP
from broker.schedule import LONGEST_PATIENCE
from tests.jobs import JOB, OTHER, Scene, playing
from tests.made import a_book, a_lease, an_hmac
from tests.upstream import until


class TestTrouble:
    def test_an_upstream_that_is_away_is_asked_again_until_it_is_back(self):
        """As late as a minute later, each time."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.upstream.trouble = Unreachable("away")
            scene.over()
            await asyncio.sleep(600)
            assert 10 < len(scene.upstream.at) < 30
            scene.upstream.trouble = None
            await until(lambda: bool(scene.upstream.retired))
            return [isinstance(event, KeysLeft) and event.again_in is None for event in scene.play.noted(KeysLeft)]

        assert set(playing(main)) == {False}  # type: ignore[call-overload]  # a list of bools

    @pytest.mark.parametrize("trouble", [Unreachable("away"), Denied("no role"), Throttled("slow", retry_after=1e9)])
    def test_after_an_hour_it_is_told_and_left_to_the_age_of_the_key(self, trouble: BrokerError):
        """With the ids, so that somebody can delete them."""

        async def main(scene: Scene) -> tuple[object, float]:
            await scene.asks()
            scene.upstream.trouble = trouble
            scene.over()
            began = scene.play.clock.now()
            await asyncio.sleep(PATIENCE + 2 * LONGEST_PATIENCE)
            tries = [at for at in scene.upstream.at if at < began + PATIENCE + LONGEST_PATIENCE]
            return scene.play.noted(KeysLeft)[-1], tries[-1] - began

        last, ended = playing(main)

        assert last == KeysLeft("hmac", "trainer", JOB, ("key-1",), trouble.code, trouble.advice, None)
        assert PATIENCE <= ended <= PATIENCE + LONGEST_PATIENCE

    def test_a_refusal_is_not_asked_as_often(self):
        """A role that was taken away comes back by somebody's hand."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.upstream.trouble = Denied("no role")
            scene.over()
            await asyncio.sleep(3 * LONGEST_PATIENCE + 2)
            return len(scene.upstream.at)

        assert playing(main) == 4

    def test_a_credential_that_was_taken_out_of_the_configuration_is_told_at_once(self):
        """No minter could end its keys."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.book = a_book(an_hmac(service_account="other@my-project.iam.gserviceaccount.com"))
            scene.over()
            await asyncio.sleep(1)
            (left,) = scene.play.noted(KeysLeft)
            assert isinstance(left, KeysLeft)
            return scene.upstream.at, left.code, left.keys, left.again_in

        assert playing(main) == ([], "NotConfigured", ("key-1",), None)


class TestWhatIsLeftOver:
    def test_it_is_looked_for_soon_after_the_start_and_then_every_hour(self):
        """A broker before this one may have been killed."""

        async def main(scene: Scene) -> object:
            began = scene.play.clock.now()
            await asyncio.sleep(FIRST_SWEEP + 2 * SWEEP + 1)
            return [at - began for at in scene.upstream.looks], scene.upstream.at

        assert playing(main) == ([FIRST_SWEEP, FIRST_SWEEP + SWEEP, FIRST_SWEEP + 2 * SWEEP], [])

    def test_that_it_cannot_be_is_no_news(self):
        """The count of calls upstream tells it."""

        async def main(scene: Scene) -> object:
            scene.upstream.trouble = Unreachable("away")
            await asyncio.sleep(FIRST_SWEEP + 1)
            return len(scene.upstream.looks), scene.play.events

        assert playing(main) == (1, [])

    def test_keys_of_a_process_before_us_are_known_again(self):
        """Those whose jobs live on, and those whose jobs have ended meanwhile."""

        async def main(scene: Scene) -> object:
            for job in (JOB, OTHER):
                lease = a_lease(principal=f"kept-{job}")
                assert scene.play.rounds.take_over(scene.rendered(job), lease)
            scene.live = {OTHER}
            scene.retiring.listen(LeasesTakenOver(2, 0.1))
            scene.retiring.listen(LeasesTakenOver(2, 0.1))  # the disk was slow, and came in two parts
            await asyncio.sleep(1)
            before = list(scene.upstream.retired)
            scene.over(OTHER)
            await asyncio.sleep(1)
            return [keys for _, keys, _ in before], [keys for _, keys, _ in scene.upstream.retired]

        assert playing(main) == ([(f"kept-{JOB}",)], [(f"kept-{JOB}",), (f"kept-{OTHER}",)])


class TestClose:
    def test_where_all_jobs_end_with_it_all_keys_do(self):
        """The broker of one `exec`."""

        async def main(scene: Scene) -> object:
            await scene.asks(JOB)
            await scene.asks(OTHER)
            await scene.stop()
            await scene.retiring.close(all_over=True)
            return sorted(keys for _, keys, _ in scene.upstream.retired)

        assert playing(main) == [("key-1",), ("key-2",)]

    def test_else_jobs_go_on_with_the_next_process(self):
        """A daemon that is restarted ends nobody's job."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            await scene.stop()
            await scene.retiring.close(all_over=False)
            return scene.upstream.at, scene.play.noted(KeysLeft)

        assert playing(main) == ([], [])

    def test_one_that_is_away_for_a_moment_is_asked_again(self):
        """There is no other broker to do it."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.upstream.trouble = Unreachable("away")
            asyncio.get_running_loop().call_later(3, lambda: setattr(scene.upstream, "trouble", None))
            await scene.stop()
            await scene.retiring.close(all_over=True)
            return [keys for _, keys, _ in scene.upstream.retired]

        assert playing(main) == [("key-1",)]

    def test_one_that_stays_away_is_told_with_its_reason(self):
        """Somebody may want to delete them now."""

        async def main(scene: Scene) -> str:
            await scene.asks()
            scene.upstream.trouble = Denied("the cloud refuses")
            await scene.stop()
            began = scene.play.clock.now()
            await scene.retiring.close(all_over=True)
            assert scene.play.clock.now() - began < 1, "it will not change its mind"
            last = scene.play.noted(KeysLeft)[-1]
            assert isinstance(last, KeysLeft)
            assert (last.code, last.again_in) == ("Stopped", None)
            return last.advice

        assert playing(main).endswith("the last try: the cloud refuses")

    def test_an_upstream_that_does_not_answer_is_not_waited_for(self):
        """What is left is told."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.upstream.took = 1000.0
            began = scene.play.clock.now()
            await scene.stop()
            await scene.retiring.close(all_over=True)
            (left,) = scene.play.noted(KeysLeft)
            assert isinstance(left, KeysLeft)
            return scene.play.clock.now() - began, left.code, left.keys

        assert playing(main) == (LAST, "Stopped", ("key-1",))
