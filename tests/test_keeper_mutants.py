"""Seeded mutants of the keeper and of its schedule: each is killed by the promises, or they hold nothing."""

from types import ModuleType

import pytest

from broker import keeper, schedule
from tests.keeper_machine import run_machine
from tests.mutants import Mutant, compiled

SAME = "ends <= self._ends_by - self._lost + SAME_END"
AGAIN = "schedule.same_again_at(now, held.ends - self._lost)"

IN_KEEPER = [
    ("serves without a floor", "lease.ends - now > schedule.SERVE_FLOOR", "lease.ends > now"),
    ("never stops serving", "lease if lease.ends - now > schedule.SERVE_FLOOR else", "lease if True else"),
    (
        "stops serving at half of the life",
        "> schedule.SERVE_FLOOR else None",
        "> (lease.ends - lease.began) / 2 else None",
    ),
    ("counts the life from the landing", "ends = began + minted.lifetime", "ends = now + minted.lifetime"),
    ("takes what is about to expire", "ends - now > schedule.SERVE_FLOOR and", "ends > now and"),
    ("takes the year 9999", " and minted.lifetime < LONGEST_LIFE", ""),
    ("takes what has no expiry", "if not (ends - now > schedule.SERVE_FLOOR", "if (ends - now <= schedule.SERVE_FLOOR"),
    ("an older lease replaces the held one", f"if held is not None and {SAME}", "if False"),
    ("a lapsed lease is never replaced", "held = self.held(now)\n        if", "held = self.lease\n        if"),
    ("a newer lease is not taken", SAME, SAME.replace("SAME_END", "1800.0")),
    ("the same session is a new lease", SAME, "ends <= held.ends - SAME_END"),
    ("forgets how late the held one may end", "self._ends_by = now + minted.lifetime", "self._ends_by = ends"),
    ("the same session is asked for without a pause", AGAIN, "now"),
    ("the same session is never asked for again", AGAIN, "held.ends + 60"),
    (
        "a failure counts as still in flight",
        'after the first."""\n        self.in_flight = False',
        'after the first."""',
    ),
    (
        "a success counts as still in flight",
        "        self.in_flight = False\n        self.failures = self",
        "        self.failures = self",
    ),
    ("begins a second time", "if self.in_flight:", "if False:"),
    ("is due while in flight", "        self.due = NEVER\n", ""),
    (
        "a failed mint clears the lease",
        "        self.error = error\n",
        "        self.error = error\n        self.lease = None\n",
    ),
    (
        "a failed mint shortens the lease",
        "        self.error = error\n",
        "        self.error = error\n        if self.lease and self.lease.ends < now + 900: self.lease = None\n",
    ),
    (
        "a success forgets no failures",
        "self.failures = self.denials = 0\n        self.error",
        "self.denials = 0\n        self.error",
    ),
    (
        "a success forgets no denials",
        "self.failures = self.denials = 0\n        self.error",
        "self.failures = 0\n        self.error",
    ),
    ("a success keeps the last error", "        self.error = None\n        took", "        took"),
    ("a lease keeps the serial of the last", "        self._serial += 1\n", "        self._serial = 1\n"),
    ("a new lease counts as handed already", "        self.handed = set()\n        self.due", "        self.due"),
    (
        "mixes the value of one with the expiry of another",
        "minted.expires_at, began, ends, minted.facts, settings)\n        self._ahead_at",
        "(self.lease or minted).expires_at, began, ends, minted.facts, settings)\n        self._ahead_at",
    ),
    (
        "refreshes at 0.9 of the life",
        "schedule.refresh_at(began, ends, self._jitter(), again)",
        "began + 0.9 * (ends - began)",
    ),
    (
        "refreshes without jitter the wrong way",
        "schedule.refresh_at(began, ends, self._jitter(), again)",
        "schedule.refresh_at(began, ends, 2.0)",
    ),
    (
        "may refresh at once, again and again",
        "max(now + schedule.SOONEST, self._refresh_at(began, ends, minted.again) - max(ahead, 0.0))",
        "self._refresh_at(began, ends, minted.again)",
    ),
    ("does not count failures", "        self.failures += 1\n", "        self.failures = 1\n"),
    ("ignores Retry-After", "self._jitter(), error.retry_after, left)", "self._jitter(), None, left)"),
    (
        "retries a denial like any failure",
        "wait = schedule.DENIED_RETRY",
        "wait = schedule.retry_in(self.failures, self._jitter())",
    ),
    ("never retries a denial", "self.due = now + wait", "self.due = now + wait if error.transient else NEVER"),
    ("evicts at the first denial", "self.denials > 1", "self.denials > 0"),
    ("counts two denials of one second", "if now - self._denied_at >= schedule.DENIED_RETRY or not", "if True or not"),
    ("never counts a second denial", "now - self._denied_at >= schedule.DENIED_RETRY or ", ""),
    ("never evicts", "self.denials > 1", "self.denials > 1000"),
    ("evicts by failures", "if self.denials > 1", "if self.failures > 1"),
    ("evicts what is to be kept", ' or self.rendered.credential.on_denied == "keep"', ""),
    (
        "tells of an eviction and does nothing",
        "serial, self.lease = self.lease.serial, None",
        "serial = self.lease.serial",
    ),
    ("rests for ever after a failure", "and not self.in_flight and self.due > now", "and not self.in_flight"),
    ("never rests", "return self.failures > 0 and", "return False and"),
    ("rests without a failure", "return self.failures > 0 and", "return"),
]

IN_SCHEDULE = [
    ("serves below the floor of 30 s", "SERVE_FLOOR = 30.0", "SERVE_FLOOR = 5.0"),
    ("stops serving a minute early", "SERVE_FLOOR = 30.0", "SERVE_FLOOR = 60.0"),
    ("spreads too far", "SPREAD = 0.1", "SPREAD = 0.2"),
    ("does not spread", "(latest - soonest) / 2 * jitter", "0.0"),
    ("leaves no time to heal", "HEALING = 40.0", "HEALING = 0.0"),
    ("refreshes a short life in its second half", "max(soonest, half - HEALING)", "max(half * 1.2, half - HEALING)"),
    ("refreshes at the end of the life", "half = (ends - began) / 2", "half = ends - began"),
    ("refreshes at a tenth of the life", "half = (ends - began) / 2", "half = (ends - began) / 10"),
    (
        "backs off without a cap",
        "min(longest, FIRST_RETRY * 2.0 ** min(failures - 1, 16))",
        "FIRST_RETRY * 2.0 ** min(failures - 1, 16)",
    ),
    ("misses an upstream that is back at the last moment", "left / 4", "left"),
    ("asks ever faster to the end", "max(FIRST_RETRY, left / 4)", "left / 4"),
    ("does not back off", "2.0 ** min(failures - 1, 16)", "1.0"),
    ("starts to back off one late", "min(failures - 1, 16)", "min(failures, 16)"),
    ("retries in step with everybody", "0.75 + 0.25 * jitter", "1.0"),
    ("retries at once by bad luck", "0.75 + 0.25 * jitter", "0.5 + 0.5 * jitter"),
    ("comes before its Retry-After", "max(backoff, min(asked, LONGEST_PATIENCE))", "min(backoff, asked)"),
    ("believes any Retry-After", "min(asked, LONGEST_PATIENCE)", "asked"),
    ("believes that it may come at once", "max(backoff, min(asked, LONGEST_PATIENCE))", "min(asked, LONGEST_PATIENCE)"),
    ("asks a denier every second", "DENIED_RETRY = 30.0", "DENIED_RETRY = 1.0"),
    ("waits out a session's whole life", "now + (ends - now) / 2", "ends"),
    ("asks for the same session every second", "now + (ends - now) / 2", "now + 1"),
]

MUTANTS = [
    *(Mutant(name, keeper, old, new) for name, old, new in IN_KEEPER),
    *(Mutant(name, schedule, old, new) for name, old, new in IN_SCHEDULE),
]


def keeper_with(mutant: Mutant) -> ModuleType:
    """The keeper's module with the mistake in it, or in the schedule that it goes by."""
    if mutant.module is keeper:
        return mutant.compiled()
    module = compiled(keeper)
    module.__dict__["schedule"] = mutant.compiled()
    return module


class TestMutants:
    @pytest.mark.parametrize("mutant", MUTANTS, ids=str)
    def test_a_mutant_breaks_a_promise(self, mutant: Mutant):
        """A state machine that lets one live would not notice the day that somebody writes it."""
        module = keeper_with(mutant)

        with pytest.raises((AssertionError, RuntimeError)):
            run_machine(module)

    def test_a_copy_without_a_mistake_breaks_none(self):
        """Otherwise a mutant could be killed by the copying."""
        run_machine(compiled(keeper), examples=60)
