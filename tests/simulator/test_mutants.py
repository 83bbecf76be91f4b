"""Seeded mistakes of the kind that is really made: each is found, or the simulator is worth nothing."""

import random

import pytest

from broker import desk, keeper, rounds, runway, schedule
from tests.mutants import Mutant
from tests.simulator.cloud import Cloud, Kinds
from tests.simulator.judge import Breach
from tests.simulator.life import Life
from tests.simulator.node import REAL, Parts
from tests.simulator.outage import Run, goal, longest_unnoticed
from tests.simulator.peers import Ours
from tests.simulator.scenes import SCENES
from tests.simulator.soak import AWAY
from tests.simulator.world import World

MUTANTS = [
    Mutant("refreshes at 95 % of the life", schedule, "half * (1 - SPREAD)", "half * 1.9"),
    Mutant("serves to the very end", schedule, "SERVE_FLOOR = 30.0", "SERVE_FLOOR = 0.0"),
    Mutant("backs off for ever", schedule, "min(longest, FIRST", "max(0.0, FIRST"),
    Mutant("believes any Retry-After", schedule, "min(asked, LONGEST_PATIENCE)", "asked"),
    Mutant(
        "overwrites a good lease by a failed mint",
        keeper,
        "        self.error = error\n",
        "        self.error = error\n        self.lease = None\n",
    ),
    Mutant("evicts at the first denial", keeper, "self.denials > 1", "self.denials > 0"),
    Mutant(
        "forgets the wall clock",
        keeper,
        "self.doubted = self.lease.ends - now - self._lost <= schedule.SERVE_FLOOR",
        "self.doubted = False",
    ),
    Mutant("takes a step back for a pause undone", keeper, "self._level + self._ahead - before", "self._level"),
    Mutant("doubts for ever what was set right", keeper, "self._ahead if undone else ", ""),
    Mutant("forgets a pause in the middle of a mint", keeper, "wall - now - max(ahead, 0.0)", "wall - now"),
    Mutant("takes the lease after a pause for the one before", keeper, "self._ends_by - self._lost", "self._ends_by"),
    Mutant(
        "counts the life from the landing", keeper, "ends = began + minted.lifetime", "ends = now + minted.lifetime"
    ),
    Mutant("takes the year 9999", keeper, " and minted.lifetime < LONGEST_LIFE", ""),
    Mutant(
        "mixes one lease with another's expiry",
        keeper,
        "minted.expires_at, began, ends, minted.facts, settings)",
        "(self.lease or minted).expires_at, began, ends, minted.facts, settings)",
    ),
    Mutant(
        "looks at the wall clock in the rounds only",
        desk,
        "        keeper.cross_check(now, self._clock.wall())\n",
        "",
    ),
    Mutant(
        "remembers what is wanted and not by whom",
        desk,
        "self._found.get((caller, want))\n        if",
        "next((found for (_, wanted), found in self._found.items() if wanted == want), None)\n        if",
    ),
    Mutant(
        "keeps one lease for all callers",
        rounds,
        "(keeper := self._keepers.get(rendered.key))",
        "(keeper := next((one for one in self._keepers.values() if one.rendered.label == rendered.label), None))",
    ),
    Mutant(
        "mints for each who asks",
        rounds,
        "if (flight := self._flights.get(key)) is None:\n",
        "if True:\n            keeper.in_flight = False\n",
    ),
    Mutant(
        "plans nothing after a failure",
        rounds,
        ".key) is keeper:\n            self._plan",
        ".key) is keeper and not error:\n            self._plan",
    ),
    Mutant("never gives a slot back", rounds, "        self._runway.landed(family)\n", ""),
    Mutant("asks upstream without a budget", runway, "self._tokens -= 1", "pass"),
]
# What shows only in how long an outage may last.
SLOW_TO_HEAL = [
    Mutant("refreshes at 60 % of the life", schedule, "half * (1 - SPREAD)", "half * 1.2"),
    Mutant("does not hurry while its lease runs out", schedule, "left / 4", "LONGEST_RETRY"),
    Mutant("leaves no time for a call that hangs", schedule, "max(soonest, half - HEALING)", "half * 1.1"),
]


def found(parts: Parts) -> str | None:
    """What the scenes show of a broker of these parts."""
    for number, scene in enumerate(SCENES):
        try:
            with Life(number, parts) as life:
                scene(life)
        except (Breach, AssertionError, RuntimeError) as breach:
            return str(breach) or type(breach).__name__
    return None


def shortest(parts: Parts) -> float:
    """The longest unnoticed outage of 15 minute leases, less the goal, in the worst of some runs."""

    def ours(world: World, cloud: Cloud, luck: random.Random) -> Ours:
        return Ours(world, cloud, luck, parts)

    def unnoticed(kind: Kinds, seed: int) -> float:
        run = Run(broker=ours, life=900.0, kind=kind, seed=seed, call=2)
        return longest_unnoticed(run) - goal(900.0)

    return min(unnoticed(kind, seed) for kind in AWAY for seed in range(10))


class TestMutants:
    @pytest.mark.parametrize("mutant", MUTANTS, ids=str)
    def test_a_mutant_is_found(self, mutant: Mutant):
        """In seconds, for each leads straight to a danger."""
        assert found(Parts.with_one(mutant.module, mutant.compiled())) is not None

    @pytest.mark.parametrize("mutant", SLOW_TO_HEAL, ids=str)
    def test_one_that_heals_slowly_is_measured(self, mutant: Mutant):
        """Somebody notices an outage of half a life less 30 s."""
        assert shortest(Parts.with_one(mutant.module, mutant.compiled())) < 0

    def test_nothing_is_found_in_what_is_right(self):
        """Neither in the real parts nor in copies of them."""
        assert found(REAL) is None
        assert shortest(Parts.with_one(keeper, keeper)) >= 0
