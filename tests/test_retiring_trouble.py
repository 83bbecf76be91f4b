"""Keys of jobs that are over while upstream is away, or the configuration changes."""

import asyncio

import pytest

from broker.config.shape import CallerEntry
from broker.errors import BrokerError, Denied, Throttled, Unreachable
from broker.events import KeysLeft, LeasesTakenOver
from broker.minter.client import DEADLINE
from broker.plan import Book
from broker.retiring import FIRST_SWEEP, PATIENCE, SWEEP
from broker.schedule import LONGEST_PATIENCE
from tests.jobs import JOB, OTHER, Scene, playing
from tests.made import a_book, a_lease, an_adc, an_entry, an_hmac
from tests.upstream import until

OTHERS = "other@my-project.iam.gserviceaccount.com"


def entries(*names: str) -> list[CallerEntry]:
    """Callers of those names, each with the credential of the same."""
    return [an_entry(name, name) for name in names]


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


class TestOneAmongOthers:
    def test_an_upstream_that_hangs_holds_up_no_other(self):
        """Twenty jobs of a credential whose store does not answer have ended before one of another."""
        book = a_book(an_hmac("hanging"), an_hmac("other", service_account=OTHERS), *entries("hanging", "other"))

        async def main(scene: Scene) -> object:
            jobs = [f"job-{number}" for number in range(20)]
            scene.caller = "hanging"
            for job in jobs:
                scene.live.add(job)
                await scene.asks(job)
            scene.caller = "other"
            await scene.asks(OTHER)
            scene.upstream.hangs = "hanging"
            for job in jobs:
                scene.over(job)
            await asyncio.sleep(5)
            began = scene.play.clock.now()
            scene.over(OTHER)
            await until(lambda: bool(scene.upstream.retired))
            return scene.upstream.retired, scene.play.clock.now() - began < DEADLINE

        assert playing(main, book) == ([("other", ("key-21",), None)], True)

    def test_a_bug_ends_neither_the_loop_nor_the_close(self):
        """It is tried again, and told in words that quote nothing."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.upstream.trouble = RuntimeError("CANARY")
            scene.over()
            await asyncio.sleep(1)
            (left, *_) = scene.play.noted(KeysLeft)
            assert isinstance(left, KeysLeft)
            assert "RuntimeError" in left.advice
            assert "CANARY" not in left.advice
            await scene.stop()
            await scene.retiring.close(all_over=True)
            return scene.upstream.retired

        assert playing(main) == []


class TestAnotherConfiguration:
    @pytest.mark.parametrize(
        "book",
        [
            a_book(an_hmac("renamed")),
            a_book(an_hmac(ttl=900)),
            a_book(an_adc(), an_hmac(base="data"), an_entry("trainer", "hmac")),
            a_book(an_hmac(), an_entry("another", "hmac")),
        ],
        ids=["renamed", "another ttl", "another identity", "another caller"],
    )
    def test_whatever_has_the_account_now_ends_its_keys(self, book: Book):
        """Nothing of that is a reason to leave one for days."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.book = book
            scene.over()
            await asyncio.sleep(5)
            return [keys for _, keys, _ in scene.upstream.retired], scene.play.noted(KeysLeft)

        assert playing(main) == ([("key-1",)], [])

    def test_but_nothing_that_has_another(self):
        """It could not, and would say that it has."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            scene.book = a_book(an_adc("hmac"), an_hmac("other", service_account=OTHERS))
            scene.over()
            await asyncio.sleep(5)
            (left,) = scene.play.noted(KeysLeft)
            return scene.upstream.at, getattr(left, "code", None)

        assert playing(main) == ([], "NotConfigured")
