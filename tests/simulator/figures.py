"""Everything that is measured, as values; and as the tables of docs/reliability.md."""

from collections.abc import Iterator

import msgspec

from tests.simulator.cloud import Kinds
from tests.simulator.fair import Days, days
from tests.simulator.outage import Run, goal, longest_unnoticed
from tests.simulator.peers import BROKERS
from tests.simulator.sdks import SDKS
from tests.simulator.soak import AWAY, Tally

LIVES = {"15 min": 900.0, "1 h": 3600.0, "6 h": 21_600.0, "12 h": 43_200.0}
SHOWN = "1 h"  # of the table of SDKs
CALLS = (1, 2, 3, 4)  # before which an outage begins
NAMES = tuple(broker.name for broker in BROKERS)


class Figures(msgspec.Struct, frozen=True):
    """Outages by (life, kind, broker) in seconds, the worst of all runs; days by (life, broker)."""

    outages: dict[tuple[str, Kinds, str], float]
    days: dict[tuple[str, str], Days]

    def goal_is_met(self) -> bool:
        """Whether ours bridges half of every life less 30 s in the worst of all runs."""
        lives = ((life, kind) for life in LIVES for kind in AWAY)
        return all(self.outages[life, kind, NAMES[0]] >= goal(LIVES[life]) for life, kind in lives)


def measured(seeds: int, day_count: float) -> Figures:
    """All brokers, each with the same lucks."""
    outages = {
        (life, kind, broker.name): min(
            longest_unnoticed(Run(broker=broker, life=LIVES[life], kind=kind, seed=seed, call=call))
            for seed in range(seeds)
            for call in CALLS
        )
        for life in LIVES
        for kind in AWAY
        for broker in BROKERS
    }
    fair = {(life, broker.name): days(broker, LIVES[life], day_count, seed=0) for life in LIVES for broker in BROKERS}
    return Figures(outages, fair)


def tables(figures: Figures) -> Iterator[str]:
    """As Markdown."""
    yield "The longest outage that nobody notices, in the worst of all runs:"
    yield ""
    yield from _head("lifetime", "upstream", "goal", *NAMES)
    for life, seconds in LIVES.items():
        for kind in AWAY:
            found = (_time(figures.outages[life, kind, name]) for name in NAMES)
            yield _row(life, kind, _time(goal(seconds)), *found)
    yield ""
    yield "Upstream calls per lease per day, in good weather:"
    yield ""
    yield from _head("lifetime", *NAMES)
    for life in LIVES:
        yield _row(life, *(f"{figures.days[life, name].calls_a_day:.1f}" for name in NAMES))
    yield ""
    yield f"The least life ever handed out, in good weather, of leases of {SHOWN}:"
    yield ""
    yield from _head("client", *NAMES)
    for sdk in SDKS:
        yield _row(sdk.name, *(_time(figures.days[SHOWN, name].least[sdk.name]) for name in NAMES))


def summary(tally: Tally) -> str:
    """One sentence about a soak."""
    return (
        f"{tally.lives} lives, {tally.hours:.0f} simulated hours ({tally.hours / 8766:.2f} years), {tally.acts} acts, "
        f"{tally.calls} upstream calls, {tally.served + tally.refused} answers ({tally.refused} refusals, none while a "
        f"good lease was held); the least life handed out was {tally.least:.1f} s. No promise was broken."
    )


def _head(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield "|" + "---|" * len(names)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.2f} h"
