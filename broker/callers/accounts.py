"""Names and groups of a uid, by NSS, and the last good answer to it.

`look_up` may block for as long as a directory server likes: the daemon runs it in a thread. The cache holds no thread,
no lock and no clock; `now` is on the boot clock.
"""

import grp
import os
import pwd

import msgspec

FRESH = 60.0  # an answer is asked for anew after this
RETRY = 10.0  # and after a failure no sooner than this
KEPT = 24 * 3600.0  # the last good answer stands in for so long while the directory is down
MOST = 10_000


class Account(msgspec.Struct, frozen=True):
    """A uid, its name if it has one, and the groups it is a member of, the primary one included."""

    uid: int
    user: str | None = None
    groups: tuple[tuple[int, str], ...] = ()

    def in_group(self, name: str) -> bool:
        """Whether it is a member of the group of that name."""
        return any(group == name for _gid, group in self.groups)


def look_up(uid: int) -> Account:
    """Ask NSS, blocking. An unknown uid has neither name nor groups; a group without a name is left out.

    glibc does not tell "no such user" from "the directory does not answer": see `Accounts.learn`.
    Raises OSError where the list of groups cannot be read.
    """
    try:
        entry = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        return Account(uid)
    groups = []
    for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        try:
            groups.append((gid, grp.getgrgid(gid).gr_name))
        except KeyError:
            continue
    return Account(uid, entry.pw_name, tuple(groups))


class _Seen(msgspec.Struct, frozen=True):
    """The last good answer and when it came, and when it is worth asking again."""

    account: Account | None
    learned: float
    due: float


class Accounts:
    """The last good answer for each uid seen, at most MOST of them."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def known(self, uid: int, now: float) -> Account | None:
        """The last good answer, or None if there was none within KEPT."""
        seen = self._seen.get(uid)
        return seen.account if seen is not None and now - seen.learned < KEPT else None

    def stale(self, uid: int, now: float) -> bool:
        """Whether it is time to look this uid up (again)."""
        seen = self._seen.get(uid)
        return seen is None or now >= seen.due

    def learn(self, account: Account, now: float) -> None:
        """Keep an answer. One that has lost its name counts as a failure of the directory, for as long as KEPT."""
        before = self.known(account.uid, now)
        if account.user is None and before is not None and before.user is not None:
            self.failed(account.uid, now)
        else:
            self._keep(account.uid, _Seen(account, learned=now, due=now + FRESH))

    def failed(self, uid: int, now: float) -> None:
        """The look-up raised or timed out: the last good answer stands, and is tried again after RETRY."""
        seen = self._seen.get(uid) or _Seen(None, learned=now, due=now)
        self._keep(uid, _Seen(seen.account, seen.learned, due=now + RETRY))

    def _keep(self, uid: int, seen: _Seen) -> None:
        self._seen.pop(uid, None)
        if len(self._seen) >= MOST:
            del self._seen[next(iter(self._seen))]  # a dict is in the order of asking: the one longest not asked for
        self._seen[uid] = seen
