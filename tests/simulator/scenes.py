"""Short lives that lead straight to one danger each; what luck brings about once in a thousand lives."""

from collections.abc import Callable

from tests.simulator.cloud import FAIR, Weather
from tests.simulator.life import Life

SILENT = Weather("silent")


def _paused_then_set_back(life: Life) -> None:
    """A step back gives nothing back that a pause has cost."""
    life.heal()
    life.weather(SILENT)
    life.stand_still(2600)
    life.step(-3600)
    life.live(1000)


def _set_back_then_paused(life: Life) -> None:
    """Nor does one that came before it."""
    life.heal()
    life.step(-3600)
    life.weather(SILENT)
    life.stand_still(2600)
    life.live(1000)


def _paused_in_the_middle_of_a_mint(life: Life) -> None:
    """The answer was on its way."""
    life.restart(0.15)
    life.stand_still(4000)


def _suspended_in_the_middle_of_a_mint(life: Life) -> None:
    """Likewise, and the boot clock knows."""
    life.restart(0.15)
    life.suspend(4000)


def _minted_again_at_once(life: Life) -> None:
    """By the boot clock the lease after a pause ends when the one before it did."""
    life.luck = lambda: -1.0
    life.restart(0.25)
    life.stand_still(1900)
    life.weather(SILENT)
    life.live(1800)


def _set_forward_and_back(life: Life) -> None:
    """A clock that was wrong for a minute costs nobody a lease, even while upstream is away."""
    life.heal()
    life.weather(SILENT)
    life.step(86_400)
    life.step(-86_400)
    life.all_served("after a clock was set right")


def _denied_for_a_moment(life: Life) -> None:
    """Somebody mends a trust policy within half a minute."""
    for _ in range(16):
        life.weather(Weather("denied"))
        life.live(25)
        life.weather(FAIR)
        life.live(31)


def _asked_for_nonsense(life: Life) -> None:
    """Expired, or as good as for ever: what is held is better."""
    for weather in (Weather("expired"), Weather("endless")):
        life.heal()
        life.weather(weather)
        life.live(1790)


def _back_and_slow(life: Life) -> None:
    """After an outage upstream takes seconds for an answer: nobody waits for one while there is a lease."""
    life.heal()
    life.weather(SILENT)
    life.live(500)
    life.weather(Weather("fair", latency=3.0))
    for _ in range(10):
        life.live(60)
        life.all_served("by a slow cloud")


def _a_crowd(life: Life) -> None:
    """Fifty users come in the same moment."""
    life.heal()
    life.crowd(50)
    life.heal()


def _told_to_wait_a_day(life: Life) -> None:
    """A Retry-After of a day would be an outage of ours."""
    life.heal()
    life.weather(Weather("throttled", patience=86_400.0))
    life.live(4000)
    life.heal()


def _away_for_half_a_life(life: Life) -> None:
    """The goal, for each life."""
    life.outage("silent", "short", 400)
    life.outage("refused", "train", 1600)


def _everybody_at_once(life: Life) -> None:
    """Upstream hears of one."""
    life.herd(300)


SCENES: tuple[Callable[[Life], None], ...] = (
    _away_for_half_a_life,
    _paused_then_set_back,
    _set_back_then_paused,
    _paused_in_the_middle_of_a_mint,
    _suspended_in_the_middle_of_a_mint,
    _minted_again_at_once,
    _set_forward_and_back,
    _denied_for_a_moment,
    _asked_for_nonsense,
    _back_and_slow,
    _a_crowd,
    _told_to_wait_a_day,
    _everybody_at_once,
)
