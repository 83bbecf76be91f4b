"""Held tokens after a restart: whoever held them has a while to claim them."""

import math

import pytest

from broker.callers.worker_token import CLAIM, WorkerTokens
from broker.errors import Refused
from tests.callers.tokens import WALL, an_order, issued

RESTART = 100.0


class Restarted:
    """A table that has taken back a worker's two held tokens and somebody else's ordinary one."""

    def __init__(self) -> None:
        before, self.tokens = WorkerTokens(), WorkerTokens()
        self.header, entry = issued(before, an_order(ttl=math.inf, held=True))
        self.path, _ = issued(before, an_order(ttl=math.inf, held=True, purpose="path", beside=entry.id))
        self.ordinary, _ = issued(before, an_order(ttl=1000.0))
        self.tokens.load(before.dump(), RESTART, WALL + RESTART)

    def ends(self, text: str, purpose: "str" = "header") -> float:
        """When a token ends."""
        found = self.tokens.find(text, purpose, RESTART)  # type: ignore[arg-type]  # one of the two
        assert found is not None
        return found.ends


class TestUnclaimed:
    def test_they_are_good_for_a_while(self) -> None:
        """So that a worker does not notice the restart."""
        restarted = Restarted()

        assert restarted.ends(restarted.header) == restarted.ends(restarted.path, "path") == RESTART + CLAIM
        assert restarted.ends(restarted.ordinary) == 1000.0

    def test_then_they_end(self) -> None:
        """Both of them."""
        restarted = Restarted()

        assert len(restarted.tokens.expire(RESTART + CLAIM)) == 2
        assert restarted.tokens.find(restarted.header, "header", RESTART + CLAIM) is None
        assert len(restarted.tokens) == 1

    def test_a_second_restart_gives_another_while(self) -> None:
        """A daemon that starts twice in a minute."""
        restarted, again = Restarted(), WorkerTokens()
        again.load(restarted.tokens.dump(), RESTART + 10, WALL + RESTART + 10)
        found = again.find(restarted.header, "header", RESTART + 10)

        assert found is not None
        assert found.ends == RESTART + 10 + CLAIM


class TestClaim:
    def test_both_are_held_from_then_on(self) -> None:
        """By showing the one; they do not expire at the time that they would have."""
        restarted = Restarted()
        claimed = restarted.tokens.claim(restarted.header, RESTART + 1, 1000)

        assert {entry.purpose for entry in claimed} == {"header", "path"}
        assert restarted.tokens.expire(RESTART + CLAIM) == ()
        assert restarted.ends(restarted.header) == restarted.ends(restarted.path, "path") == math.inf

    def test_what_was_claimed_can_still_be_revoked(self) -> None:
        """Its connection ends like any other."""
        restarted = Restarted()
        for entry in restarted.tokens.claim(restarted.header, RESTART, 1000):
            restarted.tokens.revoke(entry.id)

        assert [entry.held for entry in restarted.tokens.list()] == [False]

    def test_twice_is_once(self) -> None:
        """A connection holds it."""
        restarted = Restarted()
        restarted.tokens.claim(restarted.header, RESTART, 1000)

        with pytest.raises(Refused) as refused:
            restarted.tokens.claim(restarted.header, RESTART, 1000)
        assert refused.value.status == 409

    @pytest.mark.parametrize("which", ["path", "ordinary", "unknown"])
    def test_nothing_else_is_claimed(self, which: str) -> None:
        """A path token ends up in error texts, an ordinary one was never held."""
        restarted = Restarted()
        text = getattr(restarted, which, "cbw_" + "x" * 43)

        with pytest.raises(Refused) as refused:
            restarted.tokens.claim(text, RESTART, 1000)
        assert refused.value.status == 404

    def test_nor_by_another_user(self) -> None:
        """Whoever has seen it."""
        restarted = Restarted()

        with pytest.raises(Refused) as refused:
            restarted.tokens.claim(restarted.header, RESTART, 1001)
        assert refused.value.status == 404

    def test_nor_after_its_time(self) -> None:
        """Swept or not."""
        restarted = Restarted()

        with pytest.raises(Refused):
            restarted.tokens.claim(restarted.header, RESTART + CLAIM, 1000)
