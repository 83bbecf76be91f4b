"""What a minter does when it is asked whose a token is: it believes its own configuration and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.config.read import parse
from broker.config.shape import Snapshot
from broker.minter import frames
from broker.minter.child import answer
from broker.model import Keys, Review
from broker.plan import Book, make_book
from broker.secret import Secret
from tests.fakes.kubernetes import FakeKubernetes
from tests.jwts import AUDIENCE

CALLERS = """
[callers.trainer]
kubernetes = { namespace = "ml", service_account = "trainer", audience = "credbroker" }
[callers.evaluator]
any = [{ uid = 5 }, { kubernetes = { namespace = "ml", service_account = "eval", audience = "another" } }]
"""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeKubernetes]:
    with FakeKubernetes(tmp_path) as found:
        yield found


def book(text: str) -> Book:
    return make_book(parse(Snapshot((("/etc/credbroker/config.toml", text.encode()),))))


def told(asked: Book, token: str | None, keys: Keys | None = None, generation: str | None = None) -> frames.Answer:
    secret = Secret(token) if token is not None else None
    review = Review(token=secret, generation=generation or asked.config.generation, keys=keys)
    return answer(asked, frames.pack(frames.Examine(review))[frames.HEAD.size :])


class TestExamine:
    def test_it_asks_for_every_configured_audience(self, api: FakeKubernetes):
        """The daemon does not say for which."""
        token = api.cluster.token(api.cluster.run("ml", "trainer"), AUDIENCE)
        found = told(book(api.settings() + CALLERS), token)

        assert isinstance(found, frames.Examined)
        assert found.reviewed.pod is not None
        assert found.reviewed.pod.audiences == (AUDIENCE,)
        assert api.reviewed == [["another", "credbroker"]]

    def test_it_brings_the_keys_and_judges_by_them(self, api: FakeKubernetes):
        """As it is handed them again."""
        asked = book(api.settings() + CALLERS)
        brought = told(asked, None)
        assert isinstance(brought, frames.Examined)
        api.go_away()
        found = told(asked, api.cluster.token(api.cluster.run("ml", "trainer"), AUDIENCE), brought.reviewed.keys)

        assert isinstance(found, frames.Examined)
        assert found.reviewed.by_keys

    def test_another_generation_is_not_answered(self, api: FakeKubernetes):
        """Its audiences may be others."""
        found = told(book(api.settings() + CALLERS), None, generation="another")

        assert isinstance(found, frames.Failed)
        assert "another configuration" in found.advice

    def test_a_configuration_without_pods_reviews_nothing(self, api: FakeKubernetes):
        """A daemon that was taken over cannot make it ask around."""
        found = told(book(f"{api.settings()}[callers.a]\nuid = 5\n"), "a.b.c")

        assert isinstance(found, frames.Failed)
        assert not api.calls

    def test_an_error_travels_without_the_token(self, api: FakeKubernetes):
        """As every error does."""
        asked = book(api.settings() + CALLERS)
        api.go_away()
        found = told(asked, "CANARY.b.c")

        assert isinstance(found, frames.Failed)
        assert found.error == "Unreachable"
        assert "CANARY" not in repr(found)
