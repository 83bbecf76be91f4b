"""Keys without a session token while minters die: `kill -9` before and after each call to a strict fake B2.

Nobody is ever handed a key that is deleted while it lives, and whatever a death left behind is deleted once it is over.
"""

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest

from broker.sources import rotation
from tests.cli.newcomer import Newcomer, newcomer, until
from tests.fakes.b2 import REGION, FakeB2, Key
from tests.fakes.objects import Buckets
from tests.faults.striking import strike

CALLS = ("b2_authorize_account", "b2_list_buckets", "b2_list_keys", "b2_delete_key", "b2_create_key")
STEPS = tuple(f"{when} {call}" for call in CALLS for when in ("before", "after"))
OURS = rotation.mark("b2")
CONFIG = """
    [credentials.b2]
    source = "backblaze-b2"
    key_id = {{ file = "id" }}
    application_key = {{ file = "key" }}
    bucket = "data-bucket"
    region = "{region}"
    api_url = "{url}"
    endpoint_url = "{url}"

    [callers.me]
    ME
    grants = ["b2"]
"""


@pytest.fixture
def b2() -> FakeB2:
    """With one bucket."""
    return FakeB2(Buckets("data-bucket"))


@pytest.fixture
def user(b2: FakeB2) -> Iterator[Newcomer]:
    """Whose configuration names it, and whose daemon runs."""
    with newcomer() as found, b2.serve() as served:
        path = found.configure(CONFIG.format(region=REGION, url=served.url))
        for name, text in (("id", b2.master.id), ("key", b2.master.secret)):
            (path.parent / name).touch(0o600)
            (path.parent / name).write_text(text)
        left_over(b2)
        with found.serving() as daemon:
            found.environment["DAEMON"] = str(daemon.pid)
            yield found


def left_over(b2: FakeB2) -> str:
    """A key that a minter made and nobody was told of, over by now."""
    name = rotation.named(OURS, time.time() - 5 - len(b2.deleted))
    key = Key(id=f"003{len(b2.deleted):05}", secret="s", name=name, ends=time.time() - 60)
    b2.keys[key.id] = key
    return key.id


def served(user: Newcomer) -> str:
    """The id of the key that is handed out now."""
    ran = user.run("get", "b2", "--format", "json")
    assert ran.status == 0, ran.err
    return str(json.loads(ran.out)["AWS_ACCESS_KEY_ID"])


class TestKilledAtEachStep:
    def test_the_key_that_is_handed_out_lives_and_nothing_is_left_behind(self, b2: FakeB2, user: Newcomer):
        """One daemon, whose minters are killed at one step after the other, and which then mints whole."""
        handed = {served(user)}
        for step in STEPS:
            left = left_over(b2)
            killed: list[int] = []
            b2.steps = partial(strike, int(user.environment["DAEMON"]), step, killed)

            refused = user.run("refresh", "b2")

            b2.steps = lambda _: None
            assert killed, f"{step} was not reached"
            assert refused.status != 0
            assert user.run("refresh", "b2").status == 0
            assert left not in b2.keys
            handed.add(served(user))
            assert handed <= set(b2.keys), "a key that was handed out is deleted before its end"

        assert {key.id for key in b2.made} - handed, "a key was made just before its minter died"
        past = b2.made
        for key in past:  # their time passes
            assert key.ends is not None
            assert int(key.name.removeprefix(OURS)) >= key.ends
            key.name, key.ends = rotation.named(OURS, time.time() - 1), time.time() - 1
        # Not at once: a retry of the daemon's own may have read the list already, and a key that ends within a second
        # of the held one counts as the same.
        until(lambda: user.run("refresh", "b2").status == 0 and served(user) in b2.keys)
        assert [key.name for key in past if key.id in b2.keys] == []


class TestAtStart:
    def test_what_an_earlier_daemon_left_is_deleted(self, b2: FakeB2, user: Newcomer):
        """Warm = "start" mints at once, and each mint reaps first."""
        assert served(user) in b2.keys

        assert len(b2.deleted) == 1
        assert len(b2.made) == 1
