"""Thousands of lives, each a few hours of what may happen to a node, by the luck of its seed."""

import random
from collections.abc import Callable

import msgspec

from tests.simulator.cloud import FAIR, Kinds, Weather
from tests.simulator.judge import Breach
from tests.simulator.life import Life
from tests.simulator.node import REAL, Parts

HOURS = 4.38  # of a life: two thousand are a year
HOUR = 3600.0
STORMS: tuple[Kinds, ...] = ("refused", "silent", "throttled", "denied", "expired", "endless")
AWAY: tuple[Kinds, ...] = ("refused", "silent")
FAMILIES = (None, "aws", "gcp")


class Tally(msgspec.Struct):
    """What many lives have seen."""

    lives: int = 0
    hours: float = 0.0
    acts: int = 0
    calls: int = 0
    served: int = 0
    refused: int = 0
    least: float = float("inf")


class Lost(msgspec.Struct, frozen=True):
    """A life that broke a promise."""

    seed: int
    acts: tuple[str, ...]
    breach: str


def soak(lives: int, first: int = 0, parts: Parts = REAL, tell: Callable[[int], None] | None = None) -> Tally | Lost:
    """So many lives, one after the other, to the first breach."""
    tally = Tally()
    for seed in range(first, first + lives):
        lost = one_life(seed, tally, parts)
        if lost is not None:
            return lost
        if tell is not None:
            tell(tally.lives)
    return tally


def one_life(seed: int, tally: Tally, parts: Parts = REAL) -> Lost | None:
    """Acts by the luck of this seed, until its hours are over."""
    luck = random.Random(seed)
    acts: list[str] = []
    try:
        with Life(seed, parts) as life:
            began = life.world.truth()
            while life.world.truth() < began + HOURS * HOUR:
                acts.append(luck.choice(list(ACTS)))
                ACTS[acts[-1]](life, luck)
                life.live(luck.choice([0.0, luck.uniform(0, 120), luck.uniform(0, 2400)]))
            life.heal()
    except (Breach, AssertionError, RuntimeError) as breach:
        return Lost(seed, tuple(acts), f"{type(breach).__name__}: {breach}")
    tally.lives += 1
    tally.hours += (life.world.truth() - began) / HOUR
    tally.acts += len(acts)
    tally.calls += len(life.cloud.asked)
    tally.served += life.judge.served
    tally.refused += life.judge.refused
    tally.least = min(tally.least, life.judge.least)
    return None


def _storm(life: Life, luck: random.Random) -> None:
    patience = luck.choice([None, 0.0, 7.0, 120.0, 86_400.0])
    weather = Weather(luck.choice(STORMS), luck.choice([0.05, 0.2, 3.0]), patience)
    life.weather(weather, luck.choice(FAMILIES))
    life.live(luck.choice([20.0, luck.uniform(10, 600), luck.uniform(10, 6000)]))


def _slow(life: Life, luck: random.Random) -> None:
    life.weather(Weather("fair", latency=luck.choice([0.5, 2.0, 9.0])), luck.choice(FAMILIES))


def _outage(life: Life, luck: random.Random) -> None:
    life.outage(luck.choice(AWAY), luck.choice(["short", "train"]), luck.uniform(0, 2000))


def _paused_at_the_start(life: Life, luck: random.Random) -> None:
    """In the middle of a mint, whose answer is on its way, or just after it."""
    life.weather(FAIR)
    life.restart(luck.choice([0.15, 1.0]))
    life.stand_still(luck.uniform(0, 4000))


def _step(life: Life, luck: random.Random) -> None:
    life.step(luck.choice([-86_400.0, -3600.0, -30.0, 30.0, 600.0, 3600.0, 86_400.0]))


ACTS: dict[str, Callable[[Life, random.Random], None]] = {
    "storm": _storm,
    "outage": _outage,
    "slow": _slow,
    "calm": lambda life, _: life.weather(FAIR),
    "heal": lambda life, _: life.heal(),
    "step": _step,
    "pause": lambda life, luck: life.stand_still(luck.choice([5.0, luck.uniform(0, 4000), 10_800.0])),
    "suspend": lambda life, luck: life.suspend(luck.choice([5.0, luck.uniform(0, 4000), 10_800.0])),
    "restart": lambda life, _: life.restart(),
    "paused at the start": _paused_at_the_start,
    "crowd": lambda life, luck: life.crowd(luck.choice([5, 50])),
    "herd": lambda life, _: life.herd(100),
}
