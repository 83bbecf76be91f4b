"""Keys that upstream never ends, and minters killed while they make and delete them: nothing is left for ever.

The running daemon, and a strict fake of Oracle's cloud that kills the minter at the very step.
"""

from collections.abc import Iterator

import pytest

from tests.cli.newcomer import Newcomer, newcomer, until
from tests.fakes.google.registry import key_of
from tests.fakes.oci import BROKER, JOBS, FakeOci
from tests.faults.striking import strike
from tests.sources.oci_world import keyring, pem

LIFETIME = 7200
CONFIG = """
    [credentials.jobs]
    source = "{source}"
    lifetime = "2h"
    {more}
    {keyring}

    [callers.me]
    ME
    grants = ["jobs"]
"""
STEPS = [(method, moment) for method in ("DELETE", "POST") for moment in ("before", "after")]
KINDS = [
    ("oci-api-key", "apiKeys", ""),
    ("oci-customer-secret-key", "customerSecretKeys", 'namespace = "acme"'),
]


@pytest.fixture
def fake() -> FakeOci:
    return FakeOci()


@pytest.fixture
def user(fake: FakeOci) -> Iterator[Newcomer]:
    """Somebody, and the fake at FAKE_URL of his environment."""
    with newcomer() as found, fake.serve() as served:
        found.environment["FAKE_URL"] = served.url
        yield found


def configure(user: Newcomer, source: str, more: str) -> None:
    """His configuration for keys of this kind."""
    settings = {"source": source, "more": more, "keyring": keyring(user.environment["FAKE_URL"])}
    path = user.configure(CONFIG.format(**settings))
    (file := path.with_name("broker.secret")).touch(0o600)
    file.write_text(pem(BROKER))


def left_over(fake: FakeOci, kind: str) -> str:
    """A key of an earlier day; its id."""
    made = fake.upload(JOBS, key_of("old").public_key(), age=2 * LIFETIME)
    if kind != "apiKeys":
        fake.keys[JOBS, "apiKeys"].remove(made)
        made["displayName"] = f"credbroker-00000000-{int(fake.now - LIFETIME)}"
        del made["fingerprint"]
        fake.keys[JOBS, kind] = [made]
    return str(made["id"])


@pytest.mark.parametrize("sort", KINDS, ids=[kind for _, kind, _ in KINDS])
class TestKilled:
    @pytest.mark.parametrize("step", STEPS, ids=" ".join)
    def test_32_at_any_step_the_next_mint_serves_and_nothing_stays_for_ever(
        self, user: Newcomer, fake: FakeOci, sort: tuple[str, str, str], step: tuple[str, str]
    ):
        """What it had made ends when it was to end, and is deleted after that."""
        source, kind, more = sort
        configure(user, source, more)
        old = left_over(fake, kind)
        killed: list[int] = []

        with user.serving() as daemon:
            fake.hook = lambda now, at: strike(daemon.pid, " ".join(step), killed, f"{now} {at}")
            until(lambda: user.run("get", "jobs").status == 0)
            rows = fake.keys[JOBS, kind]
            orphans = len(rows) - 1
            fake.age(LIFETIME + 1)
            refreshed = user.run("refresh", "jobs")

            assert killed
            assert old not in [one["id"] for one in rows]
            assert orphans == (1 if step[0] == "POST" else 0)  # what was asked for is made, whoever is gone
            assert (refreshed.status, len(fake.keys[JOBS, kind])) == (0, 1)

    def test_32_a_full_quota_is_patience_and_the_held_key_is_served_on(
        self, user: Newcomer, fake: FakeOci, sort: tuple[str, str, str]
    ):
        """Nobody's key is deleted to make room."""
        source, kind, more = sort
        configure(user, source, more)
        with user.serving():
            until(lambda: user.run("get", "jobs").status == 0)
            before = [user.run("refresh", "jobs").status for _ in range(3)]
            keys = [one["id"] for one in fake.keys[JOBS, kind]]
            refused = user.run("refresh", "jobs")

            assert 0 in before
            assert (refused.status, "as many as he may" in refused.err) == (1, True)
            assert keys == [one["id"] for one in fake.keys[JOBS, kind]]
            assert user.run("get", "jobs").status == 0
