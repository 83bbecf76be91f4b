"""The composition root: makes the parts, joins them, runs the few fixed loops. `async with Daemon(...)` is the program.

It imports no cloud SDK and connects to nothing outside: minters do.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from broker import clock, logs, process
from broker.audit import Audit, ToLog
from broker.audit_file import AuditFile
from broker.callers.imds_token import ImdsTokens
from broker.callers.peer import Attestor
from broker.callers.worker_token import WorkerTokens
from broker.checking import found_identities
from broker.config import zero
from broker.config.shape import Config, Snapshot
from broker.desk import Desk
from broker.events import Event, LeaseMinted, LeasesTakenOver, Reloaded
from broker.kept_leases import KeptLeases
from broker.ledger import Ledger
from broker.metrics import Metrics
from broker.minter.asking import REVIEWERS
from broker.plan import Book, make_book
from broker.reloading import Reloading
from broker.retiring import Retiring
from broker.rounds import Rounds
from broker.server import gate
from broker.server.bounds import bounds
from broker.server.clerk import Clerk, Facts
from broker.server.control import Control
from broker.server.denials import Denials
from broker.server.directory import Directory
from broker.server.doors import BACKLOG, Doors, open_doors
from broker.server.inquiry import Inquiry
from broker.server.issuer import Issuer
from broker.server.kept_tokens import KeptTokens
from broker.server.reception import Reception
from broker.server.reviews import NODE_NAME, Reviews
from broker.server.rights import Rights
from broker.server.worker import Plane
from broker.supervisor import Supervisor
from broker.upstream import Upstream

TICK = 1.0
DRAIN = 5.0
NO_IMDS = "imds = true has no effect while attestation is off: /latest is 404"


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon is started with. `handed` are the listeners that systemd gave, by name."""

    config: Config
    snapshot: Snapshot
    identity: Mapping[str, str]
    runtime_dir: str
    config_path: Path | None = None
    handed: Mapping[str, tuple[socket.socket, ...]] = {}
    audited: bool = True  # not for the broker of one `exec`: its user is the only one there is, and nothing outlives it


class Daemon:
    """The running daemon. Listens from `__aenter__` on; `run` keeps leases fresh until `stop`."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self.config, self._snapshot = start.config, start.snapshot
        self.metrics = Metrics()
        self._denials = Denials(clock.wall)
        self._ledger = Ledger(self.metrics.listen, *logs.listeners(self.config.daemon.log_level), self._denials.listen)
        self._note = self._ledger.note
        self._supervisor = Supervisor()
        self._audit: Audit | None = None
        if start.audited:
            file = self.config.daemon.audit_file
            self._audit = Audit(AuditFile(file) if file else ToLog(), self._note)
            self._ledger.add(self._audit.listen)
        self._attestor = Attestor()
        self.facts = Facts(attestation=self._attestor.start() or "on")
        if self.config.daemon.imds:  # it has no secret of the caller's: without the kernel's word it knows nobody
            self.facts.imds = "on" if self._attestor.on else NO_IMDS
        self._stack = contextlib.AsyncExitStack()
        self._stopped = asyncio.Event()
        self._reloading = Reloading(start.config_path, self._note, self._supervisor, self.facts.reloaded)
        self._servers: list[asyncio.Server] = []

    async def __aenter__(self) -> Self:
        """Open the sockets and serve; nothing is minted yet. Raises BrokerError where a socket cannot be had."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._attestor.close)
            if self._audit:
                stack.callback(self._audit.close)
            doors = self._open_sockets(stack)
            self._compose()
            await self._leases.start()
            self.rounds.warm(self.desk.book.warm())  # `run` mints; `/readyz` misses them from its first answer on
            stack.push_async_callback(self._leases.close)
            stack.callback(self._kept.close)
            stack.callback(self._plane.reception.close)
            stack.push_async_callback(self._upstream.close)
            stack.push_async_callback(self.rounds.close)
            stack.callback(self._directory.close)
            stack.callback(self._reloading.close)
            await self._serve(doors, stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drain and close everything."""
        self._supervisor.stopping()
        for server in self._servers:
            server.close()  # whoever connects from now on waits in the socket for the next process
        self._clerk.stopping.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await self._plane.drained()
        self._plane.cut()
        await self._retiring.close(all_over=not self._start.audited)
        await self._stack.aclose()

    async def run(self) -> None:
        """Keep leases fresh until `stop` is called."""
        self._ledger.add(self._listen)
        self._look_ready()
        async with asyncio.TaskGroup() as loops:
            ours = (self.rounds.run(), self._tick(), self._kept.run(), self._leases.run(), self._retiring.run())
            fixed = [loops.create_task(one) for one in (*ours, self._reloading.run(self.reload))]
            fixed += [loops.create_task(self._reviews.run()) for _ in range(REVIEWERS)]
            await self._stopped.wait()
            for loop in fixed:
                loop.cancel()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called already."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End `run`."""
        self._stopped.set()

    def reload_soon(self) -> None:
        """The same as `reload`, for a signal; what becomes of it stands in the log."""
        self._reloading.soon()

    async def reload(self, by_uid: int | None = None) -> str:
        """Read the configuration again; gives the generation. Raises ConfigError, and then nothing has changed.

        The audit file is opened anew whatever becomes of it, as logrotate wants.
        """
        async with self._reloading.alone:
            if self._audit:
                self._audit.reopen()
            config, snapshot, book = await self._reloading.read(lambda: self.config, by_uid)
            self._adopt(config, snapshot, book)
        self._note(Reloaded(config.generation, None, by_uid))
        return config.generation

    def _adopt(self, config: Config, snapshot: Snapshot, book: Book) -> None:
        before, self.config, self._snapshot = self.config, config, snapshot
        self._upstream.relaunch(snapshot)
        self.desk.swap(book)
        self._directory.forget_callers()
        self._reviews.adopt(before)
        self._issuer.adopt(book)

    async def narrow(self) -> bool:
        """Zero configuration: serve only what there is an identity for; whether there is any."""
        found = await found_identities(self.desk.book, self._upstream.pool)
        self.config = zero.narrowed(self.config, found)
        self.desk.swap(make_book(self.config))
        return bool(found)

    def _compose(self) -> None:
        tokens = WorkerTokens()
        self._retire_for(tokens)
        self.rounds = Rounds(self._retiring.mint, self._note, clock, rate=self.config.daemon.limits.upstream_per_second)
        self.desk = Desk(make_book(self.config), self.rounds, self._note, clock)
        self._directory = Directory(lambda: self.desk.book.config.callers, clock.now)
        node = os.environ.get(NODE_NAME)
        self._reviews = Reviews(lambda: self.config, self._upstream.reviewer.ask, self._note, clock, node)
        rights, self.facts.minters = Rights(self.desk), lambda: self._upstream.pids
        self._keep_leases()
        self._clerk = Clerk(
            desk=self.desk,
            rounds=self.rounds,
            directory=self._directory,
            rights=rights,
            metrics=self.metrics,
            note=self._note,
            clock=clock,
            facts=self.facts,
            reload=self.reload,
        )
        self._issuer = Issuer(
            rights=rights,
            worker_tokens=tokens,
            granted=self._clerk.granted,
            where=lambda: (self.facts.host, self.facts.port),
            note=self._note,
            clock=clock,
            of_pod=self._reviews.of,
        )
        folder = Path(self._start.runtime_dir) if self._start.audited else None
        self._kept = KeptTokens.of(tokens, folder, self.socket_path, self._note, clock)
        self._issuer.adopt(self.desk.book)
        self._inquiry = Inquiry(self._clerk, tokens, self._denials, lambda: self._snapshot.files, note=self._note)
        self._receive(tokens)

    def _retire_for(self, tokens: WorkerTokens) -> None:
        start = self._start
        self._upstream = Upstream(start.identity, self._own, lambda: self.config, start.snapshot, self._note)
        self._retiring = Retiring(
            mints=self._upstream.mints,
            rounds=lambda: self.rounds,
            book=lambda: self.desk.book,
            lives=lambda token_id: tokens.entry(token_id) is not None,
            note=self._note,
            clock=clock,
        )
        self._ledger.add(self._retiring.listen)

    def _keep_leases(self) -> None:
        self._leases = KeptLeases(
            settings=self.config.daemon,
            runtime_dir=self._start.runtime_dir,
            rounds=self.rounds,
            book=lambda: self.desk.book,
            note=self._note,
            clock=clock,
        )
        self._ledger.add(self._leases.listen)
        self.facts.state = lambda: self._leases.state

    def _receive(self, tokens: WorkerTokens) -> None:
        reception = Reception(
            desk=self.desk,
            tokens=tokens,
            directory=self._directory,
            metrics=self.metrics,
            note=self._note,
            clock=clock,
            attesting=self._attestor.on,
            limits=self.config.daemon.limits,
            imds_tokens=ImdsTokens() if self.facts.imds == "on" else None,
            reviews=self._reviews,
        )
        limits = bounds(process.raise_descriptor_limit(), self.config.daemon.limits)
        self._plane = Plane(reception, self._attestor.uid_of, limits)

    def _open_sockets(self, stack: contextlib.AsyncExitStack) -> Doors:
        doors = open_doors(self.config.daemon, self._start.handed, self._start.runtime_dir, stack)
        self._own = doors.listen
        self.facts.host, self.facts.port = doors.workers.host, doors.workers.port
        self.facts.listen = tuple(map(str, doors.listen))
        self.facts.admin = doors.admin_at
        self.socket_path = doors.path
        return doors

    async def _serve(self, doors: Doors, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        for listener in doors.worker:
            server = await loop.create_server(self._plane.connection, sock=listener, backlog=BACKLOG)
            self._servers.append(server)
            stack.callback(server.close)
        control = Control(self._clerk, self._issuer, self._inquiry, self._kept.flush)
        people = gate.of_socket(process.raise_descriptor_limit(), self._note)
        await gate.serve(control.socket_app(), doors.control, people, stack)
        await gate.serve(control.admin_app(), doors.admin, gate.of_admin(self._attestor.uid_of, self._note), stack)

    async def _tick(self) -> None:
        """Once a second: deadlines, expired tokens, how late we are, and a sign of life to systemd."""
        while True:
            due = clock.now() + TICK
            await asyncio.sleep(TICK)
            self.metrics.lags.append(lag := max(clock.now() - due, 0.0))
            self.metrics.events_lost = self._ledger.lost
            self._plane.sweep(lag)
            self._reviews.tick()
            self._issuer.expire()
            self._clerk.tick()
            if self._audit:
                self._audit.tick()
            self._look_ready()
            self._supervisor.alive()

    def _listen(self, event: Event) -> None:
        """The first lease that completes what is required makes us ready, there and then."""
        if isinstance(event, LeaseMinted | LeasesTakenOver) and not self._supervisor.ready:
            self._look_ready()

    def _look_ready(self) -> None:
        self._supervisor.look(self._clerk.missing(), self._clerk.degraded())
