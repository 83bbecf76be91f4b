"""Connections of the control plane, before aiohttp has them: how many there may be, and how long a head may take.

Any user may connect to the control socket, and aiohttp waits for ever for the first byte of a request. A connection is
`busy` while a handler has it, since `exec` holds one for as long as its command runs.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

from broker.callers.peer import Endpoint
from broker.details import TurnedAway
from broker.events import Note
from broker.server.bounds import Room, admin_room, control_room
from broker.server.sockets import peer_uid
from broker.server.web import web

HEAD_DEADLINE = 5.0
IDLE_DEADLINE = 75.0  # until the next request, or until a reply is read
LINGER = 1.0  # for the rest of a body that nobody wants
KEPT = 10  # one in so many connections is for the uids for whom there is always room
BACKLOG = 128

TOLD_AFTER = 1.0  # with all that have come by then: a crowd must not become one in the log

UidOf = Callable[[asyncio.Transport], int | None]


class Gate:
    """Lets connections through to one aiohttp application, `where`. `uid_of` says whose a connection is."""

    def __init__(self, room: Room, uid_of: UidOf, note: Note, where: str) -> None:
        self._room = room
        self._uid_of = uid_of
        self._note = note
        self._where = where
        self._turned_away = 0
        self._inside: dict[asyncio.BaseTransport, _Guarded] = {}
        self._per_uid: Counter[int | None] = Counter()

    def guard(self, server: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A factory of protocols for `create_server`, each with one of aiohttp's behind it."""
        return lambda: _Guarded(self, server)

    @contextlib.contextmanager
    def busy(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """A handler has the connection: no deadline runs."""
        guarded = self._inside.get(transport) if transport is not None else None
        if guarded is None:  # it is gone already
            yield
            return
        guarded.expect(None)
        try:
            yield
        finally:
            guarded.expect(IDLE_DEADLINE)

    def enter(self, transport: asyncio.Transport, guarded: "_Guarded") -> bool:
        """Whether there is room for the connection, which is then taken."""
        uid, room = self._uid_of(transport), self._room
        kept = room.in_all // KEPT if room.always and uid not in room.always else 0
        if len(self._inside) >= room.in_all - kept or self._per_uid[uid] >= room.per_uid:
            self._turn_away(uid)
            return False
        guarded.uid = uid
        self._inside[transport] = guarded
        self._per_uid[uid] += 1
        return True

    def _turn_away(self, uid: int | None) -> None:
        if not self._turned_away:
            asyncio.get_running_loop().call_later(TOLD_AFTER, self._tell, uid)
        self._turned_away += 1

    def _tell(self, uid: int | None) -> None:
        self._note(TurnedAway(self._where, uid, self._turned_away))
        self._turned_away = 0

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """A connection has ended."""
        guarded = self._inside.pop(transport)
        self._per_uid[guarded.uid] -= 1
        if not self._per_uid[guarded.uid]:
            del self._per_uid[guarded.uid]


class _Guarded(asyncio.Protocol):
    """One connection: passes everything on to aiohttp's protocol, which is made only once there is room."""

    def __init__(self, gate: Gate, server: Callable[[], asyncio.Protocol]) -> None:
        self.uid: int | None = None
        self._gate = gate
        self._server = server
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it, or end it where there is no room."""
        transport = cast("asyncio.Transport", transport)
        if not self._gate.enter(transport, self):
            transport.abort()
            return
        self._transport = transport
        self._inner = self._server()
        self._inner.connection_made(transport)
        self.expect(HEAD_DEADLINE)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for others."""
        if self._transport is not None and self._inner is not None:
            self._gate.leave(self._transport)
            self._transport = None
            self.expect(None)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As aiohttp reads it."""
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Likewise."""
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        """Likewise."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Likewise."""
        if self._inner is not None:
            self._inner.resume_writing()

    def expect(self, seconds: float | None) -> None:
        """End the connection if no request is handled within so many seconds; None for a while without a deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and self._transport is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)


def of_socket(descriptors: int, note: Note) -> Gate:
    """The control socket's: known is who connected. For root and the daemon's own user there is always some room."""
    room = control_room(descriptors, always=frozenset({0, os.geteuid()}))
    return Gate(room, lambda transport: peer_uid(transport.get_extra_info("socket")), note, "socket")


def of_admin(uid_of: Callable[[Endpoint, Endpoint], int | None], note: Note) -> Gate:
    """The admin address's, by the kernel's word on loopback connections; whoever it does not name is None."""

    def attested(transport: asyncio.Transport) -> int | None:
        here, there = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        return uid_of(here, there) if here and there else None  # it was gone before we came to accept it

    return Gate(admin_room(), attested, note, "admin")


async def serve(app: web.Application, listeners: list[Any], gate: Gate, stack: contextlib.AsyncExitStack) -> None:
    """Serve an application on listening sockets until `stack` is closed."""

    @web.middleware
    async def busy(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        with gate.busy(request.transport):
            return cast("web.StreamResponse", await handler(request))

    app.middlewares.insert(0, busy)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0, lingering_time=LINGER)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None
    factory = gate.guard(cast("Callable[[], asyncio.Protocol]", runner.server))
    for listener in listeners:
        server = await asyncio.get_running_loop().create_server(factory, sock=listener, backlog=BACKLOG)
        stack.callback(server.close)
