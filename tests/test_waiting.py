"""One thing that many wait for."""

import functools
from typing import Any

import pytest

from broker.waiting import Landing


class TestLanding:
    def test_everybody_is_told_once_and_in_order(self):
        """Who came first is answered first."""
        landing, told = Landing(), list[Any]()
        for name in "abc":
            landing.add(functools.partial(lambda one, landed: told.append((one, landed)), name))

        landing.call_back()
        landing.call_back()

        assert told == [("a", landing), ("b", landing), ("c", landing)]

    def test_who_stops_waiting_disturbs_nobody(self):
        """A caller that hangs up takes back its own callback and no other."""
        landing, told = Landing(), list[str]()
        landing.add(lambda _: told.append("a"))
        take_back = landing.add(lambda _: told.append("b"))
        landing.add(lambda _: told.append("c"))

        take_back()
        take_back()
        landing.call_back()
        take_back()

        assert told == ["a", "c"]

    def test_who_comes_after_the_landing_is_told_at_once(self):
        """It would wait for ever."""
        landing, told = Landing(), list[str]()
        landing.call_back()

        landing.add(lambda _: told.append("late"))()

        assert told == ["late"]
        assert landing.landed

    def test_who_waits_again_in_its_callback_waits_for_the_next(self):
        """Landed is landed, so it is told at once and in its own turn."""
        landing, told = Landing(), list[int]()

        def again(_: Landing) -> None:
            told.append(len(told))
            if len(told) < 3:
                landing.add(again)

        landing.add(again)
        landing.call_back()

        assert told == [0, 1, 2]

    def test_one_who_fails_leaves_nobody_waiting(self):
        """The others are told, and the error is not lost."""
        landing, told = Landing(), list[str]()

        def fail(_: Landing) -> None:
            raise LookupError(f"told {len(told)}")

        landing.add(fail)
        landing.add(lambda _: told.append("b"))
        landing.add(fail)
        landing.add(lambda _: told.append("d"))

        with pytest.raises(LookupError, match="told 0"):
            landing.call_back()
        assert told == ["b", "d"]
