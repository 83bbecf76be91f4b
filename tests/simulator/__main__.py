"""`make soak`: a simulated year of faults in thousands of lives, then the tables of docs/reliability.md."""

import argparse
import math
import sys
import time

from tests.simulator.figures import measured, summary, tables
from tests.simulator.soak import HOURS, Lost, soak

HOURS_OF_A_YEAR = 8766.0
STEP = 100


def main() -> int:
    """0, or 1 where a promise was broken or the goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--years", type=float, default=1.0, help="simulated, of soak (default 1)")
    parser.add_argument("--lives", type=int, help="instead of --years: how many lives of about 4 h each")
    parser.add_argument("--first", type=int, default=0, help="the seed of the first life (default 0)")
    parser.add_argument("--runs", type=int, default=6, help="of each outage (default 6)")
    parser.add_argument("--days", type=float, default=7.0, help="of good weather (default 7)")
    parser.add_argument("--seed", type=int, help="one life only, and what became of it")
    options = parser.parse_args()
    if options.seed is not None:
        return _told(one_life_of(options.seed))
    lives = options.lives if options.lives is not None else math.ceil(options.years * HOURS_OF_A_YEAR / HOURS)
    began = time.monotonic()

    def tell(done: int) -> None:
        if done % STEP == 0:
            print(f"{done} of {lives} lives, {time.monotonic() - began:.0f} s", file=sys.stderr)

    tally = soak(lives, options.first, tell=tell)
    if isinstance(tally, Lost):
        return _told(tally)
    print(summary(tally))
    figures = measured(options.runs, options.days)
    print("\n".join(("", *tables(figures))))
    print(f"\nThe goal is {'met' if figures.goal_is_met() else 'MISSED'} ({time.monotonic() - began:.0f} s).")
    return not figures.goal_is_met()


def one_life_of(seed: int) -> Lost | None:
    """A life by its seed, again."""
    found = soak(1, seed)
    return found if isinstance(found, Lost) else None


def _told(lost: Lost | None) -> int:
    if lost is None:
        print("No promise was broken.")
        return 0
    print(f"Life {lost.seed}: {lost.breach}\n  after: {', '.join(lost.acts)}")
    print(f"  again: python -m tests.simulator --seed {lost.seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
