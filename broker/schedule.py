"""When to refresh and when to retry: pure arithmetic over seconds. `jitter` is in -1..1 and comes from the caller."""

SERVE_FLOOR = 30.0  # a lease is not handed out in its last 30 s
SPREAD = 0.1  # refreshes spread over +-10 % of half of the lifetime
SOONEST = 1.0  # no mint is planned sooner than this after the last
FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
LONGEST_PATIENCE = 300.0  # an upstream Retry-After is honoured up to this
DENIED_RETRY = 30.0


def refresh_at(began: float, ends: float, jitter: float, again: float | None = None) -> float:
    """Half of the lifetime, +-10 % of that half; sooner where it is to be asked for anew after `again` seconds."""
    half = (ends - began) / 2
    if again is not None:
        half = min(half, again)
    return began + half * (1 + SPREAD * jitter)


def same_again_at(now: float, ends: float) -> float:
    """Upstream gave what is held already: ask again at half of what is left, which is 15 s or more (SERVE_FLOOR)."""
    return now + (ends - now) / 2


def retry_in(failures: int, jitter: float, asked: float | None = None) -> float:
    """Seconds until the next try after `failures` in a row (1 or more): doubling, capped, jittered downwards by half.

    `asked` is upstream's Retry-After: never sooner than it, within LONGEST_PATIENCE.
    """
    backoff = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(failures - 1, 16))
    backoff *= 0.75 + 0.25 * jitter
    return max(backoff, min(asked, LONGEST_PATIENCE)) if asked is not None else backoff
