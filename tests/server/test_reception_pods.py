"""Pods at the worker plane: who is served where, by what it shows."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest

from broker.callers.worker_token import TokenOrder
from broker.config.shape import CallerEntry, Limits
from broker.events import LeaseHanded, RequestDenied
from broker.model import Caller, CallerFacts
from broker.plan import make_book
from broker.server.limiter import MOST_FAILURES
from broker.server.link import Link
from broker.server.reception import Late
from broker.wire import Reply
from tests import made
from tests.jwts import forgeries
from tests.leaping import FakeClock, leap
from tests.server.pods import LOOPBACK, POD_PLANE, Office, of_pods

T = TypeVar("T")


def at_work(main: Callable[[Office], Awaitable[T]], *callers: CallerEntry) -> T:
    async def run(clock: FakeClock) -> T:
        office = Office(clock, *callers)
        async with asyncio.TaskGroup() as loops:
            reviewer = loops.create_task(office.reviews.run())
            try:
                return await main(office)
            finally:
                reviewer.cancel()
                await office.rounds.close()
                office.directory.close()

    return leap(run)


def body(reply: Reply) -> dict[str, Any]:
    return msgspec.json.decode(reply.body, type=dict[str, Any])


def issued(office: Office, purpose: Any, caller: str = "trainer") -> str:
    """A worker token that an operator issued, bound to no uid."""
    order = TokenOrder(
        caller=Caller(matches=(CallerFacts(caller=caller),), how="token"), purpose=purpose, ttl=600.0, issued_by=0
    )
    return office.tokens.issue(order, office.clock.now(), office.clock.wall())[0].open()


def reasons(office: Office) -> list[str]:
    return [event.reason for event in office.noted if isinstance(event, RequestDenied)]


class TestProjectedToken:
    @pytest.mark.parametrize("accepted_on", [POD_PLANE, LOOPBACK, ("fd00:ec2::23", 80), ("::1", 9911)])
    def test_a_pod_gets_its_lease_wherever_it_asks(self, accepted_on: tuple[str, int]):
        """As a sidecar, on the host's network, or on the pods' own address."""

        async def main(office: Office) -> Reply:
            host, port = accepted_on
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            return await office.answered(
                "/aws", Link(accepted_on, None, peer="10.1.0.7"), authorization=office.token(), host=shown
            )

        assert body(at_work(main))["AccessKeyId"] == "ASIA1"

    def test_the_audit_line_names_the_pod(self):
        """Which caller it was is not enough on a node with a hundred of them."""

        async def main(office: Office) -> None:
            await office.answered("/aws", authorization=office.token())
            await office.answered("/aws", authorization=office.token())
            (handed,) = [event for event in office.noted if isinstance(event, LeaseHanded)]
            assert (handed.caller, handed.how, handed.uid, handed.token_id) == ("trainer", "kubernetes", None, None)
            assert handed.pod is not None
            assert (handed.pod.namespace, handed.pod.name, handed.pod.uid) == ("ml", "worker-0", office.pod.uid)

        at_work(main)

    def test_two_pods_are_two_in_the_audit(self):
        """Each has had the lease."""

        async def main(office: Office) -> None:
            other = office.cluster.run("ml", "trainer", "worker-1")
            for pod in (office.pod, other):
                await office.answered("/aws", authorization=office.token(pod))
            handed = [event.pod.name for event in office.noted if isinstance(event, LeaseHanded) and event.pod]
            assert handed == ["worker-0", "worker-1"]

        at_work(main)

    def test_what_it_is_not_granted_is_denied_by_name_of_the_pod(self):
        """In the audit line, and nowhere else."""

        async def main(office: Office) -> None:
            reply = await office.answered("/aws/base", authorization=office.token())
            (denied,) = [event for event in office.noted if isinstance(event, RequestDenied)]
            assert (reply.status, denied.reason) == (403, "not-granted")
            assert denied.pod is not None
            assert denied.pod.name == "worker-0"

        at_work(main)

    def test_templates_of_a_uid_have_nothing_to_say_of_a_pod(self):
        """It denies rather than to fill in whatever uid there is."""

        async def main(office: Office) -> Reply:
            role = made.a_role(session_name="{user}-{uid}")
            office.config = made.a_config(role, of_pods("trainer", "train"))
            office.desk.swap(make_book(office.config))
            return await office.answered("/aws", authorization=office.token())

        assert at_work(main).status == 403

    def test_no_forgery_gets_a_lease(self):
        """Whatever dialect it asks."""

        async def main(office: Office) -> dict[str, set[int]]:
            found: dict[str, set[int]] = {}
            for name, token in forgeries(office.cluster, office.pod).items():
                paths = ("/aws", "/token", "/env/train", "/worker-token")
                found[name] = {(await office.answered(path, authorization=token)).status for path in paths}
            return found

        found = at_work(main)
        assert {name for name, statuses in found.items() if statuses != {401}} == set()

    def test_a_bad_token_is_never_taken_for_the_uid_of_its_connection(self):
        """What is shown decides alone, even for a uid that is a caller with `bare`."""

        async def main(office: Office) -> Reply:
            return await office.answered("/aws", Link(LOOPBACK, 1000), authorization="a.b.c")

        assert at_work(main).status == 401

    def test_without_a_pod_in_the_configuration_a_token_is_nonsense(self):
        """As before there were pods."""

        async def main(office: Office) -> list[str]:
            assert (await office.answered("/aws", Link(LOOPBACK, None), authorization=office.token())).status == 401
            return reasons(office)

        assert at_work(main, made.an_entry("alice", "train")) == ["no-kubernetes-caller"]


class TestPodsAlone:
    @pytest.mark.parametrize("path", ["/aws", "/token", "/env/train", "/computeMetadata/v1/project/project-id"])
    @pytest.mark.parametrize("fields", [{}, {"authorization": "attested"}, {"metadata_flavor": "Google"}])
    def test_nobody_is_known_by_a_uid_there(self, path: str, fields: dict[str, Any]):
        """Whatever the kernel would say of that connection; not even where showing nothing is enough elsewhere."""

        async def main(office: Office) -> int:
            return (await office.answered(path, Link(POD_PLANE, 1000, peer="10.1.0.7"), **fields)).status

        assert at_work(main) == 401

    def test_a_worker_token_is_nobodys_there(self):
        """It is good where it was issued for: on loopback."""

        async def main(office: Office) -> None:
            token = issued(office, "header")
            assert (await office.answered("/aws", authorization=token)).status == 401
            assert (await office.answered("/aws", Link(LOOPBACK, None), authorization=token)).status == 200
            assert reasons(office) == ["pods-alone"]

        at_work(main)

    def test_a_path_token_that_no_pod_swapped_is_nobodys_there(self):
        """Likewise."""

        async def main(office: Office) -> None:
            path = f"/w/{issued(office, 'path')}/computeMetadata/v1/instance/service-accounts/default/token"
            flavor: dict[str, Any] = {"metadata_flavor": "Google"}
            assert (await office.answered(path, **flavor)).status == 401
            assert (await office.answered(path, Link(LOOPBACK, None), **flavor)).status == 200

        at_work(main)

    def test_a_probe_is_answered_there_too(self):
        """google-auth looks whether there is a metadata server before it asks for anything; no secret is there."""

        async def main(office: Office) -> tuple[int, int]:
            path = f"/w/{issued(office, 'path')}"
            return (await office.answered("/")).status, (await office.answered(path)).status

        assert at_work(main) == (200, 200)


class TestLimits:
    def test_a_pod_that_guesses_is_answered_late_and_no_other_is(self):
        """By its address, since nobody knows who it is."""

        async def main(office: Office) -> None:
            guesser, other = Link(POD_PLANE, None, peer="10.1.0.7"), Link(POD_PLANE, None, peer="10.1.0.8")
            asked = office.asked("/aws", authorization="a.b.c")
            answers = [office.reception.answer(asked, guesser) for _ in range(MOST_FAILURES + 1)]
            assert [type(answer) for answer in answers[-2:]] == [Reply, Late]
            assert isinstance(office.reception.answer(asked, other), Reply)
            assert {event.peer for event in office.noted if isinstance(event, RequestDenied)} == {
                "10.1.0.7",
                "10.1.0.8",
            }

        at_work(main)

    def test_it_is_served_all_the_same_once_it_shows_something_good(self):
        """What fails in one of its processes is not another's fault."""

        async def main(office: Office) -> int:
            for _ in range(MOST_FAILURES + 1):
                await office.answered("/aws", authorization="a.b.c")
            return (await office.answered("/aws", authorization=office.token())).status

        assert at_work(main) == 200

    def test_a_pod_that_floods_spends_its_own_bucket(self):
        """Its siblings of the same service account, and so of the same caller, have theirs."""

        async def main(office: Office) -> list[int]:
            office.limits(Limits(requests_burst=3, requests_per_second=1))
            other = office.cluster.run("ml", "trainer", "worker-1")
            tokens = [office.token()] * 5 + [office.token(other)]
            return [(await office.answered("/aws", authorization=token)).status for token in tokens]

        assert at_work(main) == [200, 200, 200, 503, 503, 200]

    def test_a_review_costs_one_request_and_no_more(self):
        """The first request is asked again when its review has landed, and again when its mint has."""

        async def main(office: Office) -> list[int]:
            office.limits(Limits(requests_burst=2, requests_per_second=1))
            token = office.token()
            return [(await office.answered("/aws", authorization=token)).status for _ in range(3)]

        assert at_work(main) == [200, 200, 503]
