"""A desk over running rounds, on a leaping loop."""

from broker.config.shape import CallerEntry, Credential
from broker.desk import Desk
from broker.model import Caller, Kind, Lease, Want
from broker.rounds import Flight
from tests.leaping import FakeClock
from tests.made import a_book
from tests.upstream import Running, landed

AWS, GOOGLE = Want(Kind.AWS), Want(Kind.GOOGLE)


class Open(Running):
    """`async with Open(clock, ...) as play`: `play.desk` answers for a Book of these credentials and callers."""

    def __init__(self, clock: FakeClock, *parts: Credential | CallerEntry) -> None:
        super().__init__(clock)
        self.desk = Desk(a_book(*parts), self.rounds, self.events.append, clock)

    def reload(self, *parts: Credential | CallerEntry) -> None:
        """Decide by other ones from now on."""
        self.desk.swap(a_book(*parts))

    async def lease(self, caller: Caller, want: Want = AWS) -> Lease:
        """What the caller gets, once it is there."""
        found = self.desk.lease(caller, want, "aws")
        if isinstance(found, Flight):
            assert await landed(found) is None
            found = self.desk.lease(caller, want, "aws")
        assert isinstance(found, Lease)
        return found
