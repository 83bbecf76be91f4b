"""Worker tokens: the broker's own short secrets, of which only the SHA-256 digests are kept.

A pure table: time comes in, no clock is read. `now` and `ends` are on the boot clock, `wall` and `expires_at` since the
epoch; a token that lives as long as the connection that holds it ends at infinity. A restart of the daemon ends all
connections, so such a token then has CLAIM seconds to be claimed by a new one.
"""

import base64
import hashlib
import heapq
import math
import secrets
from collections import Counter
from collections.abc import Container, Iterable
from typing import Literal

import msgspec

from broker.errors import Refused
from broker.model import Caller
from broker.secret import Secret

Purpose = Literal["header", "path"]

HEADER_PREFIX = "cbw_"
PATH_PREFIX = "cbp_"
LENGTH = 47  # a prefix and 43 URL-safe characters, which are 32 random bytes

CLAIM = 30.0
# Of a table that fills up, the last tenth is for issuers who have few, and the last hundredth for operators, who can
# then still work and end what others have.
SCARCE, KEPT = 10, 100
FEW = 100

_PREFIX: dict[Purpose, str] = {"header": HEADER_PREFIX, "path": PATH_PREFIX}
RANDOM_BYTES = 32
_ID_BYTES = 6


class TokenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is asked for: who shows it is `caller`, and if that has a uid, only that uid may.

    `ttl` is in seconds; infinite for a token that a control connection holds.
    """

    caller: Caller
    purpose: Purpose
    ttl: float
    issued_by: int | None  # a uid; None where a pod swapped its own token for it
    held: bool = False  # revoked when the control connection that asked for it ends
    beside: str | None = None  # the id of the held token that it is claimed with
    peer: str | None = None  # the only address that may show it: a pod's
    by_operator: bool = False  # who may have what is kept of a full table


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token once it is issued. The id may be shown; it has nothing to do with the secret."""

    id: str
    caller: Caller
    purpose: Purpose
    issued_by: int | None
    issued_at: float
    expires_at: float
    began: float
    ends: float
    held: bool = False
    beside: str | None = None
    peer: str | None = None

    @property
    def unclaimed(self) -> bool:
        """Whether a restart has cut it off from the connection that held it."""
        return self.held and self.ends < math.inf

    def fits(self, attested: int | None, *, attesting: bool) -> bool:
        """Whether the connection that shows it may be of the uid it is bound to.

        `attesting` says that the kernel was asked; its doubt then counts as another uid. Else a thief who half-closes
        his connection, which the kernel does not attest, would slip past the bond.
        """
        return self.caller.uid is None or not attesting or attested == self.caller.uid


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A live token as it survives a restart of the daemon."""

    digest: bytes
    entry: TokenEntry


class WorkerTokens:
    """Every live worker token, found by its digest.

    What is secret is never compared: a dict look-up by digest takes as long whatever was guessed.
    """

    __slots__ = ("_by_digest", "_digests", "_ended", "_ends", "_issued", "_most", "_most_per_issuer", "changes")

    def __init__(self, *, most: int = 100_000, most_per_issuer: int = 25_000) -> None:
        self.changes = 0  # goes up with every token that comes or goes
        self._by_digest: dict[bytes, TokenEntry] = {}  # in the order of issue
        self._digests: dict[str, bytes] = {}  # by id
        self._ends: list[tuple[float, str]] = []  # a heap; ids that are gone stay in it until they come up
        self._ended: list[TokenEntry] = []  # expired, and not yet told to the caller of `expire`
        self._issued: Counter[int | None] = Counter()  # by issuing uid; all pods are one
        self._most = most
        self._most_per_issuer = most_per_issuer

    def __len__(self) -> int:
        return len(self._by_digest)

    def issue(self, order: TokenOrder, now: float, wall: float) -> tuple[Secret, TokenEntry]:
        """Make a token and keep its digest. Raises Refused if it would live no time, or the table is full."""
        text = _PREFIX[order.purpose] + encoded(secrets.token_bytes(RANDOM_BYTES))
        entry, _ = self.renew(text, order, now, wall)
        return Secret(text), entry

    def renew(self, text: str, order: TokenOrder, now: float, wall: float) -> tuple[TokenEntry, bool]:
        """Keep a token of this text, which must be unguessable, or have it live longer; and whether it is new.

        Raises Refused if it would live no time, or the table is full.
        """
        if not order.ttl > 0:
            raise Refused(400, "InvalidTtl", "a worker token must live longer than 0 seconds: give a longer ttl")
        digest = _digest(text)
        before = self._by_digest.get(digest)
        if before is None:
            self._make_room(order, now)
        elif before.ends >= now + order.ttl:
            return self._moved(before, order.peer), False
        token_id = before.id if before else self._new_id()
        entry = TokenEntry(
            id=token_id,
            caller=msgspec.structs.replace(order.caller, how="token", token_id=token_id),
            purpose=order.purpose,
            issued_by=order.issued_by,
            issued_at=wall,
            expires_at=wall + order.ttl,
            began=now,
            ends=now + order.ttl,
            held=order.held,
            beside=order.beside,
            peer=order.peer,
        )
        self._keep(digest, entry)
        return entry, before is None

    def find(self, text: str, purpose: Purpose, now: float) -> TokenEntry | None:
        """The live token of that text and purpose, or None."""
        if len(text) != LENGTH:
            return None
        entry = self.by_digest(_digest(text), now)
        return entry if entry is not None and entry.purpose == purpose else None

    def by_digest(self, digest: bytes, now: float) -> TokenEntry | None:
        """The live token of this SHA-256, which only its holder and this table know; or None."""
        entry = self._by_digest.get(digest)
        return entry if entry is not None and now < entry.ends else None

    def entry(self, token_id: str) -> TokenEntry | None:
        """The token of that id, or None."""
        digest = self._digests.get(token_id)
        return None if digest is None else self._by_digest[digest]

    def revoke(self, token_id: str) -> TokenEntry | None:
        """End a token at once; None if there is none of that id."""
        digest = self._digests.pop(token_id, None)
        if digest is None:
            return None
        entry = self._by_digest.pop(digest)
        self.changes += 1
        self._issued[entry.issued_by] -= 1
        if not self._issued[entry.issued_by]:
            del self._issued[entry.issued_by]
        return entry

    def expire(self, now: float) -> tuple[TokenEntry, ...]:
        """End what has reached its time; gives each such token once."""
        self._sweep(now)
        ended, self._ended = self._ended, []
        return tuple(ended)

    def list(self) -> tuple[TokenEntry, ...]:
        """Every token, in the order of issue, expired ones included until they are swept."""
        return tuple(self._by_digest.values())

    def adopt(self, callers: Container[str]) -> tuple[TokenEntry, ...]:
        """End the tokens of which a new configuration knows no caller any more; gives them."""
        gone = [entry for entry in self.list() if not any(facts.caller in callers for facts in entry.caller.matches)]
        for entry in gone:
            self.revoke(entry.id)
        return tuple(gone)

    def dump(self) -> tuple[Kept, ...]:
        """Digests and entries, to be kept over a restart."""
        return tuple(map(Kept, self._by_digest.keys(), self._by_digest.values()))

    def load(self, kept: Iterable[Kept], now: float, wall: float) -> None:
        """Take back what a restart left; not what has expired by either clock, or was issued in another boot.

        Held tokens are good until `now` + CLAIM, unless somebody claims them.
        """
        for token in kept:
            entry = token.entry
            if not (entry.began <= now < entry.ends and wall < entry.expires_at and len(self) < self._most):
                continue
            if entry.held:
                entry = msgspec.structs.replace(entry, ends=now + CLAIM, expires_at=wall + CLAIM)
            self._keep(token.digest, entry)

    def claim(self, text: str, now: float, claimant: int) -> tuple[TokenEntry, ...]:
        """A new connection of the uid that they were issued by holds this token, and those beside it, from now on.

        Raises Refused: 404 where there is nothing for this uid to claim, 409 where a connection holds them.
        """
        found = self.find(text, "header", now)
        if found is None or not found.held or found.issued_by != claimant:
            raise Refused(404, "NotFound", "there is no such token to claim: start the command by credbroker again")
        if not found.unclaimed:
            raise Refused(409, "Held", "another connection holds this token")
        both = [entry for entry in self.list() if found.id in {entry.id, entry.beside}]
        return tuple(self._hold(entry) for entry in both)

    def _moved(self, entry: TokenEntry, peer: str | None) -> TokenEntry:
        if entry.peer != peer:
            entry = msgspec.structs.replace(entry, peer=peer)
            self._keep(self._digests[entry.id], entry)
        return entry

    def _hold(self, entry: TokenEntry) -> TokenEntry:
        held = msgspec.structs.replace(entry, ends=math.inf, expires_at=math.inf)
        self._keep(self._digests[entry.id], held)
        return held

    def _keep(self, digest: bytes, entry: TokenEntry) -> None:
        self.revoke(entry.id)
        self.changes += 1
        self._by_digest[digest] = entry
        self._digests[entry.id] = digest
        self._issued[entry.issued_by] += 1
        heapq.heappush(self._ends, (entry.ends, entry.id))
        if len(self._ends) > 2 * len(self) + 64:  # many were revoked long before their time
            self._ends = [(entry.ends, entry.id) for entry in self._by_digest.values()]
            heapq.heapify(self._ends)

    def _sweep(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            entry = self.entry(heapq.heappop(self._ends)[1])
            if entry is not None and entry.ends <= now:  # it may have been claimed or renewed since this was noted
                self.revoke(entry.id)
                self._ended.append(entry)

    def _make_room(self, order: TokenOrder, now: float) -> None:
        if self._full(order) is not None:
            self._sweep(now)
        if (why := self._full(order)) is not None:
            advice = f"{why}: revoke some with `credbroker token revoke`, or issue shorter ones"
            raise Refused(429, "TooManyTokens", advice)

    def _full(self, order: TokenOrder) -> str | None:
        """Why there is no room for one more, if there is none."""
        issuer, room = order.issued_by, self._most - len(self)
        mine = self._issued[issuer]
        if mine >= self._most_per_issuer:
            who = "pods have" if issuer is None else f"uid {issuer} has"
            return f"{who} {self._most_per_issuer} live worker tokens"
        if room <= (0 if order.by_operator else self._most // KEPT):
            return f"there are {len(self)} live worker tokens" + (", and what is left is for operators" if room else "")
        if not order.by_operator and room <= self._most // SCARCE and mine >= FEW:
            return f"there are {len(self)} live worker tokens, and what is left is for who has fewer than {FEW}"
        return None

    def _new_id(self) -> str:
        while (token_id := secrets.token_hex(_ID_BYTES)) in self._digests:
            pass
        return token_id


def encoded(random: bytes) -> str:
    """Bytes as the URL-safe text of a token."""
    return base64.urlsafe_b64encode(random).rstrip(b"=").decode()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
