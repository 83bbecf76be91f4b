"""Fault 50: NSS or LDAP is down, or hangs. Last good memberships count, the loop never blocks, and nor does the end.

The C library is the real one; its answers come through a wrapper that a test steers. One test hangs the library itself.
"""

import contextlib
import grp
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.newcomer import PATIENCE, WORLD, newcomer, until
from tests.fakes.sts import FakeSts
from tests.faults.stage import SOON, Broker

LIBRARY = 5.0  # seconds that the C library waits for a cache, at least
CALLERS = """
    [callers.group]
    group = "{group}"
    allow_root = true
    grants = ["train"]

    [callers.batch]
    worker_token = true
    grants = ["train"]
"""
NUMBER = """
    [callers.number]
    uid = {uid}
    allow_root = true
    grants = ["train"]
"""
# `credbroker` whose name service does what a file says; answers are soon stale.
STEERED = """
import os, pwd, sys
from broker.callers import accounts
from broker.cli import main
getpwuid, getpwnam, getgrouplist = pwd.getpwuid, pwd.getpwnam, os.getgrouplist
def mode():
    with open({mode!r}) as file:
        return file.read()
def by_uid(uid):
    if mode() == "hang":
        open({gate!r}).close()  # a FIFO: until a writer comes
    if mode() == "down":
        raise KeyError(uid)  # as glibc has it where the directory does not answer
    return getpwuid(uid)
def by_name(name):
    if mode() == "hang":
        open({gate!r}).close()
    return getpwnam(name)
def groups(*user):
    if mode() == "broken":
        raise OSError("the directory does not answer")
    return getgrouplist(*user)
pwd.getpwuid, pwd.getpwnam, os.getgrouplist = by_uid, by_name, groups
accounts.FRESH = accounts.RETRY = 0.2
sys.argv[0] = "credbroker"
main()
"""
# A socket where glibc asks for names before it reads any file; nobody answers there.
MUTE = 'mount -t tmpfs none /run && mkdir /run/nscd && mount --bind "$0" /run/nscd && exec "$@"'


class Names:
    """A daemon and its name service."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._mode, self._gate = broker.user.folder / "mode", broker.user.folder / "gate"
        os.mkfifo(self._gate)
        self.are("up")
        code = STEERED.format(mode=str(self._mode), gate=str(self._gate))
        broker.command = [sys.executable, "-P", "-c", code, "serve"]

    def are(self, mode: str) -> None:
        """Up, down, broken, or hanging."""
        aside = self._mode.with_suffix(".new")
        aside.write_text(mode)
        aside.replace(self._mode)

    def release(self) -> None:
        """Those that hang come home."""
        self.are("up")
        until(self._opened)

    def _opened(self) -> bool:
        with contextlib.suppress(OSError):
            os.close(os.open(self._gate, os.O_WRONLY | os.O_NONBLOCK))
            return True
        return False

    def asks(self, seconds: float = 0.0) -> set[int]:
        """What we get by our uid, on new connections for so long."""
        until_then = time.monotonic() + seconds
        found = {self.broker.ask(self.broker.attested()).status}
        while time.monotonic() < until_then:
            time.sleep(0.05)
            found.add(self.broker.ask(self.broker.attested()).status)
        return found


def callers(*more: str) -> str:
    """One that our own group makes us, one that only a token opens."""
    return CALLERS.format(group=grp.getgrgid(os.getgid()).gr_name) + "".join(more)


@pytest.fixture
def names() -> Iterator[Names]:
    """Names that are up, and a daemon to be started."""
    with FakeSts(WORLD) as sts, newcomer(sts) as user:
        found = Names(Broker(user, sts, callers()))
        yield found
        found.broker.stop()


class TestFault50:
    @pytest.mark.parametrize("mode", ["down", "broken", "hang"])
    def test_the_last_good_memberships_are_kept(self, names: Names, mode: str):
        """However often they are looked up in vain."""
        names.broker.start()
        assert names.asks() == {200}
        names.are(mode)

        assert names.asks(1.0) == {200}

    def test_who_is_not_known_yet_waits_a_moment_and_all_others_not_at_all(self, names: Names):
        """503 with Retry-After, not 401: nothing is known against him. A token needs no name."""
        names.are("hang")
        broker = names.broker
        broker.start()
        token = broker.token()
        began = time.monotonic()
        with broker.connect() as waiting:
            waiting.sendall(broker.attested())
            assert broker.ask(broker.head(Authorization=token)).status == 200
            assert broker.healthy() < SOON
            assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 503")
            assert time.monotonic() - began < SOON
        refused = broker.ask(broker.attested())
        names.release()

        assert (refused.status, refused.fields["retry-after"]) == (503, "1")
        until(lambda: names.asks() == {200})

    def test_who_is_named_by_his_number_is_known_by_it(self, names: Names):
        """After a moment in which groups may still come."""
        names.are("hang")
        names.broker.configure(callers(NUMBER.format(uid=os.getuid())))
        names.broker.start()

        until(lambda: names.asks() == {200})
        until(lambda: names.broker.audit("LeaseHanded"))
        assert {line["caller"] for line in names.broker.audit("LeaseHanded")} == {"number"}

    def test_a_reload_that_names_a_user_waits_and_nobody_else_does(self, names: Names):
        """Who is asked for by name may be known to that service alone; meanwhile the old generation counts."""
        broker = names.broker
        broker.start()
        assert names.asks() == {200}
        names.are("hang")
        broker.configure(callers(NUMBER.format(uid='"root"')))
        os.kill(broker.pid, signal.SIGHUP)

        assert names.asks(1.0) == {200}
        assert broker.healthy() < SOON
        assert not broker.audit("Reloaded")
        names.release()
        until(lambda: broker.audit("Reloaded"))

    def test_the_daemon_s_end_waits_for_no_look_up(self, names: Names):
        """Systemd would kill it after 90 s, and a restart last as long."""
        names.are("hang")
        names.broker.start()
        assert names.asks() == {503}
        began = time.monotonic()

        assert names.broker.stop() == 0
        assert time.monotonic() - began < PATIENCE

    @pytest.mark.root
    def test_the_c_library_itself_hangs(self, own: Broker):
        """It waits 5 s and more for a name service cache that accepts and says nothing."""
        place = own.user.folder / "nscd"
        place.mkdir()
        own.command = ["unshare", "--mount", "sh", "-c", MUTE, str(place), *own.command]
        own.configure(callers())
        with mute(place / "socket") as cache:
            own.start()
            with own.connect() as waiting:
                waiting.sendall(own.attested())
                question, _ = cache.accept()
                answer = waiting.recv(1 << 16)
            began = time.monotonic()
            status = own.stop()
            took = time.monotonic() - began
            question.close()

        assert answer.startswith(b"HTTP/1.1 503")
        assert (status, took < LIBRARY) == (0, True)


@contextlib.contextmanager
def mute(path: Path) -> Iterator[socket.socket]:
    """A socket at which questions are taken and not answered."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o666)
        listener.listen()
        listener.settimeout(10)
        yield listener
