"""Names and groups of a uid, and how long the last good answer stands."""

import grp
import os
import pwd

import pytest

from broker.callers import accounts
from broker.callers.accounts import FRESH, KEPT, RETRY, Account, Accounts, look_up

ALICE = Account(1000, "alice", ((100, "users"), (200, "vision")))
NAMELESS = 4_000_000_000


class TestAccount:
    def test_it_is_in_its_groups_and_no_others(self) -> None:
        """By their names, whole."""
        assert ALICE.in_group("vision")
        assert not ALICE.in_group("visio")
        assert not ALICE.in_group("200")


class TestLookUp:
    def test_the_own_account_has_its_name_and_primary_group(self) -> None:
        """As id(1) prints it."""
        entry = pwd.getpwuid(os.geteuid())
        account = look_up(os.geteuid())

        assert (account.uid, account.user) == (entry.pw_uid, entry.pw_name)
        assert (entry.pw_gid, grp.getgrgid(entry.pw_gid).gr_name) in account.groups

    @pytest.mark.parametrize("uid", [NAMELESS, 2**32, -2])
    def test_an_unknown_uid_has_neither_name_nor_groups(self, uid: int) -> None:
        """Containers run as any uid; a rule by uid still matches it."""
        assert look_up(uid) == Account(uid)

    def test_a_group_without_a_name_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rules name groups, so nothing could match it."""
        monkeypatch.setattr(os, "getgrouplist", lambda _user, gid: [gid, NAMELESS])

        assert NAMELESS not in dict(look_up(os.geteuid()).groups)

    def test_a_directory_that_fails_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The cache then keeps what it has."""

        def broken(_user: str, _gid: int) -> list[int]:
            raise OSError

        monkeypatch.setattr(os, "getgrouplist", broken)

        with pytest.raises(OSError):
            look_up(os.geteuid())


class TestAccounts:
    def test_nothing_is_known_of_a_new_uid(self) -> None:
        """It is to be looked up."""
        cache = Accounts()

        assert cache.known(1000, 0.0) is None
        assert cache.stale(1000, 0.0)

    def test_an_answer_is_fresh_for_a_while(self) -> None:
        """Then it still stands, and is to be asked for anew."""
        cache = Accounts()
        cache.learn(ALICE, 10.0)

        assert cache.known(1000, 10.0) == ALICE
        assert not cache.stale(1000, 10.0 + FRESH - 1)
        assert cache.stale(1000, 10.0 + FRESH)
        assert cache.known(1000, 10.0 + FRESH) == ALICE

    def test_a_group_that_was_left_is_left(self) -> None:
        """A good answer replaces the last."""
        cache = Accounts()
        cache.learn(ALICE, 0.0)
        cache.learn(Account(1000, "alice"), FRESH)

        assert cache.known(1000, FRESH) == Account(1000, "alice")

    def test_a_failure_keeps_the_last_good_answer(self) -> None:
        """LDAP is down: nobody loses his groups, and it is not asked at every request."""
        cache = Accounts()
        cache.learn(ALICE, 0.0)
        cache.failed(1000, FRESH)

        assert cache.known(1000, FRESH) == ALICE
        assert not cache.stale(1000, FRESH + RETRY - 1)
        assert cache.stale(1000, FRESH + RETRY)

    def test_an_answer_without_a_name_counts_as_a_failure(self) -> None:
        """Glibc says "no such user" of a directory that does not answer."""
        cache = Accounts()
        cache.learn(ALICE, 0.0)
        cache.learn(Account(1000), FRESH)

        assert cache.known(1000, FRESH) == ALICE
        assert cache.stale(1000, FRESH + RETRY)

    def test_the_last_good_answer_does_not_stand_for_ever(self) -> None:
        """A deleted user is gone after a day, however often he is looked up in vain."""
        cache = Accounts()
        cache.learn(ALICE, 0.0)
        for minute in range(1, 24 * 60):
            cache.failed(1000, minute * 60.0)
        assert cache.known(1000, KEPT - 1) == ALICE

        assert cache.known(1000, KEPT) is None
        cache.learn(Account(1000), KEPT)
        assert cache.known(1000, KEPT) == Account(1000)

    def test_a_uid_without_a_name_is_known_as_such(self) -> None:
        """That is an answer too."""
        cache = Accounts()
        cache.learn(Account(7), 0.0)

        assert cache.known(7, 1.0) == Account(7)
        assert not cache.stale(7, 1.0)

    def test_a_first_failure_is_not_repeated_at_once(self) -> None:
        """Though nothing is known."""
        cache = Accounts()
        cache.failed(1000, 0.0)

        assert cache.known(1000, 1.0) is None
        assert not cache.stale(1000, RETRY - 1)
        assert cache.stale(1000, RETRY)

    def test_it_is_bounded_and_lets_the_longest_unasked_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A user with many uids of his own cannot fill the memory."""
        monkeypatch.setattr(accounts, "MOST", 3)
        cache = Accounts()
        for uid in (1, 2, 3):
            cache.learn(Account(uid, f"user{uid}"), 0.0)
        cache.learn(Account(1, "user1"), 1.0)
        cache.failed(4, 1.0)

        assert [uid for uid in (1, 2, 3) if cache.known(uid, 1.0)] == [1, 3]
        assert len(cache._seen) == 3
