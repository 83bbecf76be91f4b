"""Who may ask the control plane for what, by the present generation of the configuration."""

import os

from broker.callers import match
from broker.callers.accounts import Account
from broker.config.shape import CallerEntry
from broker.desk import Desk
from broker.errors import Refused
from broker.model import Caller

NO_CALLER = "an operator can add one, or issue you a token"


class Rights:
    """Any user has rights on the callers that he is or issues tokens for; operators and the daemon's uid on all."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._uid = os.geteuid()

    @property
    def callers(self) -> tuple[CallerEntry, ...]:
        """The callers of the present generation."""
        return self._desk.book.config.callers

    def entry(self, name: str) -> CallerEntry | None:
        """The caller of that name."""
        return self._desk.book.callers.get(name)

    def is_operator(self, account: Account) -> bool:
        """Whether the account may do everything."""
        return match.is_operator(account, self._operators, self._uid)

    def operators_only(self, account: Account) -> None:
        """Raises Refused for anybody else."""
        if not self.is_operator(account):
            raise Refused(403, "AccessDenied", "only operators may do this: see `operators` in the configuration")

    def seen_by(self, account: Account) -> dict[str, CallerEntry]:
        """The callers that the account may see, in file order."""
        return {
            entry.name: entry for entry in self.callers if match.may_see(entry, account, self._operators, self._uid)
        }

    def may_issue(self, entry: CallerEntry, account: Account) -> bool:
        """Whether the account may have tokens of this caller."""
        return match.may_issue(entry, account, self._operators, self._uid)

    def may_bind(self, entry: CallerEntry, account: Account, uid: int | None) -> bool:
        """Whether the account may have a token of this caller bound to a uid, or to none."""
        return match.may_bind(entry, account, self._operators, self._uid, uid=uid)

    def may_issue_unbound(self, entry: CallerEntry, account: Account) -> bool:
        """Whether the account issues for others, rather than being the caller itself."""
        return match.may_issue_for_others(entry, account, self._operators, self._uid)

    def matched(self, account: Account) -> Caller:
        """What the account is by its uid. Raises Refused where it is nobody."""
        caller = match.match_uid(self.callers, account)
        if caller is None:
            advice = f"no caller in the configuration matches uid {account.uid}; {NO_CALLER}"
            raise Refused(403, "UnknownCaller", advice)
        return caller

    @property
    def _operators(self) -> tuple[str, ...]:
        return self._desk.book.config.daemon.operators


def not_seen() -> Refused:
    """What is said of a caller that is not there, or that the account may not see: which of the two is not told."""
    advice = "there is no such caller, or not for you to see: `credbroker whoami` says which one you are"
    return Refused(403, "AccessDenied", advice)
