"""Which leases an account may see, and as whose: those that it could itself be handed, and operators all.

A rendering says for whom it was made: another user's name, or a caller that is none of the asker's, is not his to read.
"""

import contextlib
from typing import NamedTuple

from broker.callers import match
from broker.callers.accounts import Account
from broker.desk import Desk
from broker.keeper import Keeper
from broker.plan import Unrenderable
from broker.rounds import Rounds
from broker.server.rights import Rights


class Seen(NamedTuple):
    """A lease that may be seen, and the caller it is shown as."""

    keeper: Keeper
    caller: str


class Sight:
    """Looks at all keepers for one account at a time, by the generation in force."""

    def __init__(self, rights: Rights, desk: Desk, rounds: Rounds) -> None:
        self._rights = rights
        self._desk = desk
        self._rounds = rounds

    def of(self, account: Account) -> tuple[Seen, ...]:
        """What the account may see. A lease that callers share is shown as the first of those that are the account's.

        To operators it is shown as whoever was first to ask.
        """
        keepers = self._rounds.keepers
        if self._rights.is_operator(account):
            return tuple(Seen(keeper, keeper.rendered.facts.caller) for keeper in keepers)
        his, seen = self._his(account), self._rights.seen_by(account)
        shown = ((keeper, his.get(keeper.rendered.key) or _own_job(keeper, account)) for keeper in keepers)
        return tuple(Seen(keeper, name) for keeper, name in shown if name in seen)

    def _his(self, account: Account) -> dict[bytes, str]:
        """All that the account could be handed, as whichever caller: what decides is what would be rendered for it."""
        book, found = self._desk.book, dict[bytes, str]()
        for entry in self._rights.seen_by(account).values():
            facts = match.facts_for(entry, account)
            for grant in entry.grants:
                for audience in (None, *getattr(book.credentials[grant].spec, "audiences", ())):
                    with contextlib.suppress(Unrenderable):
                        found.setdefault(book.rendered(grant, facts, audience).key, entry.name)
        return found


def _own_job(keeper: Keeper, account: Account) -> str:
    """The caller that a lease of one job is shown as to the user whose job it is; else none."""
    rendered = keeper.rendered
    return rendered.facts.caller if rendered.job is not None and rendered.facts.uid == str(account.uid) else ""
