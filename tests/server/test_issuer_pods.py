"""Path tokens of pods, as people see them, and what a new configuration does to them."""

from broker.callers.accounts import Account
from broker.config.shape import Config
from broker.control_api import WorkerOrder
from broker.errors import Refused
from broker.events import TokenRevoked
from broker.plan import make_book
from broker.server.issuer import Issuer
from broker.server.rights import Rights
from tests import made
from tests.server.pods import Office, of_pods
from tests.server.test_reception_pods import at_work
from tests.server.test_swap import status, swapped

ROOT = Account(0, "root")


def an_issuer(office: Office, host: str = "127.0.0.1") -> Issuer:
    return Issuer(
        rights=Rights(office.desk),
        worker_tokens=office.tokens,
        granted=lambda _: (),
        where=lambda: (host, 9911),
        note=office.noted.append,
        clock=office.clock,
        of_pod=office.reviews.of,
    )


def reload(office: Office, config: Config) -> None:
    before, office.config = office.config, config
    office.desk.swap(make_book(config))
    office.reviews.adopt(before)
    an_issuer(office).adopt(office.desk.book)


class TestListed:
    def test_an_operator_sees_whose_it_is(self):
        """And that no user issued it."""

        async def main(office: Office) -> None:
            await swapped(office)
            (listed,) = an_issuer(office).seen_by(ROOT)
            assert (listed.caller, listed.purpose, listed.issued_by, listed.pod) == (
                "trainer",
                "path",
                None,
                "ml/worker-0",
            )
            assert listed.token is None

        at_work(main)

    def test_an_operator_revokes_it(self):
        """From the next request on; the pod may swap again, as it may ask for leases."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            (listed,) = an_issuer(office).seen_by(ROOT)
            an_issuer(office).revoke(ROOT, listed.id)
            assert await status(office, token) == 401

        at_work(main)


class TestAdopt:
    def test_a_pod_that_is_still_the_same_keeps_its_token(self):
        """Other callers come and go."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            reload(office, made.a_config(made.an_adc(), of_pods("trainer", "data"), made.an_entry("bob")))
            assert await status(office, token) == 200

        at_work(main)

    def test_a_pod_that_is_nobody_now_loses_it(self):
        """Though a caller of that name is still there."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            reload(office, made.a_config(made.an_adc(), of_pods("trainer", "data", service_account="eval")))
            assert await status(office, token) == 401
            assert [event.why for event in office.noted if isinstance(event, TokenRevoked)] == ["caller-gone"]

        at_work(main)

    def test_a_pod_that_is_more_now_asks_anew(self):
        """A token stands for the callers that it was issued for."""

        async def main(office: Office) -> None:
            token = (await swapped(office))["token"]
            reload(office, made.a_config(made.an_adc(), of_pods("trainer", "data"), of_pods("more")))
            assert await status(office, token) == 401
            assert await status(office, (await swapped(office))["token"]) == 200

        at_work(main)


class TestEngage:
    def test_a_daemon_for_pods_alone_gives_exec_nothing(self):
        """Worker tokens would open nothing there."""

        async def main(office: Office) -> str:
            try:
                an_issuer(office, host="").engage(ROOT, WorkerOrder())
            except Refused as error:
                return error.code
            return "engaged"

        assert at_work(main) == "PodsAlone"
