"""Connections of the control plane: how many, whose, and how long a head may take. Time leaps; no socket is opened."""

import asyncio
import contextlib
import os
import socket
from typing import Any, cast

import pytest

from broker.details import TurnedAway
from broker.events import (
    Event,
)
from broker.server import gate
from broker.server.bounds import Room
from broker.server.gate import HEAD_DEADLINE, IDLE_DEADLINE, TOLD_AFTER, Gate
from tests.leaping import FakeClock, leap

ME, YOU, ROOT = 1, 2, 0
ROOMY = Room(100, 50)


class Wire:
    """A transport: whose it is, and whether it was ended."""

    def __init__(self, uid: int | None = None, **told: object) -> None:
        self.uid = uid
        self.ended = False
        self.get_extra_info = told.get

    def abort(self) -> None:
        self.ended = True


class Inner(asyncio.Protocol):
    """What stands for aiohttp's protocol: it keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return True

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")


class Hall:
    """A gate and those who have come to it."""

    def __init__(self, room: Room = ROOMY) -> None:
        self.inner: list[Inner] = []
        self.events: list[Event] = []
        self.gate = Gate(room, lambda transport: cast("Any", transport).uid, self.events.append, "socket")
        self._factory = self.gate.guard(self._made)

    def come(self, uid: int | None = ME) -> tuple[asyncio.Protocol, Wire]:
        """A connection, as the loop tells of it."""
        protocol, wire = self._factory(), Wire(uid)
        protocol.connection_made(cast("asyncio.Transport", wire))
        return protocol, wire

    def busy(self, wire: Wire) -> contextlib.AbstractContextManager[None]:
        """A handler has it."""
        return self.gate.busy(cast("asyncio.Transport", wire))

    def _made(self) -> Inner:
        self.inner.append(Inner())
        return self.inner[-1]


class TestRoom:
    def test_one_uid_has_so_many_and_others_their_own(self):
        """What is beyond is ended before anything of it is read."""

        async def main(_clock: FakeClock) -> tuple[list[bool], int]:
            hall = Hall(Room(100, 2))
            ended = [hall.come(uid)[1].ended for uid in (ME, ME, ME, YOU, YOU, YOU, None, None, None)]
            return ended, len(hall.inner)

        assert leap(main) == ([False, False, True] * 3, 6)

    def test_the_last_are_kept_for_those_who_may_everything(self):
        """Else two users together could lock them out."""

        async def main(_clock: FakeClock) -> list[bool]:
            hall = Hall(Room(10, 5, frozenset({ROOT})))
            return [hall.come(uid)[1].ended for uid in (*([ME] * 5), *([YOU] * 5), ROOT, ROOT)]

        assert leap(main) == [*([False] * 9), True, False, True]

    def test_who_hangs_up_makes_room(self):
        """Nothing is counted for ever."""

        async def main(_clock: FakeClock) -> list[bool]:
            hall, ended = Hall(Room(10, 1)), []
            for _ in range(5):
                protocol, wire = hall.come()
                ended.append(wire.ended)
                protocol.connection_lost(None)
            return ended

        assert leap(main) == [False] * 5

    def test_who_was_not_let_in_frees_no_place_when_he_is_gone(self):
        """Nor is anything of his passed on."""

        async def main(_clock: FakeClock) -> tuple[bool, list[object]]:
            hall = Hall(Room(10, 1))
            hall.come()
            refused, _wire = hall.come()
            refused.data_received(b"GET /")
            refused.pause_writing()
            refused.resume_writing()
            refused.eof_received()
            refused.connection_lost(None)
            return hall.come()[1].ended, [one.told for one in hall.inner]

        assert leap(main) == (True, [["made"]])


class TestTold:
    def test_who_was_turned_away_is_told_once_a_second(self):
        """With how many: a crowd at the door is no crowd in the log."""

        async def main(_clock: FakeClock) -> list[Event]:
            hall = Hall(Room(10, 1))
            hall.come()
            for _ in range(2):
                for _ in range(5):
                    hall.come()
                hall.come(YOU)
                hall.come(YOU)
                await asyncio.sleep(TOLD_AFTER + 0.1)
            return hall.events

        assert leap(main) == [TurnedAway("socket", ME, 6), TurnedAway("socket", ME, 7)]

    def test_who_is_let_in_is_not(self):
        """However many they are."""

        async def main(_clock: FakeClock) -> list[Event]:
            hall = Hall()
            for _ in range(50):
                hall.come()
            return hall.events

        assert leap(main) == []


class TestPassedOn:
    def test_everything_goes_to_the_protocol_behind(self):
        """In order; it sees no difference."""

        async def main(_clock: FakeClock) -> tuple[list[object], bool | None]:
            hall = Hall()
            protocol, _wire = hall.come()
            protocol.data_received(b"GET /")
            protocol.pause_writing()
            protocol.resume_writing()
            half = protocol.eof_received()
            protocol.connection_lost(None)
            return hall.inner[0].told, half

        assert leap(main) == (["made", b"GET /", "pause", "resume", "eof", "lost"], True)


class TestDeadlines:
    def test_no_request_in_time_is_the_end(self):
        """Silent or slow: bytes that come meanwhile change nothing."""

        async def main(_clock: FakeClock) -> list[bool]:
            protocol, wire = Hall().come()
            ended = []
            for _ in range(3):
                await asyncio.sleep(0.4 * HEAD_DEADLINE)
                protocol.data_received(b"x")
                ended.append(wire.ended)
            return ended

        assert leap(main) == [False, False, True]

    def test_a_handler_may_take_its_time(self):
        """`exec` has its connection held for days; afterwards time runs again."""

        async def main(_clock: FakeClock) -> list[bool]:
            hall, ended = Hall(), []
            _protocol, wire = hall.come()
            with hall.busy(wire):
                await asyncio.sleep(86_400.0)
                ended.append(wire.ended)
            for _ in range(2):
                await asyncio.sleep(0.6 * IDLE_DEADLINE)
                ended.append(wire.ended)
            return ended

        assert leap(main) == [False, False, True]

    def test_the_next_request_begins_anew(self):
        """A scraper comes again every 15 s."""

        async def main(_clock: FakeClock) -> bool:
            hall = Hall()
            _protocol, wire = hall.come()
            for _ in range(100):
                await asyncio.sleep(0.9 * HEAD_DEADLINE)
                with hall.busy(wire):
                    pass
            return wire.ended

        assert not leap(main)

    def test_who_is_gone_has_no_deadline(self):
        """Also if a handler still had him, or nobody any more."""

        async def main(_clock: FakeClock) -> bool:
            hall = Hall()
            protocol, wire = hall.come()
            with hall.busy(wire):
                protocol.connection_lost(None)
            with hall.busy(wire), hall.gate.busy(None):
                await asyncio.sleep(2 * IDLE_DEADLINE)
            return wire.ended

        assert not leap(main)


class TestWhose:
    def test_the_control_socket_knows_who_connected(self, monkeypatch: pytest.MonkeyPatch):
        """By the kernel's word; for root and the daemon's own user there is always room."""
        monkeypatch.setattr(gate, "Gate", lambda *given: given[:2])
        room, uid_of = cast("tuple[Room, Any]", gate.of_socket(4096, list[Event]().append))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert uid_of(Wire(socket=ours)) == os.geteuid()
        assert room.always == {0, os.geteuid()}

    def test_the_admin_address_asks_the_kernel(self, monkeypatch: pytest.MonkeyPatch):
        """Of who is gone by then nothing can be asked."""
        monkeypatch.setattr(gate, "Gate", lambda *given: given[1])
        uid_of: Any = gate.of_admin(lambda here, there: here[1] + there[1], list[Event]().append)

        assert uid_of(Wire(sockname=("127.0.0.1", 1), peername=("127.0.0.1", 2))) == 3
        assert uid_of(Wire(sockname=("127.0.0.1", 1), peername=None)) is None
