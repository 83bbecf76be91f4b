"""The keeper of one lease, by example and by its promises; `test_keeper_mutants` shows that the promises bite."""

import pytest

from broker import keeper
from broker.errors import Denied, Throttled, Unreachable
from broker.events import LeaseEvicted, LeaseMinted, MintFailed, OlderLease
from broker.keeper import NEVER, Keeper
from broker.model import Facts
from tests.keeper_machine import run_machine
from tests.keepers import HOUR, a_keeper, failed, minted
from tests.leaping import EPOCH, START
from tests.made import a_minted, a_rendered, a_role, keys


class TestPromises:
    def test_they_hold_whatever_happens(self):
        """Thousands of days, each another mixture of mints, failures, denials, pauses and suspends."""
        run_machine(keeper, examples=200)


class TestHeld:
    def test_nothing_is_held_at_first(self):
        """And a mint is due at once."""
        cold = a_keeper()

        assert cold.held(START) is None
        assert (cold.due, cold.resting(START)) == (START, False)

    def test_a_lease_is_what_upstream_said_and_nothing_else(self):
        """Value, expiry and facts of one mint."""
        warm = a_keeper()
        warm.begin()

        events = warm.minted(a_minted(keys("7"), HOUR, facts=Facts(arn="arn"), skew=2.0), START, START + 1, EPOCH + 1)

        lease = warm.held(START + 2)
        assert lease is not None
        assert (lease.value, lease.facts.arn, lease.serial) == (keys("7"), "arn", 1)
        assert (lease.issued_at, lease.expires_at) == (EPOCH + 1, EPOCH + HOUR)
        assert events == (LeaseMinted("train", 1, EPOCH + HOUR, 1.0, Facts(arn="arn"), 2.0),)

    @pytest.mark.parametrize(("left", "served"), [(30.1, True), (30.0, False), (0.0, False), (-1.0, False)])
    def test_it_is_handed_out_until_its_last_30_seconds(self, left: float, served: bool):
        """Who gets it needs the time to use it."""
        warm = a_keeper()
        minted(warm)

        assert (warm.held(START + HOUR - left) is not None) == served

    def test_a_suspend_in_the_middle_of_a_mint_counts(self):
        """The answer may have been written before the machine slept: it has less life than it seems."""
        sleepy = a_keeper()

        minted(sleepy, took=1800.0)

        assert sleepy.held(START + HOUR - 31) is not None
        assert sleepy.held(START + HOUR - 29) is None

    def test_a_lapsed_lease_is_still_shown(self):
        """`status` says when it ended."""
        warm = a_keeper()
        minted(warm)

        assert warm.held(START + 2 * HOUR) is None
        assert warm.lease is not None


class TestDue:
    @pytest.mark.parametrize(("jitter", "minutes"), [(-1.0, 27), (1.0, 29 + 1 / 3)])
    def test_a_refresh_is_due_shortly_before_half_way(self, jitter: float, minutes: float):
        """So a lease of an hour is never handed out with less than 25 minutes while upstream answers."""
        warm = a_keeper(jitter)
        minted(warm)

        assert warm.due == pytest.approx(START + 60 * minutes)

    def test_nothing_is_due_while_a_mint_is_in_flight(self):
        """Due twice would be two mints."""
        busy = a_keeper()
        busy.begin()

        assert (busy.in_flight, busy.due) == (True, NEVER)
        with pytest.raises(RuntimeError):
            busy.begin()

    def test_the_session_that_is_held_already_is_asked_for_again_ever_sooner(self):
        """Its owner renews it when he likes: at half of what is left, and half of that."""
        handed = a_keeper()
        minted(handed)
        now = START + 1800

        events = minted(handed, now, lifetime=1800.0)

        assert events == (OlderLease("train", 0.0),)
        assert handed.due == now + 900
        assert handed.lease is not None
        assert handed.lease.serial == 1

    def test_a_slow_answer_does_not_make_it_another_session(self):
        """The first mint loads an SDK and takes seconds: its end is known that much less well."""
        handed = a_keeper()
        minted(handed, took=3.0)  # answered at its end: the session truly ends 3 s after what can be counted on

        events = minted(handed, START + 1803, lifetime=1800.0)

        assert events == (OlderLease("train", 0.0),)

    def test_a_new_lease_that_ends_sooner_does_not_replace_the_held_one(self):
        """Whoever took the held one would be no worse off keeping it."""
        warm = a_keeper()
        minted(warm, text="long")

        minted(warm, START + 60, text="short", lifetime=900.0)

        held = warm.held(START + 60)
        assert held is not None
        assert held.value == keys("long")

    def test_a_refresh_by_hand_replaces_it_at_once(self):
        """A second later is later."""
        warm = a_keeper()
        minted(warm)

        assert isinstance(minted(warm, START + 2, text="2")[0], LeaseMinted)

    def test_what_somebody_may_change_is_asked_for_anew_long_before(self):
        """As a file that is read; each time it is a whole lease again."""
        reader = a_keeper()
        reader.begin()
        reader.minted(a_minted(keys("1"), HOUR, again=300.0), START, START, EPOCH)
        assert reader.due == START + 300

        minted(reader, at=START + 300, text="2")

        assert reader.lease is not None
        assert (reader.lease.value, reader.lease.ends) == (keys("2"), START + 300 + HOUR)

    def test_what_has_changed_at_once_counts_at_once(self):
        """Its end is of our own making, and tells nothing of whether it is the same."""
        reader = a_keeper()
        for text in ("1", "2"):
            reader.begin()
            reader.minted(a_minted(keys(text), HOUR, again=300.0), START, START, EPOCH)

        assert reader.lease is not None
        assert (reader.lease.value, reader.lease.serial) == (keys("2"), 2)


class TestAdopt:
    def test_what_travels_with_the_lease_is_the_new_generations(self):
        """The lease itself stays warm."""
        warm = Keeper(a_rendered(a_role(env=(("S3_CANNED_ACL", "private"),))), START, lambda: 0.0)
        minted(warm)
        assert warm.lease is not None
        assert warm.lease.settings == (("S3_CANNED_ACL", "private"),)

        warm.adopt(a_rendered(a_role(env=(("S3_CANNED_ACL", "public-read"),))))

        assert (warm.lease.settings, warm.lease.serial) == ((("S3_CANNED_ACL", "public-read"),), 1)

    def test_a_cold_one_has_nothing_to_change(self):
        """It mints by the new one."""
        cold, later = a_keeper(), a_rendered()
        cold.adopt(later)

        assert (cold.rendered, cold.lease) == (later, None)


class TestFailed:
    def test_the_held_lease_stays(self):
        """A failed mint takes nothing away."""
        warm = a_keeper()
        minted(warm)

        events = failed(warm, Unreachable("no answer", code="Timeout"), START + 1800)

        assert events == (MintFailed("train", "Timeout", "no answer", True, 0.75, True, 0.0),)
        assert warm.held(START + 1800) is not None

    def test_backoff_doubles_up_to_a_minute(self):
        """And starts anew after a success."""
        warm, waits, now = a_keeper(1.0), [], START
        for _ in range(9):
            failed(warm, Unreachable("no answer"), now)
            waits.append(warm.due - now)
            now = warm.due
        minted(warm, now)
        failed(warm, Unreachable("no answer"), now + 1800)

        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        assert warm.due == now + 1801

    @pytest.mark.parametrize(("asked", "waits"), [(7.0, 7.0), (0.0, 1.0), (86_400.0, 300.0), (None, 1.0)])
    def test_upstreams_own_wish_is_honoured_within_reason(self, asked: float | None, waits: float):
        """A Retry-After of a day would be an outage of ours."""
        throttled = a_keeper(1.0)

        failed(throttled, Throttled("patience", retry_after=asked))

        assert throttled.due == START + waits

    def test_who_asks_while_it_rests_is_told_the_reason(self):
        """Until the next try is due."""
        cold = a_keeper()

        failed(cold, Unreachable("no answer"))

        assert cold.resting(START)
        assert not cold.resting(cold.due)
        assert isinstance(cold.error, Unreachable)

    @pytest.mark.parametrize("lifetime", [0.0, 30.0, -60.0, 401 * 86_400.0, float("nan"), float("inf")])
    def test_a_nonsensical_life_is_a_failure(self, lifetime: float):
        """Expired already, or never to expire: the held lease is better than that."""
        warm = a_keeper()
        minted(warm, text="good")

        events = minted(warm, START + 1800, text="bad", lifetime=lifetime)

        assert isinstance(events[0], MintFailed)
        assert events[0].code == "Malformed"
        held = warm.held(START + 1800)
        assert held is not None
        assert held.value == keys("good")


class TestDenied:
    def test_the_second_denial_evicts(self):
        """The first may be a mistake that somebody is just mending; both are tried again in 30 s."""
        warm = a_keeper()
        minted(warm)

        first = failed(warm, Denied("no"), START + 1800)
        held_after_one = warm.held(START + 1800)
        second = failed(warm, Denied("no"), START + 1830)

        assert [type(event) for event in (*first, *second)] == [MintFailed, MintFailed, LeaseEvicted]
        assert held_after_one is not None
        assert warm.held(START + 1830) is None
        assert warm.due == START + 1860

    def test_a_lease_that_is_to_be_kept_is_kept(self):
        """`on_denied = "keep"` serves it until it lapses."""
        warm = a_keeper(on_denied="keep")
        minted(warm)

        for after in (1800, 1830, 1860):
            failed(warm, Denied("no"), START + after)

        assert warm.held(START + 1860) is not None

    def test_a_success_between_two_denials_forgives_the_first(self):
        """Two in a row are final, two in a year are not."""
        warm = a_keeper()
        minted(warm)
        failed(warm, Denied("no"), START + 1800)
        minted(warm, START + 1830, text="2")
        failed(warm, Denied("no"), START + 3700)

        assert warm.held(START + 3700) is not None

    def test_two_denials_of_one_moment_are_one(self):
        """Somebody refreshes by hand, twice."""
        warm = a_keeper()
        minted(warm)
        for at in (1800, 1801, 1829):
            failed(warm, Denied("no"), START + at)

        assert warm.held(START + 1829) is not None
        assert isinstance(failed(warm, Denied("no"), START + 1830)[1], LeaseEvicted)
