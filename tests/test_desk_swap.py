"""A reload at the desk: another Book decides, and leases that it still grants stay warm."""

import asyncio

import pytest

from broker.config.shape import CallerEntry, Credential
from broker.errors import Refused
from broker.model import Caller, CallerFacts, Kind, Want
from tests.desks import AWS, Open
from tests.leaping import FakeClock, leap
from tests.made import SERVICE, a_caller, a_role, a_session, an_adc, an_entry, an_hmac

Parts = tuple[Credential | CallerEntry, ...]


def minted_again(before: Parts, after: Parts, caller: Caller | None = None, want: Want = AWS) -> bool:
    """Whether a reload costs a caller the lease that it had."""

    async def main(clock: FakeClock) -> bool:
        async with Open(clock, *before) as play:
            lease = await play.lease(a_caller(*(entry.name for entry in before if isinstance(entry, CallerEntry))))
            play.reload(*after)
            again = await play.lease(caller or a_caller(), want)
            return again is not lease

    return leap(main)


class TestSwap:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ((a_role(),), (a_role(),)),
            ((a_role(),), (a_role(), a_role("new"))),
            ((a_role(),), (a_role(on_denied="keep", required=False),)),
            ((a_role(tags={"a": "1", "b": "2"}),), (a_role(tags={"b": "2", "a": "1"}),)),
            ((a_role(), an_entry("trainer", "train")), (a_role(), an_entry("trainer", "train", bare=True))),
            ((a_role(), an_entry("gone", "train"), an_entry("trainer", "train")), (a_role(),)),
            ((a_session("base"), a_role(base="base")), (a_session("base"), a_role(base="base"))),
        ],
        ids=["nothing", "one more", "not its spec", "only its order", "the caller", "another caller", "a chain"],
    )
    def test_what_changes_nothing_for_a_lease_keeps_it_warm(self, before: Parts, after: Parts):
        """A reload is no outage."""
        assert not minted_again(before, after)

    def test_a_job_keeps_its_key_while_any_of_its_callers_is_granted_it(self):
        """Another one would be one too many, of ten."""
        before = (an_hmac(), an_entry("gone", "hmac"), an_entry("trainer", "hmac"))

        async def main(clock: FakeClock) -> bool:
            async with Open(clock, *before) as play:
                job = a_caller("gone", "trainer", token_id="7")
                lease = await play.lease(job, Want(Kind.GCS_HMAC))
                play.reload(an_hmac(), an_entry("trainer", "hmac"))
                return await play.lease(job, Want(Kind.GCS_HMAC)) is lease

        assert leap(main)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ((a_role(),), (a_role(external_id="x2"),)),
            ((a_role(),), (a_role(duration=900),)),
            ((a_role(),), (a_session("train"),)),
            ((a_session("base"), a_role(base="base")), (a_session("base", profile="prod"), a_role(base="base"))),
        ],
        ids=["its spec", "its duration", "its source", "its base"],
    )
    def test_what_is_minted_otherwise_is_minted_anew(self, before: Parts, after: Parts):
        """The old lease is another one's now, and nobody's."""
        assert minted_again(before, after, want=Want(Kind.AWS, "train"))

    def test_a_users_own_lease_stays_as_long_as_his_caller_is_granted_it(self):
        """It is rendered for one process; the callers beside him are nobody to it."""
        alice = Caller(matches=(CallerFacts(caller="trainer", user="alice", uid="1000"),), how="uid", uid=1000)
        mine = a_role(session_name="j-{user}")

        async def main(clock: FakeClock) -> tuple[bool, int]:
            async with Open(clock, mine, an_entry("trainer", "train"), an_entry("other", "train")) as play:
                lease = await play.lease(alice)
                play.reload(mine, an_entry("trainer", "train"))
                same = await play.lease(alice) is lease
                play.reload(mine, an_entry("other", "train"))
                return same, len(play.rounds.keepers)

        assert leap(main) == (True, 0)

    def test_an_id_tokens_lease_stays_too(self):
        """Its audience is still configured."""

        async def main(clock: FakeClock) -> bool:
            parts = (an_adc(audiences=(SERVICE,)), an_entry("gone", "data"), an_entry("trainer", "data"))
            want = Want(Kind.GOOGLE_ID, audience=SERVICE)
            async with Open(clock, *parts) as play:
                lease = await play.lease(a_caller("gone"), want)
                play.reload(parts[0], parts[2])
                return await play.lease(a_caller(), want) is lease

        assert leap(main)

    def test_a_grant_that_is_gone_is_refused_at_once(self):
        """What was found before is not remembered."""

        async def main(clock: FakeClock) -> tuple[str, int]:
            async with Open(clock, a_role(), an_entry("trainer", "train")) as play:
                await play.lease(a_caller())
                play.reload(a_role(), an_entry("trainer"))
                with pytest.raises(Refused) as caught:
                    play.desk.lease(a_caller(), AWS, "aws")
                return caught.value.reason, len(play.rounds.keepers)

        assert leap(main) == ("not-granted", 0)

    def test_what_is_new_is_minted_before_anybody_asks(self):
        """Warm from the reload on."""

        async def main(clock: FakeClock) -> list[str]:
            async with Open(clock, a_role()) as play:
                play.keep(*play.desk.book.warm())
                await asyncio.sleep(1)
                play.reload(a_role(), a_role("new"))
                await asyncio.sleep(1)
                return play.upstream.labels

        assert leap(main) == ["train", "new"]

    def test_the_first_of_a_kind_is_the_new_files(self):
        """Its order decides, not what was served before."""

        async def main(clock: FakeClock) -> list[str]:
            async with Open(clock, a_role("one"), a_role("two")) as play:
                await play.lease(a_caller())
                play.reload(a_role("two"), a_role("one"))
                await play.lease(a_caller())
                return play.upstream.labels

        assert leap(main) == ["one", "two"]
