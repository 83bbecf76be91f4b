"""Keys made for one job: who has them, and that they end with it."""

import asyncio

from broker.errors import BrokerError, NotReady, Unreachable
from broker.events import Event, KeysRetired, MintFailed
from broker.model import Caller, Kind, Pod, Want
from broker.policy import Allowed, decide
from tests.jobs import JOB, OTHER, Scene, playing, rendered
from tests.made import a_book, a_caller, an_adc, an_entry, an_hmac


class TestAKeyOfItsOwn:
    def test_each_job_has_one_and_keeps_it(self):
        """Its processes read it once, at their start."""

        async def main(scene: Scene) -> list[str | None]:
            leases = [await scene.asks(job) for job in (JOB, OTHER, JOB)]
            await asyncio.sleep(1790)  # of half an hour... nothing is renewed
            return [lease.facts.principal for lease in (*leases, await scene.asks(JOB))]

        assert playing(main) == ["key-1", "key-2", "key-1", "key-1"]

    def test_who_is_no_job_shares_one_by_uid(self):
        """Nobody tells the kernel's uid 1000 of this morning from that of the afternoon."""
        book = a_book(an_hmac())

        assert rendered(book, a_caller()).job is None
        assert rendered(book, a_caller(uid=1)).key == rendered(book, a_caller(uid=2)).key

    def test_a_pod_is_a_job(self):
        """By its own uid, whichever token it shows."""
        pod = Pod(namespace="ml", service_account="train", uid="6f2c")
        caller = Caller(matches=a_caller().matches, how="kubernetes", pod=pod)

        assert rendered(a_book(an_hmac()), caller).job == "pod-6f2c"

    def test_no_other_credential_knows_of_jobs(self):
        """One lease serves all."""
        book = a_book(an_adc())
        one, two = (decide(book, a_caller(token_id=job), Want(Kind.GOOGLE)) for job in (JOB, OTHER))

        assert isinstance(one, Allowed)
        assert isinstance(two, Allowed)
        assert one.rendered.key == two.rendered.key
        assert one.rendered.job is None


class TestTheJobsEnd:
    def test_its_key_is_ended_and_no_other(self):
        """And it is told."""

        async def main(scene: Scene) -> tuple[list[object], object]:
            await scene.asks(JOB)
            await scene.asks(OTHER)
            scene.over(JOB)
            await asyncio.sleep(1)
            return [one.job for one in (keeper.rendered for keeper in scene.play.rounds.keepers)], (
                scene.upstream.retired,
                scene.play.noted(KeysRetired),
            )

        assert playing(main) == (
            [OTHER],
            ([("hmac", ("key-1",), None)], [KeysRetired("hmac", "trainer", JOB, ("key-1",))]),
        )

    def test_all_that_a_long_one_had_is_ended(self):
        """It asked again after its first was over."""

        async def main(scene: Scene) -> object:
            await scene.asks()
            await asyncio.sleep(3600)
            await scene.asks()
            scene.over()
            await asyncio.sleep(1)
            return scene.upstream.retired

        assert playing(main) == [("hmac", ("key-1", "key-2"), None)]

    def test_a_mint_that_lands_after_it_is_ended_at_once(self):
        """The job was killed while its first key was made."""

        async def main(scene: Scene) -> object:
            scene.play.rounds.ask(scene.play.rounds.keeper(scene.rendered()))
            await asyncio.sleep(0.1)
            scene.over()
            await asyncio.sleep(5)
            return scene.upstream.retired, scene.play.rounds.keepers

        assert playing(main) == ([("hmac", ("key-1",), None)], ())

    def test_a_mint_that_waits_for_its_turn_until_then_is_none(self):
        """Behind its base, as here, or for a slot: a key would be made for nobody, of the ten that there may be."""
        book = a_book(an_adc(), an_hmac(base="data"), an_entry("trainer", "hmac"))

        async def main(scene: Scene) -> tuple[list[str], list[float], BrokerError | None, list[Event]]:
            flight = scene.play.rounds.ask(scene.play.rounds.keeper(scene.rendered()))
            scene.over()
            await flight.over()
            await asyncio.sleep(5)
            return scene.play.upstream.labels, scene.upstream.at, flight.error, scene.play.noted(MintFailed)

        labels, ended, error, failed = playing(main, book)

        assert (labels, ended, failed) == (["data"], [], [])
        assert isinstance(error, NotReady)

    def test_a_token_that_had_none_costs_no_call(self):
        """Most jobs use other credentials."""

        async def main(scene: Scene) -> object:
            scene.play.rounds.keeper(scene.rendered())  # `whoami` looked, and nothing was minted
            scene.over()
            await asyncio.sleep(5)
            return scene.upstream.at, scene.play.rounds.keepers

        assert playing(main) == ([], ())

    def test_what_it_chains_from_is_minted_for_it_where_it_is_over(self):
        """The base may have been let go of long ago."""
        book = a_book(an_adc(), an_hmac(base="data"), an_entry("trainer", "hmac"))

        async def main(scene: Scene) -> object:
            await scene.asks()
            held = scene.play.rounds.keeper(scene.rendered().base or scene.rendered())
            held.lease = None
            scene.over()
            await asyncio.sleep(5)
            return [(keys, base is not None) for _, keys, base in scene.upstream.retired]

        assert playing(main, book) == [(("key-2",), True)]  # the first was the base's own number

    def test_a_base_that_cannot_be_had_is_waited_for(self):
        """Nothing is forgotten for that."""
        book = a_book(an_adc(), an_hmac(base="data"), an_entry("trainer", "hmac"))

        async def main(scene: Scene) -> object:
            await scene.asks()
            held = scene.play.rounds.keeper(scene.rendered().base or scene.rendered())
            held.lease = None
            scene.play.upstream.trouble = lambda _: Unreachable("away")
            scene.over()
            await asyncio.sleep(120)
            before, scene.play.upstream.trouble = list(scene.upstream.retired), lambda _: None
            await asyncio.sleep(120)
            return before, [keys for _, keys, _ in scene.upstream.retired]

        assert playing(main, book) == ([], [("key-2",)])
