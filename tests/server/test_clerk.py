"""What the clerk tells: status, readiness, who am I; to each no more than he may see."""

import os

import msgspec
import pytest

from broker import __version__, clock
from broker import control_api as api
from broker.config.shape import CallerEntry
from broker.errors import ConfigError, IdentityMissing, Mistake, Unreachable
from broker.model import Facts, Want
from tests.made import TRAIN
from tests.server.office import ACCOUNTS, CAROL, DAEMON, DAVE, ERIN, Office, an_office_plan, in_office
from tests.server.plane import ALICE, BOB, STRANGER


def status(office: Office, uid: int = DAEMON) -> api.Status:
    """What that user is told."""
    return office.clerk.status(ACCOUNTS[uid], office.issuer)


def credentials(office: Office, uid: int) -> list[str]:
    """Of the leases that he sees."""
    return [row.credential for row in status(office, uid).leases]


class TestStatus:
    def test_it_says_what_the_daemon_is(self):
        """Version, process, configuration and addresses."""

        async def main(office: Office) -> api.Status:
            return status(office)

        said = in_office(main)

        assert (said.version, said.pid, said.generation) == (__version__, os.getpid(), "1" * 64)
        assert (said.listen, said.admin, said.attestation) == (("127.0.0.1:9911",), "127.0.0.1:9912", "on")

    def test_where_a_secret_lies_is_told_to_operators_alone(self):
        """Nor where the key of sealed leases does; that they are kept is anybody's to know."""

        async def main(office: Office) -> list[tuple[str | None, str]]:
            office.facts.state = lambda: "on: under the key of /secret/key"
            office.work.upstream.trouble = IdentityMissing("/secret/place is empty", code="ReferenceEmpty")
            await office.mint("data")
            said = (status(office, uid) for uid in (DAVE, BOB))
            return [(row.advice, one.state) for one in said for row in one.leases if row.credential == "data"]

        operators, others = in_office(main)

        assert operators == ("/secret/place is empty", "on: under the key of /secret/key")
        assert "/secret" not in str(others)
        assert (others[1], "tells an operator which" in (others[0] or "")) == ("on", True)

    @pytest.mark.parametrize(
        ("uid", "callers", "leases"),
        [
            (ALICE, ["trainer"], ["train", "data"]),
            (BOB, ["guest"], ["data"]),
            (ERIN, ["pods"], ["train"]),
            (CAROL, ["trainer", "pods"], ["train", "data"]),
            (DAVE, ["trainer", "guest", "pods"], ["train", "data"]),
            (STRANGER, [], []),
        ],
    )
    def test_one_sees_one_s_callers_and_their_leases(self, uid: int, callers: list[str], leases: list[str]):
        """A lease that several callers share is each one's, whoever of them was first to ask."""

        async def main(office: Office) -> tuple[list[str], list[str]]:
            await office.mint("train", "data")
            return [row.name for row in status(office, uid).callers], credentials(office, uid)

        assert in_office(main) == (callers, leases)

    def test_a_lease_rendered_for_one_user_is_his_and_the_operators(self):
        """Neither who issues his caller's tokens nor another caller is told of it, though he may have his own."""
        also = CallerEntry(name="also", worker_token=True, grants=("mine",), issuers=("erin",))

        async def main(office: Office) -> list[list[str]]:
            office.clerk.lease(ACCOUNTS[ALICE], Want(None, "mine"))
            return [credentials(office, uid) for uid in (ALICE, DAVE, CAROL, ERIN, BOB)]

        assert in_office(main, an_office_plan(also)) == [["mine"], ["mine"], [], [], []]

    def test_a_shared_lease_is_shown_under_one_s_own_name(self):
        """Which other callers there are is not for everybody to know."""

        async def main(office: Office) -> list[list[str]]:
            await office.mint("data")
            return [[row.caller for row in status(office, uid).leases] for uid in (ALICE, BOB, DAVE)]

        assert in_office(main) == [["trainer"], ["guest"], ["trainer"]]

    def test_a_row_tells_who_it_is_and_how_it_is(self):
        """Never a secret."""

        async def main(office: Office) -> tuple[api.LeaseRow, bytes]:
            office.work.upstream.more = {"facts": Facts(account="123456789012", arn=TRAIN)}
            await office.mint("train")
            said = status(office, ALICE)
            return said.leases[0], msgspec.json.encode(said)

        row, said = in_office(main)

        assert (row.credential, row.source, row.kind, row.caller) == ("train", "aws-assume-role", "aws", "trainer")
        assert (row.identity, row.account, row.state, row.left, row.serial) == (
            TRAIN,
            "123456789012",
            "fresh",
            3600.0,
            1,
        )
        assert b"secret train" not in said
        assert b"session train" not in said

    def test_a_refused_reload_is_told_to_all_and_its_mistake_to_operators(self):
        """A mistake may quote the file, which others need not be able to read; a good one ends it."""

        async def main(office: Office) -> list[api.ReloadRefused | None]:
            office.facts.reloaded(ConfigError(Mistake("a.toml:1", "is wrong"), Mistake("a.toml:2", "is wrong too")))
            said = [status(office, uid).reload_refused for uid in (DAVE, ALICE)]
            office.facts.reloaded(None)
            return [*said, status(office).reload_refused]

        whole, part, after = in_office(main)

        assert whole is not None
        assert abs(whole.at - clock.wall()) < 60
        assert (whole.mistake, whole.mistakes) == ("a.toml:1: is wrong", 2)
        assert part == api.ReloadRefused(at=whole.at)
        assert after is None

    def test_tokens_are_counted_by_caller(self):
        """How many live, not which."""

        async def main(office: Office) -> list[tuple[str, int]]:
            office.issuer.engage(ACCOUNTS[ALICE], api.WorkerOrder())
            office.issuer.issue(ACCOUNTS[CAROL], api.TokenOrder(caller="pods"), None)
            return [(row.name, row.tokens) for row in status(office).callers]

        assert in_office(main) == [("trainer", 2), ("guest", 0), ("pods", 1)]


class TestReadiness:
    def test_what_is_required_and_not_held_is_missing(self):
        """Per-user credentials are not waited for; a failed mint is degraded, held or not."""

        async def main(office: Office) -> list[tuple[bool, tuple[str, ...], tuple[str, ...]]]:
            said = []

            def say() -> None:
                said.append((status(office).ready, office.clerk.missing(), office.clerk.degraded()))

            office.rounds.warm(office.desk.book.warm())
            say()
            await office.mint("train", "data")
            say()
            office.work.upstream.trouble = Unreachable("upstream is down")
            await office.mint("data")
            say()
            office.clock.pass_time(3580.0)
            say()
            return said

        assert in_office(main) == [
            (False, ("data", "train"), ()),
            (True, (), ()),
            (True, (), ("data",)),
            (False, ("data", "train"), ("data",)),
        ]


class TestWho:
    @pytest.mark.parametrize(
        ("uid", "callers", "operator", "granted"),
        [
            (ALICE, ("trainer",), False, ["train", "data", "mine"]),
            (BOB, ("guest",), False, ["data"]),
            (CAROL, (), False, []),
            (DAVE, (), True, []),
        ],
    )
    def test_it_tells_the_asking_user_who_he_is_here(
        self, uid: int, callers: tuple[str, ...], operator: bool, granted: list[str]
    ):
        """And what he may have by that."""

        async def main(office: Office) -> api.Who:
            return office.clerk.who(ACCOUNTS[uid])

        who = in_office(main)

        assert (who.uid, who.user, who.callers, who.operator) == (uid, ACCOUNTS[uid].user, callers, operator)
        assert [one.name for one in who.granted] == granted

    def test_what_a_lease_has_told_is_in_it(self):
        """The project that ADC found, the region of the role."""

        async def main(office: Office) -> tuple[api.Granted, ...]:
            office.work.upstream.more = {"facts": Facts(project="found", region="us-east-1")}
            await office.mint("data")
            return office.clerk.who(ACCOUNTS[ALICE]).granted

        train, data, _ = in_office(main)

        assert (train.region, train.project) == ("eu-west-1", None)
        assert (data.region, data.project) == ("us-east-1", "found")
