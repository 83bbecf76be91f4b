"""The worker plane: all of its connections. Deadlines are kept by one sweep over them, not by a timer each."""

from collections import Counter

from broker.clock import now
from broker.server.connection import Connection, Shared
from broker.server.drain import drain
from broker.server.link import Peer

SILENCE = 1.0  # an unidentified connection counts against its uid once it has been so for this long


class Plane(Shared):
    """All connections: made, looked after and ended."""

    def connection(self) -> Connection:
        """A protocol for `create_server`."""
        return Connection(self)

    def sweep(self, lag: float = 0.0) -> None:
        """Close who is over a deadline, and the oldest of a uid's that stay silent beyond its limit.

        `lag` is how late this loop is: for so long a request may have lain unread, which is not its sender's silence.
        """
        self.reception.tick()
        moment = now()
        silent: Counter[Peer] = Counter()
        for connection in sorted(self.connections, key=lambda one: one.opened, reverse=True):
            if connection.overdue(moment):
                connection.end()
            elif not connection.link.identified and moment - connection.opened > SILENCE + lag:
                silent[connection.link.counted_as] += 1
                if silent[connection.link.counted_as] > self.bounds.unidentified_per_uid:
                    connection.close()

    async def drained(self) -> None:
        """Answer what is asked, and keep no connection for more; returns when the last one is gone."""
        self.draining = True
        await drain(self.connections, self.empty)

    def cut(self) -> None:
        """End what is left at once: a client that never reads would keep the loop from closing."""
        for connection in list(self.connections):
            connection.cut()
