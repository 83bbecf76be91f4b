"""What the daemon asks of minters in its work, by the generation in force, and how each question ended, counted.

Reviews have minters of their own, so that an upstream that hangs all others hides nobody.
"""

from collections.abc import Callable

from broker.errors import MintError
from broker.events import Note, UpstreamAsked
from broker.minter import frames
from broker.minter.client import Launch, Pool, Service
from broker.model import Ask, Given, Keys, Minted, Review, Reviewed
from broker.plan import Rendered
from broker.secret import Secret

KUBERNETES = "kubernetes"  # the source of reviews, as metrics call it
REVIEWERS = 2  # reviews at once
DEADLINE = 10.0
IDLE = 600.0  # longer than between two renewals of the keys: a pod's first request does not wait for a minter


class Mints:
    """Has a minter mint a lease, or end what was made for a job."""

    def __init__(self, pool: Pool, note: Note, generation: Callable[[], str]) -> None:
        self._pool = pool
        self._note = note
        self._generation = generation

    async def mint(self, rendered: Rendered, given: Given) -> Minted:
        """A new lease's value. Raises MintError."""
        ask = Ask(credential=rendered.label, facts=rendered.facts, generation=self._generation(), given=given)
        question = frames.Call(do="mint", ask=ask)
        brought = await _counted(self._pool, question, rendered.credential.source, self._note)
        assert isinstance(brought, frames.Brought)
        return brought.minted

    async def retire(self, rendered: Rendered, given: Given) -> None:
        """End upstream the keys that are `spent`, and what minters that died have left. Raises MintError."""
        ask = Ask(credential=rendered.label, facts=rendered.facts, generation=self._generation(), given=given)
        await _counted(self._pool, frames.Call(do="retire", ask=ask), rendered.credential.source, self._note)


class Reviewer:
    """Has a minter review a token, or bring the cluster's keys."""

    def __init__(self, launch: Launch | Service, note: Note, generation: Callable[[], str]) -> None:
        self.pool = Pool(launch, note, size=REVIEWERS, deadline=DEADLINE, idle=IDLE)
        self._note = note
        self._generation = generation

    async def ask(self, token: Secret | None, keys: Keys | None) -> Reviewed:
        """What the API server says, or the keys where they are given. Raises MintError."""
        question = frames.Examine(Review(token=token, generation=self._generation(), keys=keys))
        examined = await _counted(self.pool, question, KUBERNETES, self._note)
        assert isinstance(examined, frames.Examined)
        return examined.reviewed


async def _counted(pool: Pool, question: frames.Question, source: str, note: Note) -> frames.Good:
    try:
        answer = await pool.call(question)
    except MintError as error:
        note(UpstreamAsked(source, error.code))
        raise
    note(UpstreamAsked(source, "ok"))
    return answer
