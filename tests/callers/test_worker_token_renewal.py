"""Tokens of a text that somebody else made, which live on by being asked for again."""

import pytest

from broker.callers.worker_token import WorkerTokens, encoded
from broker.errors import Refused
from tests.callers.tokens import WALL, an_order, issued

TEXT = "cbp_" + encoded(bytes(32))


class TestRenew:
    def test_a_new_text_is_a_new_token(self):
        """Found by it from then on, and only for its purpose."""
        tokens = WorkerTokens()
        entry, is_new = tokens.renew(TEXT, an_order(purpose="path"), 0.0, WALL)

        assert is_new
        assert tokens.find(TEXT, "path", 59.0) is entry
        assert tokens.find(TEXT, "header", 59.0) is None

    def test_the_same_text_is_the_same_token_and_lives_longer(self):
        """Its id stays; it is not swept at its former end."""
        tokens = WorkerTokens()
        first, _ = tokens.renew(TEXT, an_order(purpose="path"), 0.0, WALL)
        again, is_new = tokens.renew(TEXT, an_order(purpose="path"), 30.0, WALL + 30)

        assert not is_new
        assert (again.id, again.ends, again.expires_at) == (first.id, 90.0, WALL + 90)
        assert tokens.expire(61.0) == ()
        assert tokens.find(TEXT, "path", 89.0) == again
        assert tokens.expire(90.0) == (again,)
        assert len(tokens) == 0

    def test_the_address_that_it_is_bound_to_is_the_last_that_asked(self):
        """Be it with an older token."""
        tokens = WorkerTokens()
        tokens.renew(TEXT, an_order(purpose="path", peer="10.1.0.7"), 0.0, WALL)
        entry, is_new = tokens.renew(TEXT, an_order(purpose="path", ttl=10.0, peer="10.1.0.8"), 5.0, WALL + 5)

        assert (entry.peer, entry.ends, is_new) == ("10.1.0.8", 60.0, False)
        assert tokens.find(TEXT, "path", 59.0) == entry

    def test_it_never_ends_sooner_for_being_asked_for_again(self):
        """A pod may show an older token than it showed before."""
        tokens = WorkerTokens()
        first, _ = tokens.renew(TEXT, an_order(purpose="path"), 0.0, WALL)

        assert tokens.renew(TEXT, an_order(purpose="path", ttl=10.0), 5.0, WALL + 5) == (first, False)

    def test_it_may_be_revoked_and_made_again(self):
        """Another life, another id."""
        tokens = WorkerTokens()
        first, _ = tokens.renew(TEXT, an_order(purpose="path"), 0.0, WALL)
        tokens.revoke(first.id)

        assert tokens.find(TEXT, "path", 1.0) is None
        assert tokens.renew(TEXT, an_order(purpose="path"), 1.0, WALL + 1)[1]

    def test_a_full_table_takes_no_new_one_but_keeps_those_it_has(self):
        """Whoever lives on takes no room."""
        tokens = WorkerTokens(most=1)
        tokens.renew(TEXT, an_order(purpose="path"), 0.0, WALL)

        assert not tokens.renew(TEXT, an_order(purpose="path"), 1.0, WALL)[1]
        with pytest.raises(Refused):
            issued(tokens)

    def test_pods_share_one_limit(self):
        """They have no uid, and each has one token."""
        tokens = WorkerTokens(most_per_issuer=1)
        order = an_order(purpose="path", issued_by=None)
        tokens.renew(TEXT, order, 0.0, WALL)

        with pytest.raises(Refused, match="pods have 1 live worker tokens"):
            tokens.renew("cbp_" + encoded(b"1" * 32), order, 0.0, WALL)
        assert issued(tokens)

    def test_it_must_live_some_time(self):
        """As any token."""
        with pytest.raises(Refused):
            WorkerTokens().renew(TEXT, an_order(purpose="path", ttl=0.0), 0.0, WALL)
