"""An upstream that can be taken away, and a daemon whose clocks can be moved: for faults that last hours.

The daemon is the program itself, in a process of its own; it reads both of its clocks through a file of the test's. Its
minters and upstream keep the machine's. Timers do not leap: a leap of both clocks is what a suspend looks like.
"""

import contextlib
import sys
import time
from collections.abc import Iterator

from broker import control_api as api
from broker.errors import BrokerError
from tests.cli.newcomer import TRAIN, WORLD, newcomer
from tests.fakes.sts import FakeSts, Fault
from tests.faults.stage import SOON, Broker

HOUR = 3600.0
ALONE = """
    [callers.me]
    ME
    grants = ["train", "mine"]
"""

# `credbroker` whose clocks are ahead by what a file says, in seconds: the boot clock's and the wall clock's.
MOVED = """
import sys
from broker import clock
now, wall = clock.now, clock.wall
def ahead():
    with open({file!r}) as file:
        return [float(word) for word in file.read().split()]
clock.now = lambda: now() + ahead()[0]
clock.wall = lambda: wall() + ahead()[1]
{more}
from broker.cli import main
sys.argv[0] = "credbroker"
main()
"""
WATCHFUL = "from broker import rounds; rounds.LONGEST_SLEEP = 0.05"  # notices a leap at once, not within 15 s


def changed(more: str) -> list[str]:
    """`credbroker serve` after some statements."""
    return [
        sys.executable,
        "-P",
        "-c",
        f"import sys\n{more}\nfrom broker.cli import main\nsys.argv[0] = 'credbroker'\nmain()",
        "serve",
    ]


class Clocks:
    """The clocks of one daemon."""

    def __init__(self, broker: Broker, more: str = WATCHFUL) -> None:
        self._file = broker.user.folder / "clocks"
        self._boot = self._wall = 0.0
        self.move()
        broker.command = [sys.executable, "-P", "-c", MOVED.format(file=str(self._file), more=more), "serve"]

    def leap(self, seconds: float) -> None:
        """So much time has passed, at once: both clocks go on."""
        self.move(seconds, seconds)

    def move(self, boot: float = 0.0, wall: float = 0.0) -> None:
        """Move either clock."""
        self._boot, self._wall = self._boot + boot, self._wall + wall
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._boot} {self._wall}")
        new.rename(self._file)


class Upstream:
    """A strict STS at one address, there or not."""

    def __init__(self, sts: FakeSts) -> None:
        self.now = sts

    def go(self) -> None:
        """Nobody listens there any more: connections are refused."""
        self.now.__exit__()

    def come_back(self) -> None:
        """It is there again, with everything it knew."""
        self.now.come_back()


@contextlib.contextmanager
def place(lifetime: float | None = None) -> Iterator[tuple[Broker, Upstream]]:
    """A daemon to be started, and its upstream, whose leases live so long."""
    upstream = Upstream(FakeSts(WORLD, lifetime=lifetime).__enter__())
    with newcomer(upstream.now) as user:
        broker = Broker(user, upstream.now, ALONE)
        try:
            yield broker, upstream
        finally:
            broker.stop()
            upstream.now.__exit__()


def lease(broker: Broker) -> tuple[str, str]:
    """What a worker has now, and until when; it must come promptly."""
    began = time.monotonic()
    answer = broker.ask(broker.attested())
    assert (answer.status, time.monotonic() - began < SOON) == (200, True)
    return answer.json["AccessKeyId"], answer.json["Expiration"]


@contextlib.contextmanager
def scripted(broker: Broker, one: Fault) -> Iterator[FakeSts]:
    """The STS of a shared daemon does this instead of answering."""
    broker.sts.script = lambda _: one
    try:
        yield broker.sts
    finally:
        broker.sts.script = None


def row(broker: Broker, credential: str = "train") -> api.LeaseRow:
    """How a credential stands."""
    return next(one for one in broker.client.get("/status", api.Status).leases if one.credential == credential)


def refreshed(broker: Broker, credential: str = "train") -> str:
    """Mint anew now; "ok" or the code of what came instead."""
    try:
        broker.client.refresh(credential, api.RefreshOrder())
    except BrokerError as error:
        return error.code
    return "ok"


def xml(**credentials: str | None) -> Fault:
    """What AssumeRole answers, with these members of Credentials instead of good ones; None leaves one out."""
    whole = {
        "AccessKeyId": "ASIAODD",
        "SecretAccessKey": "odd",
        "SessionToken": "odd",
        "Expiration": "2099-01-01T00:00:00Z",
        **credentials,
    }
    members = "".join(f"<{name}>{text}</{name}>" for name, text in whole.items() if text is not None)
    role = f"<AssumedRoleUser><Arn>{TRAIN}</Arn></AssumedRoleUser>"
    result = f"<AssumeRoleResult><Credentials>{members}</Credentials>{role}</AssumeRoleResult>"
    name = "AssumeRoleResponse"
    return Fault(body=f'<{name} xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{result}</{name}>'.encode())
