"""Who asks, by each thing that a request may show, on each kind of listener."""

import asyncio

import pytest

from broker.callers import match
from broker.callers.imds_token import ImdsTokens
from broker.callers.worker_token import TokenOrder, WorkerTokens
from broker.config.shape import CallerEntry
from broker.errors import Refused
from broker.model import Caller, CallerFacts
from broker.server.directory import Directory, LookUp
from broker.server.identifying import Identifier
from broker.server.link import Link
from tests.leaping import FakeClock
from tests.made import an_entry

ALICE, BOB = 1000, 2000  # an_entry is uid 1000
CALLERS = (an_entry("alice", "train"), an_entry("bare", "train", bare=True))
PODS = Link(("169.254.170.23", 9911), None, peer="10.1.0.7")


def from_uid(uid: int | None) -> Link:
    return Link(("127.0.0.1", 9911), uid, peer="127.0.0.1")


class Hall:
    """An Identifier without a cluster, over a name service that knows numbers only."""

    def __init__(self, callers: tuple[CallerEntry, ...] = CALLERS) -> None:
        self.clock = FakeClock()
        self.tokens = WorkerTokens()
        self.sessions = ImdsTokens()
        self.directory = Directory(lambda: callers, self.clock.now)
        self.identifier = Identifier(
            callers=lambda: callers,
            tokens=self.tokens,
            directory=self.directory,
            clock=self.clock,
            attesting=True,
            imds_tokens=self.sessions,
            reviews=None,
        )

    def token(self, purpose: str = "header", uid: int | None = None) -> str:
        caller = Caller(matches=(CallerFacts(caller="alice"),), how="token", uid=uid)
        order = TokenOrder(caller=caller, purpose=purpose, ttl=60.0, issued_by=0)  # type: ignore[arg-type]  # a word
        return self.tokens.issue(order, self.clock.now(), self.clock.wall())[0].open()

    async def known(self, shown: match.Shown, link: Link) -> str:
        """The caller's name, or the reason of the refusal."""
        try:
            found = self.identifier.caller(shown, link)
            while isinstance(found, LookUp):
                await asyncio.sleep(0.001)
                found = self.identifier.caller(shown, link)
        except Refused as error:
            return error.reason
        assert isinstance(found, Caller)
        return found.name


def known(shown: match.Shown, link: Link, hall: Hall | None = None) -> str:
    hall = hall or Hall()
    try:
        return asyncio.run(hall.known(shown, link))
    finally:
        hall.directory.close()


class TestCaller:
    @pytest.mark.parametrize(
        ("shown", "uid", "who"),
        [
            (match.Attested(), ALICE, "alice+bare"),
            (match.Attested(), BOB, "uid-matches-nobody"),
            (match.Attested(), None, "not-attested"),
            (match.Bare(), ALICE, "bare"),
            (match.Bare(), None, "nothing-shown"),
            (match.Bad("authorization-not-ours"), ALICE, "authorization-not-ours"),
            (match.ProjectedToken("a.b.c"), ALICE, "no-kubernetes-caller"),
            (match.ImdsToken("made up"), ALICE, "imds-token-not-good"),
            (match.ImdsToken("made up"), None, "not-attested"),
        ],
    )
    def test_on_loopback_the_kernel_is_asked_where_nothing_else_is_shown(
        self, shown: match.Shown, uid: int | None, who: str
    ):
        """What is bad is never taken for the uid."""
        assert known(shown, from_uid(uid)) == who

    @pytest.mark.parametrize("shown", [match.Attested(), match.Bare(), match.HeaderToken("cbw_"), match.ImdsToken("t")])
    def test_where_pods_alone_are_served_nothing_but_a_pods_token_counts(self, shown: match.Shown):
        """Not even a good worker token, nor a uid that somehow became known."""
        assert known(shown, Link(PODS.accepted_on, ALICE, peer="127.0.0.1")) == "pods-alone"

    def test_a_token_is_its_caller_for_its_uid_alone(self):
        """And one that is bound to nobody is everybody's, except among pods."""
        hall = Hall()
        bound, free = hall.token(uid=ALICE), hall.token()

        shown = [(bound, from_uid(ALICE)), (bound, from_uid(BOB)), (free, from_uid(BOB)), (free, PODS)]
        assert [known(match.HeaderToken(text), link, hall) for text, link in shown] == [
            *("alice", "token-of-another-uid", "alice", "pods-alone")
        ]

    def test_a_path_token_that_no_pod_has_is_nobodys_among_pods(self):
        """It was issued for loopback."""
        hall = Hall()
        shown = match.PathToken(hall.token("path"), ("computeMetadata",))

        assert (known(shown, from_uid(None), hall), known(shown, PODS, hall)) == ("alice", "pods-alone")

    def test_a_token_of_the_other_purpose_is_unknown(self):
        """A URL does not open what a header does."""
        hall = Hall()

        assert known(match.HeaderToken(hall.token("path")), from_uid(ALICE), hall) == "token-unknown"


class TestNewSession:
    def test_it_is_for_the_kernels_uid(self):
        """And holds for no other."""
        hall = Hall()
        session = hall.identifier.new_session(60, match.Attested(), from_uid(ALICE))
        shown = match.ImdsToken(session.open())

        assert known(shown, from_uid(ALICE), hall) == "alice+bare"
        assert known(shown, from_uid(BOB), hall) == "imds-token-not-good"

    @pytest.mark.parametrize(
        ("shown", "link"), [(match.HeaderToken("cbw_"), from_uid(ALICE)), (match.Attested(), from_uid(None))]
    )
    def test_and_for_nobody_else(self, shown: match.Shown, link: Link):
        """A worker token may be shown by another uid than it says."""
        with pytest.raises(Refused):
            Hall().identifier.new_session(60, shown, link)
