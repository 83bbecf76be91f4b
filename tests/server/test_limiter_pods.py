"""Pods at the limits: a bucket for each pod, failures by its address."""

import msgspec

from broker.events import Limited
from broker.model import Caller, CallerFacts, Pod
from broker.server.limiter import MOST_FAILURES, WINDOW
from tests.server.test_limiter import Gate

POD = Pod(namespace="ml", service_account="trainer", name="worker-0", uid="u-1", node="node-a", audiences=("a",))
OTHER = msgspec.structs.replace(POD, name="worker-1", uid="u-2")


def a_caller(pod: Pod, token_id: str | None = None) -> Caller:
    return Caller(matches=(CallerFacts(caller="trainer"),), how="kubernetes", pod=pod, token_id=token_id)


class TestBucket:
    def test_each_pod_of_a_service_account_has_its_own(self):
        """One that runs wild takes nothing from its hundred siblings, though all are the same caller."""
        gate = Gate()

        assert [gate.taken(a_caller(pod)) for pod in (POD, OTHER, POD)] == [5, 5, 0]

    def test_a_path_token_is_no_second_one(self):
        """It is the same pod."""
        gate = Gate()

        assert [gate.taken(a_caller(POD)), gate.taken(a_caller(POD, "t1"))] == [5, 0]

    def test_who_was_held_back_is_told_by_its_pod(self):
        """The caller's name alone would say little."""
        gate = Gate()
        gate.taken(a_caller(POD), 7)
        gate.tick(WINDOW)

        assert gate.events == [Limited("requests", 2, None, "trainer", None, POD)]


class TestFailures:
    def test_a_pod_that_guesses_holds_up_no_other(self):
        """Each counts by its own address, which is told."""
        gate = Gate()
        many = [gate.limiter.failed("10.1.0.7") for _ in range(MOST_FAILURES + 2)]
        gate.tick(WINDOW)

        assert many[-2:] == [True, True]
        assert not gate.limiter.failed("10.1.0.8")
        assert gate.events == [Limited("failures", 2, None, peer="10.1.0.7")]

    def test_probes_count_by_address_too(self):
        """They show nothing else."""
        gate = Gate()
        taken = [sum(gate.limiter.allows_probe(peer) for _ in range(9)) for peer in ("10.1.0.7", "10.1.0.8")]

        assert taken == [5, 5]
