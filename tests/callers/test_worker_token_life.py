"""How worker tokens end, how many there may be, and what a restart leaves of them."""

import math
import sys

import msgspec
import pytest

from broker.callers.worker_token import FEW, Kept, WorkerTokens
from broker.errors import Refused
from tests.callers.tokens import WALL, a_caller, an_order, issued


class TestRevoke:
    def test_a_revoked_token_finds_nothing(self) -> None:
        """At once; the others stay."""
        tokens = WorkerTokens()
        (text, entry), (other, _) = issued(tokens), issued(tokens)

        assert tokens.revoke(entry.id) == entry
        assert tokens.find(text, "header", 1.0) is None
        assert tokens.find(other, "header", 1.0) is not None
        assert (len(tokens), tokens.entry(entry.id)) == (1, None)

    def test_an_unknown_id_is_no_token(self) -> None:
        """Twice revoked is once revoked."""
        tokens = WorkerTokens()
        _, entry = issued(tokens)
        tokens.revoke(entry.id)

        assert tokens.revoke(entry.id) is None

    def test_what_was_revoked_does_not_expire_later(self) -> None:
        """The audit log says once how it ended."""
        tokens = WorkerTokens()
        _, entry = issued(tokens)
        tokens.revoke(entry.id)

        assert tokens.expire(61.0) == ()


class TestExpire:
    def test_it_gives_what_has_ended_once(self) -> None:
        """In the order of their ends."""
        tokens = WorkerTokens()
        late, soon, later = (issued(tokens, an_order(ttl=ttl))[1] for ttl in (20.0, 10.0, 30.0))

        assert tokens.expire(9.9) == ()
        assert tokens.expire(20.0) == (soon, late)
        assert tokens.expire(20.0) == ()
        assert tokens.list() == (later,)

    def test_a_token_that_a_connection_holds_does_not_expire(self) -> None:
        """It ends with its connection."""
        tokens = WorkerTokens()
        text, entry = issued(tokens, an_order(ttl=math.inf))

        assert tokens.expire(1e12) == ()
        assert tokens.find(text, "header", 1e12) == entry

    def test_tokens_that_come_and_go_leave_nothing(self) -> None:
        """`exec` issues one that is good for long and revokes it after a second, all day."""
        tokens = WorkerTokens()
        for second in range(2000):
            tokens.revoke(issued(tokens, an_order(ttl=1e6), now=float(second))[1].id)

        assert len(tokens) == 0
        assert len(tokens._ends) < 100
        assert not tokens._issued


class TestBounds:
    def test_a_full_table_refuses_and_says_what_to_do(self) -> None:
        """Nobody else's live token has to give way."""
        tokens = WorkerTokens(most=2)
        issued(tokens)
        issued(tokens)

        with pytest.raises(Refused, match="revoke some") as refused:
            issued(tokens)
        assert (refused.value.status, len(tokens)) == (429, 2)

    def test_what_has_expired_gives_way(self) -> None:
        """And is still told to who asks what has expired."""
        tokens = WorkerTokens(most=2)
        old = issued(tokens, an_order(ttl=5.0))[1]
        issued(tokens)
        issued(tokens, now=6.0)

        assert tokens.expire(6.0) == (old,)
        assert len(tokens) == 2

    def test_one_user_cannot_take_them_all(self) -> None:
        """Another still gets his."""
        tokens = WorkerTokens(most=10, most_per_issuer=2)
        first = issued(tokens)[1]
        issued(tokens)

        with pytest.raises(Refused, match="uid 1000"):
            issued(tokens)
        issued(tokens, an_order(issued_by=1001))
        tokens.revoke(first.id)
        issued(tokens)


class TestReserve:
    def test_the_last_hundredth_is_for_operators(self) -> None:
        """Else a few users who work together could stop everybody's work."""
        tokens = WorkerTokens(most=1000)
        for number in range(990):
            issued(tokens, an_order(issued_by=number))

        with pytest.raises(Refused, match="990 live worker tokens, and what is left is for operators: revoke some"):
            issued(tokens, an_order(issued_by=1001))
        for _ in range(10):
            issued(tokens, an_order(issued_by=0, by_operator=True))
        with pytest.raises(Refused, match="there are 1000 live worker tokens: revoke some"):
            issued(tokens, an_order(issued_by=0, by_operator=True))

    def test_the_last_tenth_is_for_who_has_few(self) -> None:
        """Whoever comes late still gets his; whoever has many waits until some have ended."""
        tokens = WorkerTokens(most=1000)
        mine = [issued(tokens, an_order(issued_by=1))[1] for _ in range(FEW)]
        for number in range(800):
            issued(tokens, an_order(issued_by=number % 20 + 10))

        with pytest.raises(Refused, match=f"what is left is for who has fewer than {FEW}"):
            issued(tokens, an_order(issued_by=1))
        issued(tokens, an_order(issued_by=2))
        tokens.revoke(mine[0].id)
        issued(tokens, an_order(issued_by=1))

    def test_what_has_expired_gives_way_there_too(self) -> None:
        """Before anybody is refused."""
        tokens = WorkerTokens(most=100)
        for number in range(99):
            issued(tokens, an_order(issued_by=number, ttl=5.0))

        assert issued(tokens, an_order(issued_by=1000), now=6.0)[1] in tokens.list()
        assert len(tokens) == 1


class TestAdopt:
    def test_tokens_of_callers_that_are_gone_end(self) -> None:
        """A reload took their caller away."""
        tokens = WorkerTokens()
        text, gone = issued(tokens)
        _, stays = issued(tokens, an_order(a_caller("other")))

        assert tokens.adopt({"other", "new"}) == (gone,)
        assert tokens.list() == (stays,)
        assert tokens.find(text, "header", 1.0) is None

    def test_a_token_of_several_callers_lives_while_one_of_them_is_there(self) -> None:
        """What the others were granted, policy no longer knows."""
        tokens = WorkerTokens()
        _, entry = issued(tokens, an_order(a_caller("trainer", "other")))

        assert tokens.adopt({"other"}) == ()
        assert tokens.adopt({"new"}) == (entry,)


class TestDumpAndLoad:
    def test_live_tokens_survive_a_restart(self) -> None:
        """They are found by the same text, and end at the same time."""
        before, after = WorkerTokens(), WorkerTokens()
        text, entry = issued(before)
        packed = msgspec.msgpack.encode(before.dump())
        after.load(msgspec.msgpack.decode(packed, type=tuple[Kept, ...]), 30.0, WALL + 30.0)

        assert after.find(text, "header", 30.0) == entry
        assert after.expire(60.0) == (entry,)

    def test_a_held_one_survives_with_its_infinite_end(self) -> None:
        """Its connection is then to claim it again."""
        before, after = WorkerTokens(), WorkerTokens()
        text, entry = issued(before, an_order(ttl=math.inf))
        packed = msgspec.msgpack.encode(before.dump())
        after.load(msgspec.msgpack.decode(packed, type=tuple[Kept, ...]), 30.0, WALL + 30.0)

        assert after.find(text, "header", 1e9) == entry

    @pytest.mark.parametrize("now", [60.0, 61.0, 9.9])
    def test_what_has_expired_or_is_of_another_boot_is_dropped(self, now: float) -> None:
        """The boot clock begins anew with each boot."""
        before, after = WorkerTokens(), WorkerTokens()
        issued(before, an_order(ttl=50.0), now=10.0)
        after.load(before.dump(), now, WALL + now)

        assert len(after) == 0

    def test_the_same_token_twice_is_one(self) -> None:
        """And counts once against its issuer."""
        tokens = WorkerTokens(most_per_issuer=2)
        issued(tokens)
        tokens.load(tokens.dump() * 2, 1.0, WALL + 1.0)
        issued(tokens)

        assert len(tokens) == 2

    def test_no_more_than_the_table_holds_is_taken_back(self) -> None:
        """Whatever the file says."""
        before, after = WorkerTokens(), WorkerTokens(most=3)
        for _ in range(5):
            issued(before)
        after.load(before.dump(), 1.0, WALL + 1.0)

        assert len(after) == 3
        assert sys.getsizeof(after._ends) < 1000
