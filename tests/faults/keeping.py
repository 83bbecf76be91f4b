"""A daemon that keeps its leases at rest, to be killed, robbed and starved."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.safefile import write_private
from tests.cli.newcomer import WORLD, newcomer, until
from tests.fakes.sts import Call, FakeSts, Fault
from tests.faults.stage import Answer, Broker

KEY = bytes(range(32))
CHAIN = """
    [credentials.base]
    source = "aws-session"
    endpoint_url = "STS"
    duration = "2h"
    warm = "start"

    [credentials.chained]
    source = "aws-assume-role"
    from = "base"
    role_arn = "arn:aws:iam::123456789012:role/train"
    session_name = "job-{uid}"
    region = "eu-west-1"
    endpoint_url = "STS"

    [callers.me]
    ME
    grants = ["train", "mine", "chained"]
"""


class Kept(Broker):
    """A daemon that keeps its leases, under a key file unless another key is asked for."""

    @property
    def state(self) -> Path:
        """Its folder."""
        return self.user.folder / "state"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.user.folder / "key"

    def keep(self, more: str = "", callers: str = CHAIN) -> None:
        """Write the configuration."""
        key = f'state_key = {{ file = "{self.key}" }}' if self.key.exists() else ""
        text = callers.replace("STS", self.sts.url)
        self.configure(text, f'state_dir = "{self.state}"\n{key}\n{more}')

    @property
    def files(self) -> dict[str, bytes]:
        """What is sealed in the folder."""
        return {path.name: path.read_bytes() for path in self.state.glob("[!.]*.lease")}

    @property
    def leftovers(self) -> list[str]:
        """What else stands there."""
        return [path.name for path in self.state.iterdir() if path.name not in self.files]

    def warm_up(self) -> dict[str, bytes]:
        """Start it and ask for everything; what it gave, once it is sealed."""
        self.start()
        given = self.given()
        until(lambda: len(self.files) == len(given) + 1)  # base too
        return given

    def given(self, status: int = 200) -> dict[str, bytes]:
        """What it gives now."""
        found = {}
        for name in ("train", "mine", "chained"):
            answer = self.cold(name) if status == 200 else self.ask(self.attested(f"/aws/{name}"))
            assert answer.status == status, (name, answer)
            found[name] = answer.body
        return found

    def cold(self, name: str) -> Answer:
        """One reply, asked again as SDKs do while the first mint is under way."""
        until(lambda: self.ask(self.attested(f"/aws/{name}")).status != 503)
        return self.ask(self.attested(f"/aws/{name}"))

    def refresh(self, name: str = "train") -> None:
        """Mint anew, until it is a newer one: a session that ends within a second of the held one is the same."""
        before = self.given()[name]

        def newer() -> bool:
            assert self.run("refresh", name).status == 0
            return self.given()[name] != before

        until(newer)

    def kill(self) -> None:
        """SIGKILL."""
        assert self.stop(signal.SIGKILL) == -signal.SIGKILL

    def lines(self, words: str) -> list[str]:
        """The lines of its log with these words."""
        return [line for line in self.user.log().splitlines() if words in line]


def down(_: Call) -> Fault:
    """Upstream is away."""
    return Fault(hang_up=True)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """One with a key file, to be started."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        broker = Kept(user, sts)
        write_private(broker.key, KEY)
        broker.keep()
        yield broker
        broker.stop()
