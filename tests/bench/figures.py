"""What a run found, the aims it is held to, and the table that people read. Pure."""

from collections.abc import Iterator
from statistics import median

import msgspec

from tests.bench.herd import Herd
from tests.bench.identity import Cost
from tests.bench.processes import Memory
from tests.bench.wrk import CONNECTIONS, Shot

KEEP_ALIVE_AIM = 1.2  # times nginx
NEW_CONNECTION_AIM = 1.4
DAEMON_AIM = 48.0  # MiB
RESTART_AIM = 1.0  # seconds
WIDTH = 44


class Speed(msgspec.Struct, frozen=True):
    """One way of asking: the rounds, the daemon's and nginx's side by side."""

    name: str
    keep_alive: bool
    daemon: tuple[Shot, ...]
    nginx: tuple[Shot, ...]

    @property
    def ratio(self) -> float:
        """CPU a request over nginx's: the median of the rounds' ratios."""
        return median(ours.cpu / theirs.cpu for ours, theirs in zip(self.daemon, self.nginx, strict=True))

    @property
    def aim(self) -> float:
        """The most that the ratio should be."""
        return KEEP_ALIVE_AIM if self.keep_alive else NEW_CONNECTION_AIM


class Readiness(msgspec.Struct, frozen=True):
    """One start, in seconds: until ready, of which the mint as the daemon saw it, of which upstream."""

    total: float
    mint: float
    upstream: float


class Restart(msgspec.Struct, frozen=True):
    """One start with sealed leases: seconds until ready, how many leases and upstream calls, and the memory then."""

    total: float
    leases: int
    calls: int
    memory: Memory


class Footprint(msgspec.Struct, frozen=True):
    """Memory, and the minters that were left once they had been idle for longer than they may."""

    daemon: Memory
    minters: tuple[Memory, ...]
    left: int
    idled: float
    after_herd: Memory


class Figures(msgspec.Struct, frozen=True):
    """Everything that one run found."""

    speed: tuple[Speed, ...]
    identity: tuple[Cost, ...]
    ready: tuple[Readiness, ...]
    restarts: tuple[Restart, ...]
    herd: Herd
    upstream_calls: int
    herd_latency: float
    footprint: Footprint


def summary(figures: Figures) -> dict[str, object]:
    """The figures that a reader or a machine compares, aims beside them."""
    return {
        "speed": [{**msgspec.to_builtins(one), "ratio": one.ratio, "aim": one.aim} for one in figures.speed],
        **{name: msgspec.to_builtins(getattr(figures, name)) for name in Figures.__struct_fields__[1:]},
        "missed": [line.strip() for line in lines(figures) if line.endswith("MISSED")],
    }


def lines(figures: Figures) -> Iterator[str]:
    """The table."""
    yield from _speed(figures.speed)
    yield ""
    yield from _identity(figures.identity)
    yield ""
    yield from _herd(figures)
    yield ""
    yield from _ready(figures.ready)
    yield ""
    yield from _restarts(figures.restarts)
    yield ""
    yield from _memory(figures.footprint)


def _speed(speed: tuple[Speed, ...]) -> Iterator[str]:
    yield f"CPU a request, one process each, {CONNECTIONS} connections; nginx serves a file of the reply's bytes"
    heads = ("daemon us", "nginx us", "ratio", "aim", "p50 ms", "p99 ms", "nginx p50", "p99")
    yield " " * WIDTH + "".join(f"{head:>11}" for head in heads)
    for one in speed:
        ours, theirs = _middle(one.daemon), _middle(one.nginx)
        row = f"{ours.cpu:11.1f}{theirs.cpu:11.1f}{one.ratio:11.2f}{one.aim:11.2f}"
        row += f"{ours.p50:11.2f}{ours.p99:11.2f}{theirs.p50:11.2f}{theirs.p99:11.2f}"
        how = "keep-alive" if one.keep_alive else "new connection"
        yield f"{f'{one.name}, {how}':<{WIDTH}}{row}  {_verdict(one.ratio <= one.aim)}"


def _identity(costs: tuple[Cost, ...]) -> Iterator[str]:
    yield "What identity costs, each part in a loop of its own, without sockets"
    whole = min(cost.micros for cost in costs if not cost.of)
    for cost in costs:
        beside = f"a {cost.of}; {cost.micros / whole:.2f} of the quicker whole answer" if cost.of else ""
        yield _row(cost.name, f"{cost.micros:.1f} us", beside)


def _herd(figures: Figures) -> Iterator[str]:
    herd, calls = figures.herd, figures.upstream_calls
    yield f"{herd.clients:,} clients at once on a cold lease; upstream thinks for {figures.herd_latency} s"
    yield _row("upstream calls", f"{calls}", f"aim 1  {_verdict(calls == 1)}")
    yield _row("clients that ended without a lease", f"{herd.without}", f"aim 0  {_verdict(herd.without == 0)}")
    if herd.first is not None and herd.last is not None:
        yield _row("the first, and the last, has it after", f"{herd.first:.2f} s, {herd.last:.2f} s")
    yield _row("answers", ", ".join(f"{count} x {answer}" for answer, count in sorted(herd.answers.items())))


def _ready(ready: tuple[Readiness, ...]) -> Iterator[str]:
    total, mint = median(one.total for one in ready), median(one.mint for one in ready)
    over, upstream = median(one.total - one.upstream for one in ready), ready[0].upstream
    yield f"From the start of the process to ready, median of {len(ready)}; upstream thinks for {upstream} s"
    yield _row("all", f"{total:.2f} s")
    yield _row("over upstream's time", f"{over:.2f} s")
    yield _row("... of which a minter starts, loads its SDK, asks", f"{mint - upstream:.2f} s")
    yield _row("... of which the daemon itself", f"{total - mint:.2f} s")


def _restarts(restarts: tuple[Restart, ...]) -> Iterator[str]:
    total, calls = median(one.total for one in restarts), max(one.calls for one in restarts)
    leases = f"{restarts[0].leases:,} leases kept on disk"
    yield f"From the start of the process to ready, {leases}; median of {len(restarts)}"
    yield _row("all", f"{total:.2f} s", f"aim {RESTART_AIM:.1f}  {_verdict(total <= RESTART_AIM)}")
    yield _row("upstream calls", f"{calls}", f"aim 0  {_verdict(calls == 0)}")
    yield _row("memory", _of(restarts[0].memory))


def _memory(found: Footprint) -> Iterator[str]:
    yield "Memory"
    aim = f"aim {DAEMON_AIM:.0f}  {_verdict(found.daemon.rss <= DAEMON_AIM)}"
    yield _row("daemon, leases held", _of(found.daemon), aim)
    yield _row("daemon, after the herd", _of(found.after_herd))
    for minter in found.minters:
        yield _row("minter, after a mint", _of(minter))
    yield _row(f"minters left {found.idled:.0f} s later", f"{found.left}", f"aim 0  {_verdict(found.left == 0)}")


def _row(name: str, figure: str, aim: str = "") -> str:
    return f"  {name:<{WIDTH + 6}}{figure}" + (f"   {aim}" if aim else "")


def _of(memory: Memory) -> str:
    pss = "PSS for root only" if memory.pss is None else f"PSS {memory.pss:.1f} MiB"
    return f"RSS {memory.rss:.1f} MiB, {pss}, peak {memory.peak:.1f} MiB"


def _middle(shots: tuple[Shot, ...]) -> Shot:
    return Shot(*(median(getattr(shot, field) for shot in shots) for field in Shot.__struct_fields__))


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
