"""The desk: who asks for what, and the held lease that answers."""

import asyncio

import pytest

from broker import desk
from broker.errors import Denied, NotReady, Refused, Unreachable
from broker.events import LeaseHanded, StaleServed
from broker.model import Caller, CallerFacts, Facts, Kind, Lease, Want
from broker.rounds import Flight
from tests.desks import AWS, GOOGLE, Open
from tests.leaping import EPOCH, FakeClock, leap
from tests.made import SERVICE, a_caller, a_role, a_session, an_adc, an_entry, keys

EMAIL = "train@my-project.iam.gserviceaccount.com"


def refused(play: Open, want: Want, caller: Caller | None = None) -> tuple[int, str, str]:
    """What a refusal shows to whom it refuses."""
    with pytest.raises(Refused) as caught:
        play.desk.lease(caller or a_caller(), want, "aws")
    return caught.value.status, caught.value.code, caught.value.advice


class TestLease:
    def test_a_held_one_is_answered_at_once(self):
        """From memory: no flight, no wait, and it is counted."""

        async def main(clock: FakeClock) -> tuple[object, int, int]:
            async with Open(clock, a_role()) as play:
                (keeper,) = play.keep(*play.desk.book.warm())
                await asyncio.sleep(1)
                found = [play.desk.lease(a_caller(), AWS, "aws") for _ in range(3)]
                assert all(one is keeper.lease for one in found)
                return found[0], keeper.served, len(play.upstream.asked)

        lease, served, asked = leap(main)

        assert isinstance(lease, Lease)
        assert lease.value == keys("train-1")
        assert (served, asked) == (3, 1)

    def test_a_cold_one_is_a_flight_for_all_who_ask(self):
        """One mint, and then a lease."""

        async def main(clock: FakeClock) -> tuple[set[int], int]:
            async with Open(clock, a_role()) as play:
                flights = [play.desk.lease(a_caller(uid=n), AWS, "aws") for n in range(100)]
                assert all(isinstance(flight, Flight) for flight in flights)
                await play.lease(a_caller())
                return {id(flight) for flight in flights}, len(play.upstream.asked)

        flights, asked = leap(main)

        assert (len(flights), asked) == (1, 1)

    def test_what_renders_for_another_is_another_lease(self):
        """Nobody is ever given the lease of another caller."""
        alice, bob = (
            Caller(matches=(CallerFacts(caller="trainer", user=user),), how="uid", uid=uid)
            for user, uid in (("alice", 1), ("bob", 2))
        )

        async def main(clock: FakeClock) -> tuple[Lease, Lease, Lease]:
            async with Open(clock, a_role(session_name="j-{user}")) as play:
                return await play.lease(alice), await play.lease(bob), await play.lease(alice)

        first, other, again = leap(main)

        assert first is again
        assert first.value != other.value

    def test_why_nothing_can_be_had_now_is_said(self):
        """503 with the seconds until it is worth asking again; 403 where asking cannot help."""

        async def main(clock: FakeClock) -> tuple[NotReady, Denied]:
            async with Open(clock, a_role("one"), a_role("other")) as play:
                play.upstream.trouble = lambda one: (
                    Denied("no", code="AccessDenied") if one.label == "other" else Unreachable("no answer")
                )
                for name in ("one", "other"):
                    play.desk.lease(a_caller(), Want(Kind.AWS, name), "aws")
                await asyncio.sleep(0.5)
                with pytest.raises(NotReady) as wait:
                    play.desk.lease(a_caller(), Want(Kind.AWS, "one"), "aws")
                with pytest.raises(Denied) as final:
                    play.desk.lease(a_caller(), Want(Kind.AWS, "other"), "aws")
                return wait.value, final.value

        wait, final = leap(main)

        assert (wait.status, wait.retry_after) == (503, 1.0)
        assert (final.status, final.code) == (403, "AccessDenied")

    def test_one_that_is_served_while_its_refresh_fails_is_noted_each_time(self):
        """`stale_served_total` says how many lived on it."""

        async def main(clock: FakeClock) -> tuple[int, int]:
            async with Open(clock, a_role()) as play:
                await play.lease(a_caller())
                before = len(play.noted(StaleServed))
                play.upstream.trouble = lambda _: Unreachable("no answer")
                await asyncio.sleep(2000)
                for _ in range(3):
                    await play.lease(a_caller())
                return before, len(play.noted(StaleServed))

        assert leap(main) == (0, 3)

    def test_it_remembers_no_more_than_it_may(self, monkeypatch: pytest.MonkeyPatch):
        """A million callers are a million entries, once."""
        monkeypatch.setattr(desk, "MOST_REMEMBERED", 10)

        async def main(clock: FakeClock) -> int:
            async with Open(clock, a_role()) as play:
                for uid in range(100):
                    await play.lease(a_caller(uid=uid))
                return len(play.desk._found)

        assert leap(main) <= 10


class TestRefusals:
    def test_not_granted_and_not_existing_are_refused_alike(self):
        """To the byte: nobody learns by asking what there is."""

        async def main(clock: FakeClock) -> set[tuple[int, str, str]]:
            async with Open(clock, a_role(), a_role("secret"), an_entry("trainer", "train")) as play:
                wants = [Want(Kind.AWS, name) for name in ("secret", "nothing", "", "train.x")]
                return {refused(play, want) for want in (*wants, GOOGLE, Want(None, "secret"))}

        assert leap(main) == {(403, "AccessDenied", "not granted")}

    def test_an_audience_that_nobody_configured_is_not_found(self):
        """As at the real metadata server; and so is an account."""

        async def main(clock: FakeClock) -> set[tuple[int, str, str]]:
            async with Open(clock, an_adc(audiences=(SERVICE,))) as play:
                wants = [Want(Kind.GOOGLE_ID, audience="x"), Want(Kind.GOOGLE, account=EMAIL)]
                return {refused(play, want) for want in wants}

        assert leap(main) == {(404, "NotFound", "not found")}

    def test_nothing_is_minted_for_who_is_refused(self):
        """An outsider cannot make us work."""

        async def main(clock: FakeClock) -> tuple[int, int]:
            async with Open(clock, a_role("secret"), an_entry("trainer")) as play:
                for name in ("secret", "nothing", None):
                    refused(play, Want(Kind.AWS, name))
                await asyncio.sleep(10)
                return len(play.upstream.asked), len(play.rounds.keepers)

        assert leap(main) == (0, 0)


class TestAccounts:
    def test_a_google_account_names_the_credential_whose_lease_is_its(self):
        """Known once the lease tells; before, it is not found."""

        async def main(clock: FakeClock) -> tuple[str, Lease, Lease]:
            async with Open(clock, an_adc("other"), an_adc("data", audiences=(SERVICE,))) as play:
                await play.lease(a_caller(), Want(Kind.GOOGLE, "other"))
                play.upstream.facts = Facts(email=EMAIL)
                early = refused(play, Want(Kind.GOOGLE, account=EMAIL))[1]
                named = await play.lease(a_caller(), Want(Kind.GOOGLE, "data"))
                found = await play.lease(a_caller(), Want(Kind.GOOGLE, account=EMAIL))
                assert found is named
                return early, named, await play.lease(a_caller(), Want(Kind.GOOGLE_ID, None, EMAIL, SERVICE))

        early, named, id_token = leap(main)

        assert early == "NotFound"
        assert type(id_token.value) is not type(named.value)

    def test_an_account_of_a_credential_that_is_not_granted_is_unknown(self):
        """Nobody learns whose tokens there are."""

        async def main(clock: FakeClock) -> str:
            async with Open(clock, an_adc(), an_entry("trainer"), an_entry("other", "data")) as play:
                play.upstream.facts = Facts(email=EMAIL)
                await play.lease(a_caller("other"), GOOGLE)
                return refused(play, Want(Kind.GOOGLE, account=EMAIL))[1]

        assert leap(main) == "NotFound"


class TestHandedOn:
    @pytest.mark.parametrize(("shared", "outcome"), [(True, "handed"), (False, "identity-not-shared")])
    def test_the_daemons_own_session_needs_a_word(self, shared: bool, outcome: str):
        """`share_identity` says that workers may be what the daemon is."""

        async def main(clock: FakeClock) -> tuple[str, int]:
            async with Open(clock, a_session(share_identity=shared)) as play:
                play.upstream.facts = Facts(handed_on=True)
                try:
                    await play.lease(a_caller())
                except Refused as error:
                    return error.reason, len(play.noted(LeaseHanded))
                return "handed", len(play.noted(LeaseHanded))

        assert leap(main) == (outcome, int(shared))

    def test_a_twin_that_may_be_shared_opens_nothing(self):
        """Two credentials of one spec, and one of them has the word."""

        async def main(clock: FakeClock) -> str:
            async with Open(
                clock,
                a_session("shared", share_identity=True),
                a_session("private"),
                an_entry("one", "shared"),
                an_entry("trainer", "private"),
            ) as play:
                play.upstream.facts = Facts(handed_on=True)
                await play.lease(a_caller("one"))
                with pytest.raises(Refused) as caught:
                    await play.lease(a_caller())
                return caught.value.reason

        assert leap(main) == "identity-not-shared"

    def test_taking_the_word_back_counts_at_once(self):
        """Also for who has had the lease already."""

        async def main(clock: FakeClock) -> tuple[int, str, str]:
            async with Open(clock, a_session(share_identity=True)) as play:
                play.upstream.facts = Facts(handed_on=True)
                await play.lease(a_caller())
                play.reload(a_session(share_identity=False))
                return refused(play, AWS)

        assert leap(main)[0] == 403


class TestHanded:
    def test_it_is_noted_once_for_each_token_and_uid_and_lease(self):
        """The audit says who first had which lease; the hot path says nothing."""
        callers = [a_caller(uid=1), a_caller(uid=2), a_caller(uid=1, token_id="t1"), a_caller(uid=1, token_id="t2")]

        async def main(clock: FakeClock) -> list[object]:
            async with Open(clock, a_role()) as play:
                for _ in range(3):
                    for caller in callers:
                        await play.lease(caller)
                await asyncio.sleep(2000)
                await play.lease(callers[0])
                await play.lease(callers[0])
                return list(play.noted(LeaseHanded))

        events = [event for event in leap(main) if isinstance(event, LeaseHanded)]

        assert [(event.token_id, event.uid, event.serial) for event in events] == [
            (None, 1, 1),
            (None, 2, 1),
            ("t1", 1, 1),
            ("t2", 1, 1),
            (None, 1, 2),
        ]

    def test_it_says_who_what_and_until_when(self):
        """All that an auditor asks, and no secret."""

        async def main(clock: FakeClock) -> list[object]:
            async with Open(clock, a_role(), an_entry("a", "train"), an_entry("b")) as play:
                play.upstream.facts = Facts(arn="arn")
                await play.lease(a_caller("a", "b", token_id="t1"))
                return list(play.noted(LeaseHanded))

        (event,) = leap(main)

        assert event == LeaseHanded(
            caller="a+b",
            how="token",
            uid=1000,
            token_id="t1",
            credential="train",
            identity="arn",
            serial=1,
            expires_at=EPOCH + 3600.2,
            dialect="aws",
        )


class TestKeepersOf:
    def test_it_is_all_that_is_granted_with_the_first_of_each_kind(self):
        """What a worker's environment is made of; what cannot be rendered is left out."""

        async def main(clock: FakeClock) -> list[tuple[str, bool]]:
            async with Open(
                clock, a_role("mine", session_name="{group}"), a_role("one"), an_adc("data"), a_role("two")
            ) as play:
                return [(keeper.rendered.label, first) for keeper, first in play.desk.keepers_of(a_caller())]

        assert leap(main) == [("one", True), ("data", True), ("two", False)]
