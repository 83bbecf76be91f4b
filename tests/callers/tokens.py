"""Worker tokens as the tests order them."""

from typing import Any

from broker.callers.worker_token import Purpose, TokenEntry, TokenOrder, WorkerTokens
from broker.model import Caller, CallerFacts

WALL = 1_800_000_000.0


def a_caller(*names: str, uid: int | None = None) -> Caller:
    return Caller(matches=tuple(CallerFacts(caller=name) for name in names), how="token", uid=uid)


TRAINER = a_caller("trainer")


def an_order(
    caller: Caller = TRAINER,
    *,
    purpose: Purpose = "header",
    ttl: float = 60.0,
    issued_by: int | None = 1000,
    **more: Any,
) -> TokenOrder:
    return TokenOrder(caller=caller, purpose=purpose, ttl=ttl, issued_by=issued_by, **more)


def issued(tokens: WorkerTokens, order: TokenOrder | None = None, now: float = 0.0) -> tuple[str, TokenEntry]:
    """A new token in the clear, and its entry."""
    secret, entry = tokens.issue(order or an_order(), now, WALL + now)
    return secret.open(), entry
