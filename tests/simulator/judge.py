"""The promises, held to each answer by someone who knows the truth.

The one invariant of all faults: no authorised caller ever gets an expired, partial, foreign or mixed lease, and none
waits over a second while a valid lease is held. Besides: what is good is served, and upstream is spared.
"""

from collections import defaultdict

import msgspec

from broker.plan import Rendered
from tests.simulator.cloud import Asked, Cloud
from tests.simulator.node import Answer
from tests.simulator.world import World

FLOOR = 30.0
SLACK = 2.0
LONGEST_WAIT = 1.0
LONGEST = 400 * 86_400.0
RATE, BURST = 10.0, 20.0


class Breach(AssertionError):
    """A promise was broken."""


class _Bucket(msgspec.Struct):
    at: float
    tokens: float = BURST


class Judge:
    """Looks at every answer, and at every call upstream. `upset` is when the clocks last ran ahead of the truth's."""

    def __init__(self, world: World, cloud: Cloud) -> None:
        self.served = self.refused = 0
        self.least = float("inf")
        self._world = world
        self._cloud = cloud
        self._seen = 0
        self._buckets: dict[str, _Bucket] = {}
        self._denials: defaultdict[bytes, list[float]] = defaultdict(list)
        self.reborn()

    def reborn(self) -> None:
        """The broker was started anew and holds nothing."""
        self.judge_calls()
        self._since = self.upset = self._world.truth()
        self._denials.clear()
        self._buckets.clear()

    def judge(self, rendered: Rendered, answer: Answer, *, must: bool) -> None:
        """One answer to one worker, who `must` be served if he must have been when he asked. Raises Breach."""
        self.judge_calls()
        if answer.waited > LONGEST_WAIT:
            raise Breach(f"a worker waited for {answer.waited:.2f} s")
        if answer.lease is None:
            self.refused += 1
            if must:
                raise Breach(f"{rendered.label} was refused ({answer.status}) with a good lease at hand")
            return
        self.served += 1
        self._judge_lease(rendered, answer)

    def judge_calls(self) -> None:
        """What upstream has seen since the last look. Raises Breach."""
        for asked in self._cloud.asked[self._seen :]:
            self._spend(asked)
            if asked.weather.kind == "denied":
                self._denials[asked.key].append(asked.truth)
        self._seen = len(self._cloud.asked)
        if self._cloud.breaches:
            raise Breach(self._cloud.breaches[0])

    def _judge_lease(self, rendered: Rendered, answer: Answer) -> None:
        lease = answer.lease
        assert lease is not None
        birth = self._cloud.of(lease.value)
        if birth is None or birth.value != lease.value:
            raise Breach(f"{rendered.label}: a lease that upstream never minted as it is")
        if birth.key != rendered.key:
            raise Breach(f"{rendered.label}: the lease of somebody else")
        if lease.expires_at != birth.ends:
            raise Breach(f"{rendered.label}: another expiry than upstream's")
        left = birth.ends - self._world.truth()
        self.least = min(self.least, left)
        if not FLOOR - SLACK < left < LONGEST:
            raise Breach(f"{rendered.label}: handed out with {left:.0f} s to live")

    def must_be_served(self, rendered: Rendered) -> bool:
        """Whether a good lease has come home, and nothing since has given a reason not to hand it out."""
        self.judge_calls()
        good = [
            birth
            for birth in self._cloud.born[rendered.key][-3:]
            if birth.asked >= max(self._since, self.upset) and birth.surely - self._world.truth() > FLOOR + SLACK
        ]
        if not good:
            return False
        since = good[0].asked
        if rendered.base and any(at > since for at in self._denials[rendered.base.key]):
            return False
        denials = [at for at in self._denials[rendered.key] if at > since]
        return not denials or denials[-1] - denials[0] < FLOOR - SLACK

    def _spend(self, asked: Asked) -> None:
        bucket = self._buckets.setdefault(asked.family, _Bucket(asked.now))
        bucket.tokens = min(BURST, bucket.tokens + (asked.now - bucket.at) * RATE) - 1
        bucket.at = asked.now
        if bucket.tokens < -1e-3:
            raise Breach(f"{asked.family}: more calls than its budget has")
