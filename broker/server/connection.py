"""A connection of the worker plane: heads in, replies out, in order, answered from memory.

It parses heads and keeps order and limits; who asks and what they get is `reception`'s business. It keeps no timer but
for a reply that is waited for: who looks at all connections looks at their deadlines.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import cast

from broker import head
from broker.callers.peer import Endpoint
from broker.clock import now
from broker.errors import Refused
from broker.server.bounds import Bounds
from broker.server.limiter import Delays
from broker.server.link import Link, Peer
from broker.server.reception import Asked, Late, Reception
from broker.waiting import Landing
from broker.wire import Reply, to_bytes

HEAD_DEADLINE, IDLE_DEADLINE = 5.0, 75.0
COLD_WAIT = 0.7  # SDKs give up after 1 s
PIPELINE = 32

UidOf = Callable[[Endpoint, Endpoint], int | None]


class Shared:
    """What all connections share."""

    def __init__(self, reception: Reception, uid_of: UidOf, bounds: Bounds) -> None:
        self.reception = reception
        self.uid_of = uid_of
        self.bounds = bounds
        self.connections: set[Connection] = set()
        self.per_peer: Counter[Peer] = Counter()
        self.delays = Delays()
        self.draining = False
        self.empty = asyncio.Event()  # set when the last one has gone while draining

    def gone(self, connection: "Connection") -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.per_peer[connection.link.counted_as] -= 1
        if self.draining and not self.connections:
            self.empty.set()


class Connection(asyncio.Protocol):
    """One connection: heads in, replies out, in order."""

    __slots__ = (
        "_await", "_buffer", "_delayed", "_paused", "_seen", "_shared", "_since", "_timer", "_transport", "_waiting",
        "link", "opened",
    )  # fmt: skip

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: Asked | None = None
        self._await: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._delayed = self._paused = False
        self._seen = 0
        self.opened = self._since = now()

    @property
    def busy(self) -> bool:
        """Whether a reply is still owed."""
        return self._waiting is not None

    @property
    def asking(self) -> bool:
        """Whether it is busy, or a request is only half here, or the first one is still to come."""
        return self.busy or bool(self._buffer) or self._since == self.opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close it where a limit is reached or the peer is not local."""
        transport = cast("asyncio.Transport", transport)
        shared = self._shared
        accepted_on, peer = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        if accepted_on is None or peer is None:  # it was gone before we came to accept it
            transport.abort()
            return
        self.link = link = Link((accepted_on[0], accepted_on[1]), None, peer=peer[0])
        if not link.for_pods:
            link.uid = shared.uid_of(accepted_on, peer)
        if (
            not link.is_ours
            or len(shared.connections) >= shared.bounds.connections
            or shared.per_peer[link.counted_as] >= shared.bounds.per_uid
        ):
            transport.abort()
            return
        self._transport = transport
        shared.connections.add(self)
        shared.per_peer[link.counted_as] += 1

    def connection_lost(self, _exc: Exception | None) -> None:
        """Let go; what was being waited for goes on without us."""
        self._stop_waiting()
        if self._transport is not None:
            self._transport = None
            self._shared.gone(self)

    def data_received(self, data: bytes) -> None:
        """Answer every whole head that is there."""
        if self._transport is None:
            return
        free = not self._buffer and self._waiting is None and not self._paused
        if free and data.endswith(head.END) and data.find(head.END) == len(data) - len(head.END):
            self._serve(data)  # the common case: exactly one head, nothing to queue
            return
        if free and self._since != self.opened:
            self._since = now()  # a later head begins here, however long it was quiet before
        self._buffer += data
        self._drain()

    def eof_received(self) -> bool:
        """A client may close its half and still wait for the reply that it is owed."""
        return self.busy

    def pause_writing(self) -> None:
        """The client does not read: answer nothing more until it does."""
        self._paused = True
        self._hold()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._paused = False
        self._drain()

    def overdue(self, moment: float) -> bool:
        """Whether its head took too long, or it sat idle too long."""
        if self.busy:
            return False
        limit = HEAD_DEADLINE if self.asking else IDLE_DEADLINE
        return moment - self._since > limit

    def close(self) -> None:
        """Close at once; a reply already written is still sent."""
        if self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        """Close; if it still does not take what was written by the next time, cut it off."""
        if self._transport is not None and self._transport.is_closing():
            self.cut()
        else:
            self.close()

    def cut(self) -> None:
        """End at once, whatever is not sent yet."""
        if self._transport is not None:
            self._transport.abort()

    def _drain(self) -> None:
        while self._transport is not None and not self._transport.is_closing() and self._buffer:
            if self._waiting is not None or self._paused:
                self._hold()
                return
            try:
                end = head.find_end(self._buffer, 0, self._seen)
            except Refused as error:
                self._refuse(error)
                return
            if end < 0:
                self._seen = len(self._buffer)
                return
            one = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._seen = 0
            self._since = now()
            self._serve(one)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _hold(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.pause_reading()
        if self._buffer.count(head.END) > PIPELINE:
            self._transport.close()

    def _serve(self, one: bytes) -> None:
        reception = self._shared.reception
        try:
            asked = reception.read(one)
        except Refused as error:
            self._refuse(error, to_head=one.startswith(b"HEAD "))
            return
        answer = reception.answer(asked, self.link)
        if isinstance(answer, Reply):
            self._write(answer, asked)
        elif isinstance(answer, Late):
            self._delay(asked, answer)
        else:
            self._wait(asked, answer)

    def _refuse(self, error: Refused, *, to_head: bool = False) -> None:
        """What cannot be parsed cannot be followed by anything: reply and close."""
        reply = self._shared.reception.refuse(error, None, self.link)
        if self._transport is not None:
            self._transport.write(to_bytes(reply, close=True, to_head=to_head))
            self._transport.close()

    def _write(self, reply: Reply, asked: Asked, *, last: bool = False) -> None:
        transport = self._transport
        if transport is None:
            return
        keep = asked.request.keep_alive and not last and not self._shared.draining
        transport.write(to_bytes(reply, close=not keep))
        self._since = now()
        if not keep:
            transport.close()

    def _wait(self, asked: Asked, pending: Landing) -> None:
        self._waiting = asked
        self._await = pending.add(self._landed)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COLD_WAIT, self._late)
        self._hold()

    def _delay(self, asked: Asked, late: Late) -> None:
        self._stop_waiting()
        self._waiting, self._delayed = asked, True
        pause = self._shared.delays.begin(self.link.counted_as)
        self._timer = asyncio.get_running_loop().call_later(pause, self._finish, late.reply, asked, late.last)
        self._hold()

    def _landed(self, landing: Landing) -> None:
        asked, self._waiting = self._waiting, None
        if asked is None:
            return
        answer = self._shared.reception.answer(asked, self.link, landing)
        if isinstance(answer, Reply):
            self._finish(answer, asked)
        elif isinstance(answer, Late):
            self._delay(asked, answer)
        else:
            self._wait(asked, answer)

    def _late(self) -> None:
        if (asked := self._waiting) is not None:
            self._finish(self._shared.reception.late(asked, self.link), asked)

    def _finish(self, reply: Reply, asked: Asked, last: bool = False) -> None:  # noqa: FBT001, FBT002 - a timer's
        self._stop_waiting()
        self._write(reply, asked, last=last)
        self._drain()

    def _stop_waiting(self) -> None:
        self._waiting = None
        if self._delayed:
            self._delayed = False
            self._shared.delays.end(self.link.counted_as)
        if self._await is not None:
            self._await()
            self._await = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
