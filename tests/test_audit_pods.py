"""What the audit says of pods, and that it says nothing of them where there are none."""

import msgspec

from broker.events import Event, LeaseHanded, RequestDenied, TokenIssued
from broker.model import Pod
from tests.test_audit import Book

POD = Pod(
    namespace="ml", service_account="trainer", name="worker-0", uid="u-1", node="node-a", audiences=("credbroker",)
)
OTHER = msgspec.structs.replace(POD, name="worker-1", uid="u-2")


def lines(*events: Event) -> list[dict[str, object]]:
    return Book().lines(*events)


class TestPod:
    def test_a_line_names_the_whole_pod(self):
        """Where it was, as what it ran, and by its uid: names are used again."""
        handed = LeaseHanded("trainer", "kubernetes", None, None, "train", "arn", 1, 1.8e9, "aws", POD)

        assert lines(handed)[0]["pod"] == {
            "namespace": "ml",
            "service_account": "trainer",
            "name": "worker-0",
            "uid": "u-1",
            "node": "node-a",
            "audiences": ["credbroker"],
        }

    def test_a_token_that_a_pod_swapped_was_issued_by_nobody(self):
        """And for that pod."""
        (line,) = lines(TokenIssued("t1", "trainer", None, 1.8e9, None, POD))

        assert line["by_uid"] is None
        assert isinstance(line["pod"], dict)

    def test_a_line_about_anybody_else_has_no_pod(self):
        """As before there were any."""
        assert "pod" not in lines(RequestDenied("not-granted", 403, "r", uid=1000))[0]

    def test_denials_of_two_pods_are_not_folded_into_one(self):
        """Only repeats of the same are."""
        one, other = (RequestDenied("not-granted", 403, "r", pod=pod) for pod in (POD, OTHER))

        assert len(lines(one, one, other)) == 2
