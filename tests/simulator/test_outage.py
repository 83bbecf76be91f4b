"""How long an outage nobody notices, for ours and for the others."""

import pytest

from tests.simulator.cloud import Kinds
from tests.simulator.figures import CALLS, LIVES
from tests.simulator.outage import Run, goal, longest_unnoticed
from tests.simulator.peers import AwsVault, EksAgent, Kiam, Ours, Peer, Weep
from tests.simulator.soak import AWAY


def worst(broker: type[Ours] | type[Peer], life: float, kind: Kinds, seeds: int) -> float:
    """In some runs; the longer a life, the fewer calls it is tried before."""
    calls = CALLS if life <= 3600 else CALLS[:1]
    runs = (Run(broker=broker, life=life, kind=kind, seed=seed, call=call) for seed in range(seeds) for call in calls)
    return min(map(longest_unnoticed, runs))


class TestGoal:
    @pytest.mark.parametrize("kind", AWAY)
    @pytest.mark.parametrize("life", LIVES.values(), ids=LIVES)
    def test_half_of_a_life_less_half_a_minute_is_never_noticed(self, life: float, kind: Kinds):
        """Even if it begins just before a refresh, and if the last call hangs when it ends."""
        assert worst(Ours, life, kind, seeds=1 if life > 3600 else 5) >= goal(life)


class TestOthers:
    @pytest.mark.parametrize(
        ("broker", "life", "least", "most"),
        [
            (AwsVault, 3600, 0, 1),
            (Kiam, 3600, 0, 1),
            (Weep, 3600, 530, 600),
            (EksAgent, 3600, 0, 1),
            (EksAgent, 21_600, 10_500, 10_800),
        ],
    )
    def test_they_do_as_their_rules_say(self, broker: type[Peer], life: float, least: float, most: float):
        """What no rule of theirs bridges, they do not; what one does, they do."""
        assert least <= worst(broker, life, "refused", seeds=1) <= most
