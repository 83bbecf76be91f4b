"""`credbroker reload`: the whole new configuration, or nothing of it."""

import signal
from collections.abc import Iterator

import pytest

from tests.cli.newcomer import ONE_ROLE, TRAIN, Newcomer, until
from tests.fakes.sts import FakeSts

MORE = """
    [callers.more]
    worker_token = true
    grants = ["train"]
"""


@pytest.fixture
def served(user: Newcomer, sts: FakeSts) -> Iterator[Newcomer]:
    """Somebody whose daemon runs."""
    user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
    with user.serving():
        yield user


class TestCommand:
    def test_a_sound_file_is_in_force_at_once(self, served: Newcomer, sts: FakeSts):
        """And warm leases stay."""
        lease = served.run("get", "train").out
        served.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url) + MORE)
        ran = served.run("reload")

        assert (ran.status, ran.err.startswith("credbroker: reloaded, generation ")) == (0, True)
        assert served.run("token", "issue", "--caller", "more").status == 0
        assert served.run("get", "train").out == lease

    @pytest.mark.parametrize(
        "broken", ["[credentials.train]\nsuorce = 1\n[calers.me]\n", "[daemon\n"], ids=["keys", "toml"]
    )
    def test_a_file_with_mistakes_changes_nothing_and_each_is_told(self, served: Newcomer, broken: str):
        """Status 2, as when it is read for the first time; the daemon is found although its file is broken."""
        path = served.configure(broken)
        ran = served.run("reload", "--socket", str(served.socket))

        assert (ran.status, all(line.startswith(f"credbroker: {path}:") for line in ran.err.splitlines())) == (2, True)
        assert served.run("get", "train", "--socket", str(served.socket)).status == 0

    def test_the_daemon_is_found_by_a_file_that_has_mistakes_by_now(self, served: Newcomer):
        """The socket's name in it is as good as ever."""
        served.configure("[calers.me]\n")

        assert served.run("reload", XDG_RUNTIME_DIR=None).outcome[0] == 2

    def test_sighup_is_the_same_without_an_answer(self, user: Newcomer, sts: FakeSts):
        """The log has it."""
        user.configure(ONE_ROLE.format(role=TRAIN, sts=sts.url))
        with user.serving() as daemon:
            user.configure("[calers.me]\n")
            daemon.send_signal(signal.SIGHUP)
            until(lambda: "did you mean `callers`?" in user.log())

            assert daemon.poll() is None
