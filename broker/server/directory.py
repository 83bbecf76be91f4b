"""Which caller a uid is: the name service asked in a thread, its last good answer kept, the loop never blocked."""

import asyncio
import functools
from collections.abc import Callable

from broker.callers import match
from broker.callers.accounts import Account, Accounts, look_up
from broker.config.shape import CallerEntry
from broker.model import Caller
from broker.threads import Threads
from broker.waiting import Landing

THREADS = 8  # each may hang
PATIENCE = 2.0  # seconds that a name service has, before a uid without a good answer counts as a bare number
MOST_KNOWN = 10_000


class LookUp(Landing):
    """One question to the name service, shared by all who wait for its answer."""

    __slots__ = ("begun",)

    def __init__(self, begun: float) -> None:
        super().__init__()
        self.begun = begun


class Directory:
    """Callers by uid. `callers` gives the entries of the present generation."""

    def __init__(
        self,
        callers: Callable[[], tuple[CallerEntry, ...]],
        clock: Callable[[], float],
        ask: Callable[[int], Account] = look_up,
    ) -> None:
        self._callers = callers
        self._clock = clock
        self._accounts = Accounts()
        self._known: dict[int, Caller | None] = {}
        self._under_way: dict[int, LookUp] = {}
        self._ask = ask
        self._threads = Threads(THREADS, "names")

    def forget_callers(self) -> None:
        """The configuration has changed: match anew. Accounts stay known."""
        self._known.clear()

    def caller(self, uid: int, now: float) -> Caller | LookUp | None:
        """The caller that this uid is, None if it is none, or the look-up that must land first.

        Where the name service hangs, who is named by his number is known by that; all others wait.
        """
        account = self.account(uid, now)
        if isinstance(account, LookUp):
            hangs = now - account.begun > PATIENCE
            return (match.match_uid(self._callers(), Account(uid)) if hangs else None) or account
        if uid not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[uid] = match.match_uid(self._callers(), account)
        return self._known[uid]

    def account(self, uid: int, now: float) -> Account | LookUp:
        """The last good answer about a uid; a stale one is renewed behind it."""
        known = self._accounts.known(uid, now)
        if known is None or self._accounts.stale(uid, now):
            look = self._look_up(uid)
            return known if known is not None else look
        return known

    async def account_soon(self, uid: int) -> Account:
        """The same for who can wait for it, but not for ever: then it is the number alone."""
        while isinstance(found := self.account(uid, self._clock()), LookUp):
            landed = asyncio.Event()
            forget = found.add(lambda _, landed=landed: landed.set())  # type: ignore[misc]
            try:
                await asyncio.wait_for(landed.wait(), PATIENCE)
            except TimeoutError:
                return Account(uid)
            finally:
                forget()
        return found

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.close()

    def _look_up(self, uid: int) -> LookUp:
        look = self._under_way.get(uid)
        if look is None:
            look = self._under_way[uid] = LookUp(self._clock())
            asked = self._threads.do(functools.partial(self._ask, uid))
            asked.add_done_callback(functools.partial(self._landed, uid))
        return look

    def _landed(self, uid: int, asked: "asyncio.Future[Account]") -> None:
        now = self._clock()
        if asked.exception() is None:
            self._accounts.learn(asked.result(), now)
        elif self._accounts.known(uid, now) is None:
            self._accounts.learn(Account(uid), now)  # no answer ever: known by its number alone, asked again when stale
        else:
            self._accounts.failed(uid, now)
        self._known.pop(uid, None)
        self._under_way.pop(uid).call_back()
