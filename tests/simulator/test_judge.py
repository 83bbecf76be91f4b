"""The judge lets nothing pass that is wrong, and blames nobody for what is right."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from broker.model import Given, Lease
from tests.leaping import EPOCH, START, leap
from tests.made import a_rendered, keys
from tests.simulator.cloud import FAIR, Birth, Cloud, Weather
from tests.simulator.judge import Breach, Judge
from tests.simulator.node import Answer
from tests.simulator.world import World

RENDERED = a_rendered()


def judged(answer: Callable[[Lease], Answer], *, must: bool = False, later: float = 0.0) -> Judge:
    """What the judge says of an answer made from a good lease, so much later."""
    world = World()
    cloud = Cloud(world, {"train": 3600.0})
    judge = Judge(world, cloud)

    async def main(_: object) -> None:
        minted = await cloud.mint(RENDERED, Given())
        world.pass_time(later)
        ends = START + 3600
        lease = Lease(minted.value, 1, world.wall(), minted.expires_at, START, ends)
        judge.judge(RENDERED, answer(lease), must=must)

    leap(main, world)
    return judge


class TestLeases:
    def test_a_good_one_passes(self):
        """And is counted, with the life that it had."""
        judge = judged(Answer, later=600)

        assert (judge.served, judge.refused) == (1, 0)
        assert judge.least == pytest.approx(3000, abs=1)

    @pytest.mark.parametrize(
        ("changes", "blame"),
        [
            ({"value": keys("made up")}, "never minted"),
            ({"expires_at": EPOCH + 7200}, "another expiry"),
        ],
    )
    def test_one_that_upstream_did_not_give_so_does_not(self, changes: dict[str, object], blame: str):
        """Not even in part."""
        with pytest.raises(Breach, match=blame):
            judged(lambda lease: Answer(msgspec.structs.replace(lease, **changes)))

    def test_a_mixed_one_does_not(self):
        """The name of one with the secret of another."""

        def mixed(lease: Lease) -> Answer:
            value = msgspec.structs.replace(keys("other"), access_key_id=lease.value.access_key_id)  # type: ignore[union-attr]  # keys
            return Answer(msgspec.structs.replace(lease, value=value))

        with pytest.raises(Breach, match="never minted"):
            judged(mixed)

    @pytest.mark.parametrize("later", [3575, 3601, 7200])
    def test_one_that_is_over_does_not(self, later: float):
        """Nor in its last half minute."""
        with pytest.raises(Breach, match="s to live"):
            judged(Answer, later=later)

    def test_one_of_somebody_else_does_not(self):
        """However good."""
        world = World()
        cloud = Cloud(world, {"train": 3600.0})
        other = a_rendered().facts

        async def main(_: object) -> None:
            minted = await cloud.mint(RENDERED, Given())
            lease = Lease(minted.value, 1, EPOCH, minted.expires_at, START, START + 3600)
            stranger = msgspec.structs.replace(RENDERED, key=b"another", facts=other)
            Judge(world, cloud).judge(stranger, Answer(lease), must=False)

        with pytest.raises(Breach, match="somebody else"):
            leap(main, world)


class TestRefusals:
    def test_one_passes_while_nothing_is_held(self):
        """It is counted."""
        assert judged(lambda _: Answer(None, status=503)).refused == 1

    def test_one_with_a_good_lease_at_hand_does_not(self):
        """That is the promise."""
        with pytest.raises(Breach, match="refused"):
            judged(lambda _: Answer(None, status=503), must=True)

    def test_who_waits_over_a_second_is_a_breach(self):
        """SDKs give up."""
        with pytest.raises(Breach, match="waited"):
            judged(lambda lease: Answer(lease, waited=1.1))


class TestMustBeServed:
    def told(self, act: Callable[[World, Cloud, Judge], Awaitable[None]]) -> bool:
        world = World()
        cloud = Cloud(world, {"train": 3600.0})
        judge = Judge(world, cloud)

        async def main(_: object) -> bool:
            await cloud.mint(RENDERED, Given())
            await act(world, cloud, judge)
            return judge.must_be_served(RENDERED)

        return leap(main, world)

    @pytest.mark.parametrize(("later", "must"), [(0, True), (3560, True), (3575, False)])
    def test_while_a_lease_is_good(self, later: float, must: bool):
        """And no longer."""

        async def act(world: World, _: Cloud, __: Judge) -> None:
            world.pass_time(later)

        assert self.told(act) == must

    def test_not_after_a_restart_nor_a_step_forward(self):
        """Nobody could."""

        async def restarted(world: World, _: Cloud, judge: Judge) -> None:
            world.pass_time(1)
            judge.reborn()

        async def stepped(world: World, _: Cloud, judge: Judge) -> None:
            world.pass_time(1)
            judge.upset = world.truth()

        assert (self.told(restarted), self.told(stepped)) == (False, False)

    @pytest.mark.parametrize(("denials", "apart", "must"), [(1, 0, True), (2, 10, True), (2, 30, False)])
    def test_not_after_two_denials(self, denials: int, apart: float, must: bool):
        """Half a minute apart; one is none."""

        async def act(world: World, cloud: Cloud, _: Judge) -> None:
            cloud.weather["aws"] = Weather("denied")
            for _denial in range(denials):
                world.pass_time(apart)
                with pytest.raises(Exception, match="not allowed"):
                    await cloud.mint(RENDERED, Given())

        assert self.told(act) == must


class TestCalls:
    def test_more_than_the_budget_is_a_breach(self):
        """Twenty at once, and then ten a second."""
        world = World()
        cloud = Cloud(world, {"train": 3600.0})
        judge = Judge(world, cloud)

        async def main(_: object) -> None:
            for _ in range(21):
                cloud.weather["aws"] = msgspec.structs.replace(FAIR, latency=0.001)
                await cloud.mint(RENDERED, Given())
            judge.judge_calls()

        with pytest.raises(Breach, match="budget"):
            leap(main, world)

    def test_what_upstream_minted_is_remembered_whole(self):
        """By its public part."""
        world = World()
        cloud = Cloud(world, {"train": 3600.0})

        async def main(_: object) -> Birth | None:
            return cloud.of((await cloud.mint(RENDERED, Given())).value)

        birth = leap(main, world)
        assert birth is not None
        assert birth.key == RENDERED.key
        assert birth.ends - birth.asked == pytest.approx(3600.1)
        assert cloud.of(keys("nobody's")) is None
