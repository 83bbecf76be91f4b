"""What the control plane does besides tokens: status, who am I, a lease, refresh, reload. No HTTP in here."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection

import msgspec

from broker import __version__, clock, status
from broker import control_api as api
from broker.callers import match
from broker.callers.accounts import Account
from broker.codes import needs_code, start_with_code
from broker.desk import Desk
from broker.dialects import environment
from broker.errors import ConfigError, IdentityMissing, Refused, in_public
from broker.events import Note, RefreshAsked
from broker.keeper import Keeper
from broker.metrics import Metrics
from broker.model import Caller, Lease, Want
from broker.rounds import Clock, Flight, Rounds
from broker.secret import Secret
from broker.server.directory import Directory
from broker.server.issuer import Issuer
from broker.server.limiter import Refreshes
from broker.server.rights import Rights
from broker.server.sight import Seen, Sight
from broker.wire import Request


class Facts(msgspec.Struct, kw_only=True):
    """What the daemon knows of itself and says in `status`; filled in as it starts, and by each reload."""

    host: str = ""
    port: int = 0
    listen: tuple[str, ...] = ()
    admin: str | None = None
    attestation: str = "on"
    imds: str = "off"  # "on", "off", or why it is off although it is configured
    minters: Callable[[], tuple[int, ...]] = tuple
    state: Callable[[], str] = str
    reload_refused: api.ReloadRefused | None = None

    def reloaded(self, refused: ConfigError | None) -> None:
        """The configuration was read again; that it was refused is said until one is not."""
        self.reload_refused = None
        if refused is not None:
            first, count = str(refused.mistakes[0]), len(refused.mistakes)
            self.reload_refused = api.ReloadRefused(at=clock.wall(), mistake=first, mistakes=count)


class Clerk:
    """Does what the control plane is asked, if the asking account may."""

    def __init__(  # noqa: PLR0913 - the composition root hands over the parts, each by name
        self,
        *,
        desk: Desk,
        rounds: Rounds,
        directory: Directory,
        rights: Rights,
        metrics: Metrics,
        note: Note,
        clock: Clock,
        facts: Facts,
        reload: Callable[[int | None], Awaitable[str]],
    ) -> None:
        self.directory = directory
        self.stopping = asyncio.Event()
        self.desk = desk
        self.rounds = rounds
        self.rights = rights
        self._metrics = metrics
        self._note = note
        self.clock = clock
        self._facts = facts
        self._sight = Sight(rights, desk, rounds)
        self._refreshes = Refreshes(note, clock)
        self._reload = reload

    def status(self, account: Account, issuer: Issuer) -> api.Status:
        """The daemon's leases and callers, as far as the account may see them."""
        seen, book, facts = self.rights.seen_by(account), self.desk.book, self._facts
        tokens, operator, refused = issuer.counts(), self.rights.is_operator(account), facts.reload_refused
        if refused and not operator:  # a mistake may quote what he may not read
            refused = api.ReloadRefused(at=refused.at)
        return api.Status(
            version=__version__,
            pid=os.getpid(),
            generation=book.config.generation,
            files=book.config.files,
            listen=facts.listen,
            admin=facts.admin,
            attestation=facts.attestation,
            ready=not self.missing(),
            leases=self.rows(account),
            callers=tuple(
                api.CallerRow(name=name, grants=entry.grants, tokens=tokens[name]) for name, entry in seen.items()
            ),
            minters=facts.minters(),
            state=facts.state() if operator else facts.state().partition(":")[0],
            reload_refused=refused,
        )

    def who(self, account: Account) -> api.Who:
        """Who the account is to this daemon, and what it may have."""
        caller = match.match_uid(self.rights.callers, account)
        return api.Who(
            uid=account.uid,
            user=account.user,
            callers=tuple(found.caller for found in caller.matches) if caller else (),
            how="uid, by the kernel's word on the control socket",
            operator=self.rights.is_operator(account),
            granted=self.granted(caller) if caller else (),
        )

    def granted(self, caller: Caller) -> tuple[api.Granted, ...]:
        """What a caller may have, in order."""
        return tuple(status.granted(self.desk.keepers_of(caller), self.clock.now()))

    def rows(self, account: Account, only: Collection[Keeper] | None = None) -> tuple[api.LeaseRow, ...]:
        """The leases that the account may see, or of these `only` some, each a row."""
        return tuple(self._row(one, account) for one in self._sight.of(account) if only is None or one.keeper in only)

    def _row(self, seen: Seen, account: Account) -> api.LeaseRow:
        row = msgspec.structs.replace(status.lease_row(seen.keeper, self.clock.now()), caller=seen.caller)
        if seen.keeper.error is None or self.rights.is_operator(account):
            return row
        return msgspec.structs.replace(row, advice=in_public(seen.keeper.error).advice)

    def is_minter(self, session: int | None) -> bool:
        """Whether that is the session of one of our own minters: what a credential_process of theirs is in, too."""
        return session in self._facts.minters()

    def missing(self) -> tuple[str, ...]:
        """Required credentials without a valid lease."""
        return status.missing(self.desk.book, self.rounds.keepers, self.clock.now())

    def degraded(self) -> tuple[str, ...]:
        """Credentials whose last mint failed."""
        return status.degraded(self.rounds.keepers)

    def scrape(self) -> bytes:
        """The metrics."""
        return self._metrics.scrape(self.rounds.keepers)

    async def reload(self, account: Account) -> str:
        """Read the configuration again; gives the generation. Raises ConfigError, and then nothing has changed."""
        self.rights.operators_only(account)
        return await self._reload(account.uid)

    def lease(self, account: Account, want: Want) -> bytes | Flight:
        """The lease that the account is granted, as `/env/NAME` gives it, or the flight that brings it."""
        lease = self.desk.lease(self.rights.matched(account), want, "socket")
        if not isinstance(lease, Lease):
            return lease
        request = Request("GET", ("env", want.name or ""), (), {}, keep_alive=True)
        return environment.render(request, lease, lease.left(self.clock.now())).body

    def refresh(
        self, account: Account, name: str, mfa_code: Secret | None, callers: tuple[str, ...] = ()
    ) -> tuple[Flight, ...]:
        """Mint anew, now, every lease of a credential that the account may see, or only as these callers get it.

        A code is good for one mint: with one, it is the first of these leases that is not held. Who is no operator may
        do so now and then. Raises Refused.
        """
        keepers = self._as(account, name, callers) if callers else self._seen(account, name)
        if not keepers:
            advice = "no lease of that name that you may see: credbroker status lists them"
            raise Refused(403, "AccessDenied", advice, reason="not-granted")
        if keepers[0].rendered.spec.per_job:  # its processes would not read another, and upstream allows only so many
            raise Refused(409, "JobsOwn", "each job keeps what was made for it until it is over: start the job anew")
        if mfa_code is None:
            if any(needs_code(self.rounds, keeper) for keeper in keepers):
                raise IdentityMissing("an MFA code is needed", code="MfaRequired")
            self._ration(account, name, keepers)
            return tuple(self.rounds.start(keeper) for keeper in keepers)
        now = self.clock.now()
        first = next((keeper for keeper in keepers if keeper.held(now) is None), keepers[0])
        self._ration(account, name, [first])
        return (start_with_code(self.rounds, first, mfa_code),)

    def tick(self) -> None:
        """Once a second: tell who was held back."""
        self._refreshes.tick()

    def _ration(self, account: Account, name: str, keepers: list[Keeper]) -> None:
        """Upstream's calls are everybody's: a refresh is written down, and but for operators they are few."""
        if not self.rights.is_operator(account):
            self._refreshes.take(account.uid)
        callers = dict.fromkeys(keeper.rendered.facts.caller for keeper in keepers)
        self._note(RefreshAsked(name, tuple(callers), len(keepers), account.uid))

    def _as(self, account: Account, name: str, callers: tuple[str, ...]) -> list[Keeper]:
        """The credential as callers get it whose tokens the account may have."""
        entries = [entry for entry in map(self.rights.entry, callers) if entry]
        matches = tuple(match.facts_for(one, account) for one in entries if self.rights.may_issue(one, account))
        caller = Caller(matches=matches, how="uid", uid=account.uid)
        return self._granted_as(caller, name)

    def _seen(self, account: Account, name: str) -> list[Keeper]:
        keepers = [keeper for keeper, _ in self._sight.of(account) if keeper.rendered.label == name]
        if not keepers and (caller := match.match_uid(self.rights.callers, account)):
            keepers = self._granted_as(caller, name)
        return keepers

    def _granted_as(self, caller: Caller, name: str) -> list[Keeper]:
        return [keeper for keeper, _ in self.desk.keepers_of(caller) if keeper.rendered.label == name]
