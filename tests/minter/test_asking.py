"""Reviews by real minters, children of the daemon and processes of the service alike."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from broker.config import read
from broker.config.shape import Snapshot
from broker.errors import Unreachable
from broker.events import Event, UpstreamAsked
from broker.minter.asking import Reviewer
from broker.minter.client import Launch, Service
from broker.secret import Secret
from tests.fakes.kubernetes import FakeKubernetes
from tests.jwts import AUDIENCE
from tests.minter.services import Activated, in_folder, short_folder

T = TypeVar("T")
CALLER = (
    f'[callers.trainer]\nkubernetes = {{ namespace = "ml", service_account = "trainer", audience = "{AUDIENCE}" }}\n'
)
NOBODY = "[callers.trainer]\nuid = 1000\n"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeKubernetes]:
    with FakeKubernetes(tmp_path) as found:
        yield found


class Work:
    """A Reviewer and what it noted."""

    def __init__(self, launch: Launch | Service, generation: str) -> None:
        self.noted: list[Event] = []
        self.reviewer = Reviewer(launch, self.noted.append, lambda: generation)


@pytest.fixture(params=["child", "service"])
def at_work(request: pytest.FixtureRequest, api: FakeKubernetes) -> Iterator[Callable[..., object]]:
    """Runs a test's own coroutine with a Reviewer."""
    with short_folder() as folder:

        def run(main: Callable[[Work], Awaitable[T]], callers: str = CALLER, generation: str | None = None) -> T:
            text = (api.settings() + callers).encode()
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
            launch = in_folder(Launch(Snapshot(((str(folder / "config.toml"), text),)), environment), folder)
            found = generation or read.generation(launch.snapshot.files)
            if request.param == "child":
                return asyncio.run(working(main, Work(launch, found)))
            with Activated(folder, launch) as service:
                return asyncio.run(working(main, Work(Service(str(service.socket)), found)))

        yield run


async def working(main: Callable[[Work], Awaitable[T]], work: Work) -> T:
    try:
        return await main(work)
    finally:
        await work.reviewer.pool.close()


class TestReviewer:
    def test_a_token_is_reviewed_and_the_keys_are_brought(self, api: FakeKubernetes, at_work: Callable[..., object]):
        """And then the keys judge, with nobody to ask."""
        token = Secret(api.cluster.token(api.cluster.run("ml", "trainer"), AUDIENCE))

        async def main(work: Work) -> None:
            reviewed = await work.reviewer.ask(token, None)
            keys = (await work.reviewer.ask(None, None)).keys
            api.go_away()
            judged = await work.reviewer.ask(token, keys)
            assert reviewed.pod is not None
            assert (judged.pod, judged.by_keys) == (reviewed.pod, True)
            assert work.noted == [UpstreamAsked("kubernetes", "ok")] * 3

        at_work(main)

    def test_an_outage_is_an_error_that_is_counted(self, api: FakeKubernetes, at_work: Callable[..., object]):
        """By its code, as every upstream's."""
        api.go_away()

        async def main(work: Work) -> None:
            with pytest.raises(Unreachable):
                await work.reviewer.ask(None, None)
            assert work.noted == [UpstreamAsked("kubernetes", "ConnectionFailed")]

        at_work(main)

    @pytest.mark.parametrize(("callers", "generation"), [(NOBODY, None), (CALLER, "0" * 64)])
    def test_what_is_not_configured_is_not_asked(
        self, api: FakeKubernetes, at_work: Callable[..., object], callers: str, generation: str | None
    ):
        """A daemon that was taken over does not have minters look around in the cluster."""

        async def main(work: Work) -> None:
            with pytest.raises(Unreachable):
                await work.reviewer.ask(Secret("a.b.c"), None)
            assert not api.calls

        at_work(main, callers, generation)
