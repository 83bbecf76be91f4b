"""When to refresh and when to retry; the keeper's mutants hold the same arithmetic to the promises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.schedule import (
    LONGEST_PATIENCE,
    LONGEST_RETRY,
    SERVE_FLOOR,
    after_pause,
    refresh_at,
    retry_in,
    same_again_at,
)

jitters = st.floats(-1, 1)


class TestRefreshAt:
    @settings(deadline=None)
    @given(st.floats(0, 1e9), st.floats(SERVE_FLOOR, 43_200), jitters)
    def test_it_is_in_the_last_tenth_of_the_first_half_of_the_life(self, began: float, life: float, jitter: float):
        """So that leases minted together are not refreshed together."""
        at = refresh_at(began, began + life, jitter)

        assert 0.45 * life - 1e-3 <= at - began <= 0.5 * life + 1e-3

    @pytest.mark.parametrize("life", [900.0, 3600.0, 43_200.0])
    def test_an_outage_of_half_of_the_life_leaves_time_to_heal(self, life: float):
        """It begins when the refresh was just due, and a mint that hangs when it ends takes its 30 s."""
        over = refresh_at(0, life, 1.0) + life / 2 - SERVE_FLOOR
        hung = over + 30

        assert hung + retry_in(9, 1.0, left=life - SERVE_FLOOR - hung) < life - SERVE_FLOOR - 5

    def test_an_hour_keeps_25_minutes_through_a_retry(self):
        """By botocore every signing asks once less than 15 minutes are left."""
        latest = refresh_at(0, 3600, 1.0)

        assert 3600 - latest - LONGEST_RETRY >= 25 * 60

    def test_what_may_change_at_any_moment_is_asked_for_sooner(self):
        """Its lifetime says nothing of that."""
        assert refresh_at(0, 3600, 0.0, 300.0) == 300.0

    def test_and_never_later(self):
        """It still ends."""
        assert refresh_at(0, 400, 0.0, 300.0) == refresh_at(0, 400, 0.0)


class TestAfterPause:
    @given(jitters)
    def test_it_is_within_five_seconds(self, jitter: float):
        """Many machines may have been paused together."""
        assert 0 <= after_pause(jitter) <= 5


class TestSameAgainAt:
    @settings(deadline=None)
    @given(st.floats(SERVE_FLOOR, 43_200))
    def test_it_is_asked_for_while_it_is_served_and_never_in_haste(self, left: float):
        """Half of what is left, and whatever is served still has 30 s."""
        assert 15 <= same_again_at(100.0, 100.0 + left) - 100.0 <= left / 2 + 1e-6


class TestRetryIn:
    @settings(deadline=None)
    @given(st.integers(1, 10_000), jitters)
    def test_it_is_between_half_a_second_and_a_minute(self, failures: int, jitter: float):
        """However long upstream is away, it is back within a minute of its return."""
        assert 0.5 <= retry_in(failures, jitter) <= LONGEST_RETRY

    def test_it_doubles(self):
        """As it stands without jitter's luck."""
        assert [retry_in(failures, 1.0) for failures in range(1, 8)] == [1, 2, 4, 8, 16, 32, 60]

    @pytest.mark.parametrize(("left", "wait"), [(1000.0, 60), (240.0, 60), (100.0, 25), (4.0, 1), (0.5, 1)])
    def test_it_hurries_while_what_is_served_runs_out(self, left: float, wait: float):
        """An upstream that is back in the last minute is found in that minute."""
        assert retry_in(20, 1.0, left=left) == wait

    def test_a_wish_is_honoured_even_then(self):
        """It is upstream that is away."""
        assert retry_in(20, 1.0, asked=120.0, left=8.0) == 120.0

    def test_jitter_halves_it_at_most(self):
        """Downwards only: the cap is a cap."""
        assert [retry_in(3, jitter) for jitter in (-1.0, 0.0, 1.0)] == [2, 3, 4]

    @settings(deadline=None)
    @given(st.integers(1, 20), jitters, st.floats(0, 1e6))
    def test_it_never_comes_before_a_wish_within_reason(self, failures: int, jitter: float, asked: float):
        """Retry-After is the server's, patience is ours."""
        wait = retry_in(failures, jitter, asked)

        assert wait >= min(asked, LONGEST_PATIENCE)
        assert wait <= max(LONGEST_RETRY, min(asked, LONGEST_PATIENCE))

    @pytest.mark.parametrize("asked", [None, -5.0, 0.0])
    def test_no_wish_or_a_hasty_one_changes_nothing(self, asked: float | None):
        """Zero would be a hot loop."""
        assert retry_in(4, 0.3, asked) == retry_in(4, 0.3)
