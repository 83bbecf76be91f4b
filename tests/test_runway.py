"""Who takes off next: slots, buckets and deadlines, with a hand on the clock."""

from broker.runway import NEVER, Runway


def drained(runway: Runway[str], now: float = 0.0) -> list[str]:
    """Everything that takes off now."""
    found = []
    while (item := runway.next(now)) is not None:
        found.append(item)
    return found


class TestOrder:
    def test_the_nearest_end_is_first_and_who_has_nothing_ends_now(self):
        """A worker waits for the cold one, unless another is about to be in the same need."""
        runway = Runway[str](10, 10)
        for item, ends in (("day", 86_400.0), ("hour", 3600.0), ("cold", None), ("over", 90.0)):
            runway.queue(item, "aws", 100.0, ends, failing=False)

        assert drained(runway, 100.0) == ["over", "cold", "hour", "day"]

    def test_those_who_fail_for_long_starve_nobody_whose_lease_runs_out(self):
        """Nor do they wait for those who have all the time in the world."""
        runway = Runway[str](10, 10)
        for item, ends, failing in (
            ("broken", None, True),
            ("comfortable", 1000.0, False),
            ("failing", 119.0, True),
            ("broken too", None, True),
        ):
            runway.queue(item, "aws", 0.0, ends, failing=failing)

        assert drained(runway) == ["failing", "broken", "broken too", "comfortable"]

    def test_who_came_first_is_first_where_nothing_else_tells(self):
        """No comparison of what takes off."""
        runway = Runway[object](10, 10)
        first, second = object(), object()
        for item in (first, second):
            runway.queue(item, "aws", 0.0, 5.0, failing=False)

        assert [runway.next(0.0), runway.next(0.0), runway.next(0.0)] == [first, second, None]


class TestSlots:
    def test_so_many_are_aloft_at_once(self):
        """And one that has landed makes room."""
        runway = Runway[str](2, 10)
        for item in "abc":
            runway.queue(item, "aws", 0.0, None, failing=False)

        assert drained(runway) == ["a", "b"]
        assert runway.opens_at(0.0) == NEVER

        runway.landed("aws")

        assert drained(runway) == ["c"]

    def test_one_family_leaves_a_slot_to_the_others(self):
        """As soon as there are any."""
        runway = Runway[str](3, 10)
        runway.queue("g", "gcp", 0.0, None, failing=False)
        assert drained(runway) == ["g"]
        runway.landed("gcp")
        for item in "abc":
            runway.queue(item, "aws", 0.0, None, failing=False)

        assert drained(runway) == ["a", "b"]

        runway.queue("h", "gcp", 0.0, 1e6, failing=False)

        assert drained(runway) == ["h"]

    def test_nobody_waits_after_clear(self):
        """What is aloft still lands."""
        runway = Runway[str](1, 10)
        for item in "ab":
            runway.queue(item, "aws", 0.0, None, failing=item == "b")
        assert drained(runway) == ["a"]

        runway.clear()
        runway.landed("aws")

        assert drained(runway) == []


class TestBucket:
    def test_twice_the_rate_at_once_and_then_the_rate(self):
        """Each family by itself; it says when the next token comes."""
        runway = Runway[str](1000, 10)
        for number in range(100):
            runway.queue(f"a{number}", "aws", 0.0, None, failing=False)
        runway.queue("g", "gcp", 0.0, None, failing=False)

        assert len(drained(runway)) == 21
        assert abs(runway.opens_at(0.0) - 0.1) < 1e-9
        assert drained(runway, 0.05) == []
        assert len(drained(runway, 0.1)) == 1
        assert len(drained(runway, 1.1)) == 10
        assert len(drained(runway, 1000.0)) == 20

    def test_it_opens_never_where_nobody_waits(self):
        """The loop sleeps."""
        assert Runway[str](1, 10).opens_at(0.0) == NEVER
