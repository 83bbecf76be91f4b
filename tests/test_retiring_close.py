"""Keys of jobs at the end of a daemon, or of the broker of one `exec`."""

import asyncio

import pytest

from broker.errors import Denied, Unreachable
from broker.events import KeysLeft
from broker.retiring import LAST
from tests.jobs import JOB, OTHER, Scene, playing


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

    def test_what_was_only_being_made_is_ended_too(self):
        """Else `exec` that was interrupted at its start would leave a key for days."""

        async def main(scene: Scene) -> object:
            scene.play.rounds.ask(scene.play.rounds.keeper(scene.rendered()))
            await asyncio.sleep(0.1)
            scene.over()
            await scene.stop()
            await scene.retiring.close(all_over=True)
            return [keys for _, keys, _ in scene.upstream.retired]

        assert playing(main) == [("key-1",)]

    def test_nor_is_it_lost_where_its_job_goes_on(self):
        """The next process takes over what this one holds at its end."""

        async def main(scene: Scene) -> object:
            keeper = scene.play.rounds.keeper(scene.rendered())
            scene.play.rounds.ask(keeper)
            await asyncio.sleep(0.1)
            await scene.stop()
            await scene.retiring.close(all_over=False)
            await asyncio.sleep(0)
            return keeper.lease is not None, scene.upstream.at

        assert playing(main) == (True, [])

    def test_a_mint_that_hangs_does_not_hold_it_up(self):
        """Longer than anything else may, and what is known is ended meanwhile."""

        async def main(scene: Scene) -> object:
            await scene.asks(OTHER)
            scene.play.upstream.took = 1000.0
            scene.play.rounds.ask(scene.play.rounds.keeper(scene.rendered()))
            began = scene.play.clock.now()
            await asyncio.sleep(0.1)
            await scene.stop()
            await scene.retiring.close(all_over=True)
            return scene.play.clock.now() - began, [keys for _, keys, _ in scene.upstream.retired]

        assert playing(main) == (pytest.approx(LAST + 0.1), [("key-1",)])
