"""When to refresh and when to retry: pure arithmetic over seconds. `jitter` is in -1..1 and comes from the caller."""

SERVE_FLOOR = 30.0  # a lease is not handed out in its last 30 s
SPREAD = 0.1  # a refresh comes up to 10 % of half of the lifetime before that half is over
HEALING = 40.0  # and this before it, at least: a mint hangs for 30 s, the next waits a little and takes a little
SOONEST = 1.0  # no mint is planned sooner than this after the last
FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
LONGEST_PATIENCE = 300.0  # an upstream Retry-After is honoured up to this
DENIED_RETRY = 30.0
AFTER_PAUSE = 5.0  # what a pause has made due is refreshed within these seconds


def refresh_at(began: float, ends: float, jitter: float, again: float | None = None) -> float:
    """Within the last tenth of the first half of the lifetime, less HEALING; sooner where `again` says after how long.

    So an outage of half of the lifetime less SERVE_FLOOR is over, and healed, before the lease is served no longer,
    even one that begins when the refresh was just due. A life under 800 s is too short for that: nine tenths of half.
    """
    half = (ends - began) / 2
    soonest = half * (1 - SPREAD)
    latest = max(soonest, half - HEALING)
    refresh = began + (soonest + latest) / 2 + (latest - soonest) / 2 * jitter
    return refresh if again is None else min(refresh, began + again * (1 + SPREAD * jitter))


def same_again_at(now: float, ends: float) -> float:
    """Upstream gave what is held already: ask again at half of what is left, which is 15 s or more (SERVE_FLOOR)."""
    return now + (ends - now) / 2


def retry_in(failures: int, jitter: float, asked: float | None = None, left: float | None = None) -> float:
    """Seconds until the next try after `failures` in a row (1 or more): doubling, capped, jittered downwards by half.

    `asked` is upstream's Retry-After: never sooner than it, within LONGEST_PATIENCE. `left` is how much longer there is
    something to serve: the cap is a quarter of that, so that an upstream back at the last moment is not missed.
    """
    longest = LONGEST_RETRY if left is None else min(LONGEST_RETRY, max(FIRST_RETRY, left / 4))
    backoff = min(longest, FIRST_RETRY * 2.0 ** min(failures - 1, 16))
    backoff *= 0.75 + 0.25 * jitter
    return max(backoff, min(asked, LONGEST_PATIENCE)) if asked is not None else backoff


def after_pause(jitter: float) -> float:
    """Seconds until a refresh that a pause of the machine has made due: many machines may have been paused together."""
    return AFTER_PAUSE * (1 + jitter) / 2
