"""What the daemon may ask of the minter service. Pure.

A child of the daemon is as good as the daemon; a service of its own is there for the day when somebody else runs in the
daemon. So every question is held against the service's own reading of the configuration. What is in a base lease cannot
be judged here, only that there is one where one belongs: the daemon holds it anyway.
"""

import re

from broker.config.shape import CallerEntry
from broker.errors import BrokerError, Unreachable
from broker.minter.frames import Call, Examine, Question
from broker.model import VALUES, CallerFacts, Given
from broker.plan import Book, Rendered

QUESTIONS = ("mint", "who", "retire")  # `who` shows no more than its lease does; `find` is for zero configuration
LARGEST_UID = 2**32 - 2
LONGEST_USER = 256
_UID = re.compile(r"0|[1-9][0-9]{0,9}")


class NotAdmitted(Unreachable):
    """A question that is not answered. `reason` is a fixed word for the audit line.

    It is no denial of upstream's: held leases are served on, and an administrator may mend what stands in the way.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(advice, code="NotAdmitted")
        self.reason = reason


def admit(book: Book, question: Question) -> None:
    """Nothing, where the configuration allows the question. Raises NotAdmitted."""
    if isinstance(question, Examine):
        if not book.config.audiences:
            raise NotAdmitted("pods", "the daemon asked whose a token is, and no caller is a pod")
    else:
        _admit_call(book, question)


def _admit_call(book: Book, call: Call) -> None:
    ask = call.ask
    if call.do not in QUESTIONS:
        raise NotAdmitted("question", "the minter service mints what is configured, and looks for nothing else")
    if ask.credential not in book.credentials:
        raise NotAdmitted("credential", "the daemon asked for a credential that is not configured")
    caller = book.callers.get(ask.facts.caller)
    if caller is None:
        raise NotAdmitted("caller", "the daemon asked for a caller that is not configured")
    if not any(ask.credential in book.chain(grant) for grant in caller.grants):
        raise NotAdmitted("grant", "the daemon asked for a credential that this caller is not granted")
    _check_facts(caller, ask.facts)
    try:
        rendered = book.rendered(ask.credential, ask.facts, ask.given.audience)
    except BrokerError as error:
        raise NotAdmitted("facts", error.advice) from None
    _check_given(rendered, ask.given)
    if call.do == "retire" and not rendered.spec.per_job:
        raise NotAdmitted("question", "the daemon asked to end what nobody makes for a job")
    if call.do != "retire" and ask.given.spent:
        raise NotAdmitted("spent", "the daemon named keys to end, and asked for something else")


def _check_facts(caller: CallerEntry, facts: CallerFacts) -> None:
    """What no process can be. Which uid a caller has is not known here: a token may be issued to any."""
    uid, user, group = facts.uid, facts.user, facts.group
    if uid is not None and not (_UID.fullmatch(uid) and int(uid) <= LARGEST_UID):
        raise NotAdmitted("facts", "the daemon told a uid that is none")
    if user is not None and not (user.isprintable() and 0 < len(user) <= LONGEST_USER):
        raise NotAdmitted("facts", "the daemon told a user's name that is none")
    if group is not None and group not in {rule.group for rule in caller.rules}:
        raise NotAdmitted("facts", "the daemon told a group that this caller is not matched by")


def _check_given(rendered: Rendered, given: Given) -> None:
    if given.audience is not None and given.audience not in getattr(rendered.spec, "audiences", ()):
        raise NotAdmitted("audience", "the daemon asked for an audience that is not configured")
    if rendered.base is None:
        if given.base is not None:
            raise NotAdmitted("base", "the daemon gave a lease to mint from, and none is configured")
    elif not isinstance(given.base, VALUES[rendered.base.spec.kind]):
        raise NotAdmitted("base", "a chained credential needs the held lease of its base, and the daemon gave none")
