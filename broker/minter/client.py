"""The daemon's side of the minters: started on demand, one mint each, ended by a deadline or when idle."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from broker.config.shape import Snapshot
from broker.errors import BrokerError, MintError, Unreachable
from broker.events import Event, MinterLost
from broker.minter import frames

DEADLINE = 30.0  # two regions of STS may stay silent before the third answers
IDLE = 60.0
SIZE = 4


class Launch(msgspec.Struct, frozen=True):
    """What a minter is started with: the configuration as the daemon read it, and its whole environment."""

    snapshot: Snapshot
    environment: Mapping[str, str]


class Pool:
    """Up to `size` minters. Must be used from the main thread: a child's death signal follows the thread."""

    def __init__(
        self,
        launch: Launch,
        note: Callable[[Event], None],
        *,
        size: int = SIZE,
        deadline: float = DEADLINE,
        idle: float = IDLE,
    ) -> None:
        self._launch = launch
        self._note = note
        self._deadline = deadline
        self._idle = idle
        self._places = asyncio.Semaphore(size)
        self._resting: list[_Child] = []
        self._all: set[_Child] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of all minters, working or resting."""
        return tuple(child.pid for child in self._all)

    def relaunch(self, launch: Launch) -> None:
        """Use another configuration from now on; working minters finish what they do."""
        self._launch = launch
        for child in list(self._resting):
            self._end(child)

    async def call(self, call: frames.Call) -> frames.Brought | frames.Found:
        """Ask a minter. Raises the MintError that it answered, or Unreachable when it was lost or too slow."""
        async with self._places:
            child = self._take()
            try:
                async with asyncio.timeout(self._deadline):
                    answer = await child.ask(frames.pack(call))
            except TimeoutError:
                raise self._lost(child, "deadline", f"no answer from upstream within {self._deadline:.0f} s") from None
            except (OSError, EOFError, BrokerError):
                raise self._lost(child, "died", "the minter process ended while it was asked") from None
            except asyncio.CancelledError:
                self._end(child)
                raise
            self._put_back(child)
        if isinstance(answer, frames.Failed):
            raise frames.to_error(answer)
        return answer

    async def calls(self, calls: Sequence[frames.Call]) -> list[frames.Brought | frames.Found | BaseException]:
        """Ask several minters at once; what one could not answer stands as its error."""
        return await asyncio.gather(*(self.call(call) for call in calls), return_exceptions=True)

    async def close(self) -> None:
        """End all minters and see them gone."""
        for child in list(self._all):
            self._end(child)
        await asyncio.sleep(0)

    def _take(self) -> "_Child":
        if self._resting:
            child = self._resting.pop()
            child.stop_resting()
            return child
        try:
            child = _Child(self._launch)
        except OSError as error:  # no process, memory or descriptor left
            raise Unreachable(f"no minter process can be started: {error.strerror}", code="MinterLost") from None
        self._all.add(child)
        return child

    def _put_back(self, child: "_Child") -> None:
        if child.launch is not self._launch:
            self._end(child)
            return
        self._resting.append(child)
        child.rest(self._idle, self._end)

    def _lost(self, child: "_Child", why: str, advice: str) -> MintError:
        self._end(child)
        self._note(MinterLost(why))
        return Unreachable(advice, code="Deadline" if why == "deadline" else "MinterLost")

    def _end(self, child: "_Child") -> None:
        if child in self._resting:
            self._resting.remove(child)
        self._all.discard(child)
        child.end()


def _start(talk: int, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """A minter that talks on a descriptor of ours. Raises OSError."""
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "broker.minter.child", str(talk), str(os.getpid())],
        pass_fds=[talk],
        start_new_session=True,  # its own group: what a source starts ends with it
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


class _Child:
    """One minter process and our end of its socket."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._timer: asyncio.TimerHandle | None = None
        self._socket, theirs = socket.socketpair()
        self._socket.settimeout(0)
        with theirs:
            try:
                self._process = _start(theirs.fileno(), launch.environment)
            except OSError:
                self._socket.close()
                raise
        self.pid = self._process.pid
        self._greeting = frames.wrap(launch.snapshot.pack())  # goes out before the first question

    async def ask(self, frame: bytes) -> frames.Answer:
        """Send one frame, read one. Raises OSError or EOFError when the minter is gone."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, self._greeting + frame)
        self._greeting = b""
        return frames.unpack_answer(await self._exactly(frames.length(await self._exactly(frames.HEAD.size))))

    async def _exactly(self, count: int) -> bytes:
        loop, parts = asyncio.get_running_loop(), bytearray()
        while len(parts) < count:
            part = await loop.sock_recv(self._socket, count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    def rest(self, idle: float, end: Callable[["_Child"], None]) -> None:
        """End after `idle` seconds unless asked again before."""
        self._timer = asyncio.get_running_loop().call_later(idle, end, self)

    def stop_resting(self) -> None:
        """There is work again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """End the process and everything it started, now; nothing else is disturbed."""
        self.stop_resting()
        self._socket.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # a killed process is gone within a millisecond; it must not stay a zombie
