"""Which tokens need a review, what is remembered of one, and which callers a pod is."""

import msgspec
import pytest

from broker import jwt
from broker.callers import kubernetes
from broker.callers.kubernetes import Verdict, Verdicts
from broker.config.shape import CallerEntry, Pods, Rule
from broker.model import Caller, CallerFacts, Pod
from tests.fakes.cluster import FakeCluster
from tests.jwts import AUDIENCE, forgeries

POD = Pod(namespace="ml", service_account="trainer", name="worker-0", uid="u-1", node="node-a", audiences=(AUDIENCE,))


def entry(name: str, *pods: Pods) -> CallerEntry:
    return CallerEntry(name=name, rules=tuple(Rule(kubernetes=one) for one in pods))


TRAINER = entry("trainer", Pods("ml", "trainer", AUDIENCE))


class TestSift:
    def test_a_token_that_may_be_good_is_reviewed(self):
        """What it claims is known meanwhile."""
        cluster = FakeCluster(lambda: 1_800_000_000.0)
        claims = kubernetes.sift(cluster.token(cluster.run("ml", "trainer"), AUDIENCE), (AUDIENCE,))

        assert isinstance(claims, jwt.Claims)
        assert claims.exp == 1_800_003_600

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("alg none", "jwt-algorithm"),
            ("HS256 with the public key", "jwt-algorithm"),
            ("a head to be understood", "jwt-malformed"),
            ("wrong audience", "jwt-audience"),
            ("the API server's audience", "jwt-audience"),
            ("no pod", "jwt-unbound"),
            ("no node", "jwt-unbound"),
            ("garbage", "jwt-malformed"),
        ],
    )
    def test_what_can_never_be_good_is_refused_without_one(self, name: str, reason: str):
        """The API server is not asked by whoever sends garbage, nor about a pod's token for somebody else."""
        cluster = FakeCluster()

        assert kubernetes.sift(forgeries(cluster, cluster.run("ml", "trainer"))[name], (AUDIENCE,)) == reason

    def test_times_are_left_to_the_review(self):
        """A wrong clock of this node must not make every pod nobody."""
        cluster = FakeCluster()

        assert isinstance(
            kubernetes.sift(forgeries(cluster, cluster.run("ml", "trainer"))["expired"], (AUDIENCE,)), jwt.Claims
        )


class TestDecide:
    def test_a_pod_is_every_caller_that_names_its_service_account(self):
        """In file order; templates know the caller's name and nothing of a uid."""
        callers = (entry("b", Pods("ml", "trainer", AUDIENCE)), entry("x", Pods("ml", "eval", AUDIENCE)), TRAINER)

        assert kubernetes.decide(callers, POD, None) == Caller(
            matches=(CallerFacts(caller="b"), CallerFacts(caller="trainer")), how="kubernetes", pod=POD
        )

    @pytest.mark.parametrize(
        "pods",
        [Pods("web", "trainer", AUDIENCE), Pods("ml", "eval", AUDIENCE), Pods("ml", "trainer", "vault")],
    )
    def test_one_that_differs_in_anything_is_nobody(self, pods: Pods):
        """Namespace, service account and audience all count."""
        assert kubernetes.decide((entry("other", pods),), POD, None) == "pod-matches-nobody"

    def test_any_of_several_ways_will_do(self):
        """And a rule of another kind is no way for a pod."""
        caller = CallerEntry(name="c", rules=(Rule(uid=0), Rule(group="g"), *TRAINER.rules))

        assert isinstance(kubernetes.decide((caller,), POD, None), Caller)
        assert kubernetes.decide((CallerEntry(name="c", rules=(Rule(uid=0),)),), POD, None) == "pod-matches-nobody"

    @pytest.mark.parametrize("field", ["name", "uid", "node"])
    @pytest.mark.parametrize("value", [None, ""])
    def test_a_token_that_is_bound_to_no_pod_is_nobody(self, field: str, value: str | None):
        """Tokens of secrets live for ever and can be copied anywhere."""
        unbound = msgspec.structs.replace(POD, **{field: value})

        assert kubernetes.decide((TRAINER,), unbound, None) == "pod-unbound"

    def test_a_pod_of_another_node_is_nobody_where_the_node_is_known(self):
        """A stolen token is of no use elsewhere."""
        assert isinstance(kubernetes.decide((TRAINER,), POD, "node-a"), Caller)
        assert kubernetes.decide((TRAINER,), POD, "node-b") == "pod-of-another-node"


class TestVerdicts:
    def test_a_verdict_holds_until_its_time(self):
        """And not at it."""
        verdicts, verdict = Verdicts(), Verdict(until=60.0, pod=POD)
        verdicts.keep(b"d", verdict)

        assert verdicts.find(b"d", 59.9) == verdict
        assert verdicts.find(b"d", 60.0) is None
        assert verdicts.find(b"e", 0.0) is None

    @pytest.mark.parametrize("first", [Verdict(until=60.0, pod=POD), Verdict(until=60.0, reason="review-refused")])
    def test_a_later_verdict_takes_the_place_of_an_earlier_one(self, first: Verdict):
        """A pod that was deleted is nobody from then on."""
        verdicts = Verdicts()
        for verdict in (first, Verdict(until=99.0, reason="review-refused"), Verdict(until=99.0, pod=POD)):
            verdicts.keep(b"d", verdict)
            assert verdicts.find(b"d", 0.0) == verdict

    def test_a_flood_of_refusals_pushes_out_no_pod(self):
        """And is bounded itself."""
        verdicts = Verdicts()
        verdicts.keep(b"good", Verdict(until=60.0, pod=POD))
        for number in range(kubernetes.MOST_REFUSED + 10):
            verdicts.keep(b"%d" % number, Verdict(until=60.0, reason="review-refused"))

        assert verdicts.find(b"good", 0.0) is not None
        assert verdicts.find(b"9", 0.0) is None
        assert verdicts.find(b"10", 0.0) is not None

    def test_pods_are_bounded_too(self):
        """The oldest goes."""
        verdicts = Verdicts()
        for number in range(kubernetes.MOST_KNOWN + 1):
            verdicts.keep(b"%d" % number, Verdict(until=60.0, pod=POD))

        assert verdicts.find(b"0", 0.0) is None
        assert verdicts.find(b"1", 0.0) is not None

    def test_all_can_be_forgotten(self):
        """Another configuration asks for other audiences."""
        verdicts = Verdicts()
        verdicts.keep(b"a", Verdict(until=60.0, pod=POD))
        verdicts.keep(b"b", Verdict(until=60.0, reason="x"))
        verdicts.clear()

        assert verdicts.find(b"a", 0.0) is verdicts.find(b"b", 0.0) is None


class TestDigest:
    def test_it_is_the_tokens_sha_256(self):
        """What is remembered cannot be shown to anybody."""
        assert kubernetes.digest_of("abc").hex().startswith("ba7816bf")
        assert kubernetes.digest_of("ä") != kubernetes.digest_of("a")
