"""Writing into a folder of sealed leases: who may use it, and that a failure or a kill leaves whole files."""

import signal
import subprocess
import sys

import pytest

from broker.errors import BrokerError
from tests.leaping import EPOCH, START
from tests.other_user import given_away
from tests.state.entries import HOUR, Place, a_lease, a_moment, an_entry, codes


class TestFolder:
    def test_one_that_others_may_enter_is_refused(self, place: Place):
        """Before a key is looked for."""
        place.state.mkdir(0o755)
        with pytest.raises(BrokerError, match="others may enter it; chmod 700"):
            place.vault()

    def test_two_daemons_do_not_share_one(self, place: Place):
        """Each would take the other's leases for its own that are gone."""
        vault = place.vault()
        with pytest.raises(BrokerError, match="another process uses it"):
            place.vault()
        vault.close()
        place.vault().close()

    def test_no_key_leaves_it_unlocked(self, place: Place):
        """The next try is not held up by this one."""

        def none() -> None:
            raise BrokerError("no key")

        from broker.state.vault import Vault

        with pytest.raises(BrokerError, match="no key"):
            Vault(place.state, none, place.seen, a_moment())  # type: ignore[arg-type]  # it never gives one
        place.vault().close()

    def test_a_foreign_one_is_refused(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """Its owner could put back what he likes."""
        place.state.mkdir(0o700)
        given_away(place.state, monkeypatch)
        with pytest.raises(BrokerError, match="belongs to another user"):
            place.vault()


class TestWrite:
    def test_a_failed_one_leaves_the_older_file_to_be_believed(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """Its number is not given away."""
        place.put(an_entry())
        vault = place.vault()
        vault.load(lambda _: [b"spec"])

        def full(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("broker.safefile.os.fsync", full)
        with pytest.raises(BrokerError, match="Input/output error"):
            vault.write(an_entry(text="2"), START, EPOCH)
        monkeypatch.undo()
        vault.tell(EPOCH)
        vault.close()

        assert [one.lease for one in place.take().opened] == [a_lease()]

    def test_a_removal_that_fails_says_so(self, place: Place, monkeypatch: pytest.MonkeyPatch):
        """It is tried again, and a next start would not believe the file."""
        place.put(an_entry())
        vault = place.vault()
        vault.load(lambda _: [b"spec"])

        def readonly(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr("broker.state.vault.os.unlink", readonly)
        with pytest.raises(BrokerError, match=r"cannot remove .*Read-only file system"):
            vault.remove(b"spec", EPOCH + HOUR)
        monkeypatch.undo()
        vault.tell(EPOCH)
        vault.close()

        assert codes(place.take()) == ["replayed"]


KILLED = """
import os, signal, sys
from pathlib import Path
from broker import safefile
from tests.state.entries import Place, an_entry
from tests.leaping import START, EPOCH
step, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
place = Place(folder)
vault = place.vault()
vault.load(lambda _: [b"spec"])
here, left = getattr(safefile.os, step), [count]
def strike(*a, **k):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return here(*a, **k)
setattr(safefile.os, step, strike)
vault.write(an_entry(text="2", serial=2), START, EPOCH)
vault.tell(EPOCH)
os.kill(os.getpid(), signal.SIGKILL)
"""
STEPS = [("open", 1), ("open", 2), ("fchmod", 1), ("fdopen", 1), ("fsync", 1), ("rename", 1), ("fsync", 2)]
STEPS += [("fchmod", 2), ("rename", 2), ("unlink", 1)]  # of the numbers; the last is never reached: all is written


class TestKilled:
    @pytest.mark.parametrize(("step", "count"), STEPS)
    def test_the_old_or_the_new_whole_file_is_there(self, place: Place, step: str, count: int):
        """SIGKILL at every step of a write and of its number."""
        place.put(an_entry())
        killed = subprocess.run([sys.executable, "-c", KILLED, step, str(count), place.state.parent], check=False)
        assert killed.returncode == -signal.SIGKILL
        loaded = place.take()

        assert loaded.dropped == ()
        (one,) = loaded.opened
        assert one.lease in {1: (a_lease(),), 2: (a_lease("2", 2),)}[one.lease.serial]
        assert len(place.files) == 1
