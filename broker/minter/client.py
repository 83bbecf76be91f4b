"""The daemon's side of the minters: started on demand, one mint each, ended by a deadline or when idle.

A minter is a child of ours, or a process of the minter service, which systemd starts for each connection: hanging up
ends it.
"""

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
AGE = 600.0  # one that has lived so long is not asked again: what an SDK leaks ends with it
SIZE = 4


class Launch(msgspec.Struct, frozen=True):
    """What a child is started with: the configuration as the daemon read it, and its whole environment."""

    snapshot: Snapshot
    environment: Mapping[str, str]


class Service(msgspec.Struct, frozen=True):
    """Where the minter service listens. Its processes read the configuration themselves and have their own identity."""

    path: str


class Pool:
    """Up to `size` minters. Must be used from the main thread: a child's death signal follows the thread."""

    def __init__(
        self,
        launch: Launch | Service,
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
        self._resting: list[_Minter] = []
        self._all: set[_Minter] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of all children, working or resting; systemd knows those of the service."""
        return tuple(minter.pid for minter in self._all if isinstance(minter, _Child))

    def relaunch(self, launch: Launch | Service) -> None:
        """Use another configuration from now on; working minters finish what they do."""
        self._launch = launch
        for minter in list(self._resting):
            self._end(minter)

    async def call(self, call: frames.Question) -> frames.Good:
        """Ask a minter. Raises the MintError that it answered, or Unreachable when it was lost or too slow."""
        async with self._places:
            minter = self._take()
            try:
                async with asyncio.timeout(self._deadline):
                    answer = await minter.ask(frames.pack(call))
            except TimeoutError:
                raise self._lost(minter, "deadline", f"no answer from upstream within {self._deadline:.0f} s") from None
            except (OSError, EOFError, BrokerError):
                raise self._lost(minter, "died", "the minter process ended while it was asked") from None
            except asyncio.CancelledError:
                self._end(minter)
                raise
            self._put_back(minter)
        if isinstance(answer, frames.Failed):
            raise frames.to_error(answer)
        return answer

    async def calls(self, calls: Sequence[frames.Call]) -> list[frames.Good | BaseException]:
        """Ask several minters at once; what one could not answer stands as its error."""
        return await asyncio.gather(*(self.call(call) for call in calls), return_exceptions=True)

    async def close(self) -> None:
        """End all minters and see them gone."""
        for minter in list(self._all):
            self._end(minter)
        await asyncio.sleep(0)

    def _take(self) -> "_Minter":
        while self._resting:
            minter = self._resting.pop()
            if minter.waits:
                minter.stop_resting()
                return minter
            self._end(minter)
            self._note(MinterLost("at rest"))
        launch = self._launch
        try:
            minter = _Child(launch) if isinstance(launch, Launch) else _Connection(launch)
        except OSError as error:  # no process, memory or descriptor left, or nobody there
            raise Unreachable(_no_minter(launch, error), code="MinterLost") from None
        self._all.add(minter)
        return minter

    def _put_back(self, minter: "_Minter") -> None:
        if minter.launch is not self._launch or asyncio.get_running_loop().time() - minter.began > AGE:
            self._end(minter)
            return
        self._resting.append(minter)
        minter.rest(self._idle, self._end)

    def _lost(self, minter: "_Minter", why: str, advice: str) -> MintError:
        self._end(minter)
        self._note(MinterLost(why))
        return Unreachable(advice, code="Deadline" if why == "deadline" else "MinterLost")

    def _end(self, minter: "_Minter") -> None:
        if minter in self._resting:
            self._resting.remove(minter)
        self._all.discard(minter)
        minter.end()


def _no_minter(launch: Launch | Service, error: OSError) -> str:
    if isinstance(launch, Launch):
        return f"no minter process can be started: {error.strerror}"
    return f"no minter answers at {launch.path}: {error.strerror}; see `systemctl status credbroker-minter.socket`"


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


class _Minter:
    """One minter: our end of its socket, and its rest between two questions. `greeting` goes before the first one."""

    def __init__(self, launch: Launch | Service, talk: socket.socket, greeting: bytes = b"") -> None:
        self.launch = launch
        self.began = asyncio.get_running_loop().time()
        self._timer: asyncio.TimerHandle | None = None
        self._socket = talk
        self._greeting = greeting

    async def ask(self, frame: bytes) -> frames.Answer:
        """Send one frame, read one. Raises OSError or EOFError when the minter is gone."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self._socket, self._greeting + frame)
        self._greeting = b""
        length = frames.length(await self._exactly(frames.HEAD.size), frames.LONGEST_ANSWER)
        return frames.unpack_answer(await self._exactly(length))

    async def _exactly(self, count: int) -> bytes:
        loop, parts = asyncio.get_running_loop(), bytearray()
        while len(parts) < count:
            part = await loop.sock_recv(self._socket, count - len(parts))
            if not part:
                raise EOFError
            parts += part
        return bytes(parts)

    @property
    def waits(self) -> bool:
        """Whether it is there and has said nothing unasked: it may have left, grown too large, or been killed."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def rest(self, idle: float, end: Callable[["_Minter"], None]) -> None:
        """End after `idle` seconds unless asked again before."""
        self._timer = asyncio.get_running_loop().call_later(idle, end, self)

    def stop_resting(self) -> None:
        """There is work again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Hang up. A minter that is asked nothing leaves; one of the service also ends what it is doing."""
        self.stop_resting()
        self._socket.close()


class _Connection(_Minter):
    """One process of the minter service, at the other end of a connection."""

    def __init__(self, service: Service) -> None:
        talk = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        talk.settimeout(0)
        try:
            talk.connect(service.path)  # a Unix socket accepts at once, or has no room
        except OSError:
            talk.close()
            raise
        super().__init__(service, talk)


class _Child(_Minter):
    """One minter process of ours."""

    def __init__(self, launch: Launch) -> None:
        talk, theirs = socket.socketpair()
        talk.settimeout(0)
        with theirs:
            try:
                self._process = _start(theirs.fileno(), launch.environment)
            except OSError:
                talk.close()
                raise
        self.pid = self._process.pid
        super().__init__(launch, talk, frames.wrap(launch.snapshot.pack()))

    def end(self) -> None:
        """End the process and everything it started, now; nothing else is disturbed."""
        super().end()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # a killed process is gone within a millisecond; it must not stay a zombie
