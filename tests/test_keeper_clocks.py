"""What the keeper makes of clocks that disagree, and of nobody asking."""

import pytest

from broker.errors import Throttled
from broker.events import OlderLease
from broker.keeper import NEVER, Keeper
from tests.keepers import HOUR, a_keeper, failed, minted
from tests.leaping import EPOCH, START
from tests.made import a_minted, keys


class TestDoubted:
    """Of an hour's lease, looked at after ten minutes by the boot clock."""

    NOW = START + 600

    def looked_at(self, *steps: float) -> Keeper:
        """After the wall clock was set by these, one after the other."""
        warm, stepped = a_keeper(), 0.0
        minted(warm)
        for step in (0.0, *steps):
            stepped += step
            warm.cross_check(self.NOW, EPOCH + 600 + stepped)
        return warm

    @pytest.mark.parametrize(
        ("steps", "doubted"),
        [
            ((), False),
            ((2969.0,), False),
            ((2970.0,), True),
            ((86_400.0,), True),
            ((-3600.0,), False),
            ((86_400.0, -86_400.0), False),
            ((-3600.0, 2969.0), False),
            ((-3600.0, 2970.0), True),
            ((2970.0, -30.0), True),
            ((2970.0, -3600.0), True),
            ((2940.0, -30.0, 30.0), True),
            ((0.5, -0.5, 0.5, -0.5, 0.5), False),
        ],
    )
    def test_it_is_where_the_wall_clock_has_run_past_its_end(self, steps: tuple[float, ...], doubted: bool):
        """A pause looks like a step forward, and a step back hides none that comes after it."""
        keeper = self.looked_at(*steps)

        assert keeper.doubted == doubted
        assert (keeper.held(self.NOW) is None) == doubted

    def test_a_new_lease_is_not(self):
        """It was minted by the clock as it stands."""
        keeper = self.looked_at(86_400.0)

        minted(keeper, self.NOW, text="2")

        assert keeper.held(self.NOW) is not None

    @pytest.mark.parametrize(("ahead", "doubted", "due"), [(0.0, False, 1690), (600.0, False, 1090), (7200.0, True, 3)])
    def test_a_pause_in_the_middle_of_a_mint_counts(self, ahead: float, doubted: bool, due: float):
        """Upstream may have answered just before it."""
        keeper = a_keeper()
        keeper.begin()

        keeper.minted(a_minted(), START, START + 2, EPOCH + 2 + ahead, ahead)

        assert (keeper.doubted, keeper.due) == (doubted, START + due)

    def test_a_lease_minted_after_a_pause_is_another_one(self):
        """The boot clock has hardly moved since the last, and calls their ends the same."""
        keeper = a_keeper()
        minted(keeper, text="before")
        keeper.begin()

        keeper.minted(a_minted(keys("after")), START + 0.5, START + 0.7, EPOCH + 1000.7)

        assert keeper.lease is not None
        assert keeper.lease.value == keys("after")

    def test_a_session_handed_on_again_after_a_pause_is_the_same(self):
        """It ends when it ended, and is asked for at half of what is truly left."""
        keeper = a_keeper()
        minted(keeper)
        keeper.begin()

        events = keeper.minted(a_minted(lifetime=2600.0), START, START, EPOCH + 1000)

        assert events == (OlderLease("train", 0.0),)
        assert keeper.due == START + 1300

    def test_nothing_to_doubt_is_nothing_wrong(self):
        """A cold one."""
        cold = a_keeper()

        cold.cross_check(START, EPOCH)
        cold.resumed(START, EPOCH, 100.0)

        assert (cold.doubted, cold.due) == (False, START)


class TestResumed:
    @pytest.mark.parametrize(
        ("at", "ahead", "due"), [(0, 600.0, 1090), (0, 1690.0, 2.5), (0, 3590.0, 0), (3580, 0.0, 3580)]
    )
    def test_what_may_have_aged_is_due_sooner(self, at: float, ahead: float, due: float):
        """Within 5 s where it is still served, at once where it is not."""
        warm = a_keeper()
        minted(warm)

        warm.resumed(START + at, EPOCH + at + ahead, ahead)

        assert warm.due == START + due

    def test_a_mint_in_flight_and_a_retry_are_left_alone(self):
        """Both come soon as it is."""
        warm = a_keeper()
        minted(warm)
        failed(warm, Throttled("patience", retry_after=100.0), START + 1800)
        warm.resumed(START + 1800, EPOCH + 1800, 1000.0)
        resting = warm.due
        warm.begin()
        warm.resumed(START + 1900, EPOCH + 1900, 1000.0)

        assert (resting, warm.due) == (START + 1900, NEVER)


class TestIdle:
    @pytest.mark.parametrize(
        ("lifetime", "after", "idle"), [(900.0, 1801, True), (900.0, 1799, False), (HOUR, 1801, False)]
    )
    def test_it_is_after_two_of_its_lifetimes(self, lifetime: float, after: float, idle: bool):
        """Of not being asked for."""
        warm = a_keeper()
        minted(warm, lifetime=lifetime)

        assert warm.idle(START + after) == idle

    def test_one_that_was_never_minted_is_after_two_hours(self):
        """A user whose role is denied, and who has gone home."""
        cold = a_keeper()

        assert (cold.idle(START + 7199), cold.idle(START + 7201)) == (False, True)

    def test_one_that_is_kept_or_in_flight_never_is(self):
        """Nor one that has just been asked for."""
        kept, aloft, asked = a_keeper(), a_keeper(), a_keeper()
        kept.kept = True
        aloft.begin()
        asked.asked = START + 7000

        assert not any(keeper.idle(START + 7201) for keeper in (kept, aloft, asked))
