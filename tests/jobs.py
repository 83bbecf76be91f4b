"""Jobs whose keys are made for them, the rounds, and what ends the keys: put together as the daemon does it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from broker.errors import Unreachable
from broker.events import TokenRevoked
from broker.minter.client import DEADLINE
from broker.model import Caller, Facts, Given, Kind, Lease, Minted, Want
from broker.plan import Book, Rendered
from broker.policy import Allowed, decide
from broker.retiring import Retiring
from tests.leaping import FakeClock, leap
from tests.made import a_book, a_caller, an_hmac
from tests.upstream import Running

T = TypeVar("T")
JOB, OTHER = "0123456789ab", "ba9876543210"


class Upstream:
    """Makes keys and ends them; or raises what `trouble` has."""

    def __init__(self, play: Running) -> None:
        self.play = play
        self.made: list[str] = []
        self.retired: list[tuple[str, tuple[str, ...], object]] = []
        self.at: list[float] = []  # when keys were to be ended
        self.looks: list[float] = []  # when it was only looked for what is left over
        self.trouble: Exception | None = None
        self.hangs: str | None = None  # the name of what is not answered
        self.took = 0.0

    async def mint(self, rendered: Rendered, given: Given) -> Minted:
        """Each with a key of its own."""
        self.made.append(f"key-{len(self.made) + 1}")
        self.play.upstream.facts = Facts(principal=self.made[-1])
        return await self.play.upstream.mint(rendered, given)

    async def retire(self, rendered: Rendered, given: Given) -> None:
        """As `minter.asking` does it."""
        if given.spent:
            self.at.append(self.play.clock.now())
        else:
            self.looks.append(self.play.clock.now())
        await asyncio.sleep(DEADLINE if rendered.label == self.hangs else self.took)
        if rendered.label == self.hangs:
            raise Unreachable("no answer from upstream")
        if self.trouble is not None:
            raise self.trouble
        if given.spent:
            self.retired.append((rendered.label, given.spent, given.base))


class Scene:
    """The rounds with a Retiring between them and an upstream, as the daemon puts them together."""

    def __init__(self, play: Running, book: Book) -> None:
        self.play, self.book = play, book
        self.upstream = Upstream(play)
        self.live = {JOB, OTHER}
        self.caller = "trainer"
        self.stopping: list[asyncio.Task[None]] = []
        self.retiring = Retiring(
            mints=self.upstream,
            rounds=lambda: play.rounds,
            book=lambda: self.book,
            lives=lambda token_id: token_id in self.live,
            note=play.events.append,
            clock=play.clock,
        )
        play.rounds._mint = self.retiring.mint

    def rendered(self, token_id: str | None = JOB) -> Rendered:
        """As the job of a token gets it."""
        return rendered(self.book, a_caller(self.caller, token_id=token_id))

    async def asks(self, token_id: str | None = JOB) -> Lease:
        """A job asks for its key, and has it."""
        keeper = self.play.rounds.keeper(self.rendered(token_id))
        lease = keeper.held(self.play.clock.now())
        if lease is None:
            await self.play.rounds.ask(keeper).over()
            lease = keeper.held(self.play.clock.now())
        assert lease is not None
        return lease

    async def stop(self) -> None:
        """The loop ends, as at the end of a daemon."""
        for loop in self.stopping:
            loop.cancel()
        await asyncio.gather(*self.stopping, return_exceptions=True)

    def over(self, token_id: str = JOB) -> None:
        """The job's token ends."""
        self.live.discard(token_id)
        self.retiring.listen(TokenRevoked(token_id, "closed", "trainer"))


def rendered(book: Book, caller: Caller) -> Rendered:
    """The HMAC key as a caller gets it."""
    decision = decide(book, caller, Want(Kind.GCS_HMAC))
    assert isinstance(decision, Allowed)
    return decision.rendered


def playing(main: Callable[[Scene], Awaitable[T]], book: Book | None = None) -> T:
    """Run `main` over a scene whose loops run."""

    async def run(clock: FakeClock) -> T:
        async with Running(clock) as play:
            scene = Scene(play, book or a_book(an_hmac()))
            loop = asyncio.get_running_loop().create_task(scene.retiring.run())
            scene.stopping.append(loop)
            try:
                return await main(scene)
            finally:
                await scene.stop()

    return leap(run)
