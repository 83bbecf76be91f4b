"""Faults 33 and 35: a disk that fails, and a folder or key that is not what it should be. Serving goes on."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.newcomer import CREDBROKER, newcomer, until
from tests.faults.keeping import CHAIN, Kept


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "64k") -> Iterator[None]:
    """A file system of its own, for root."""
    folder.mkdir(mode=0o700)
    options = f"size={size},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


FAILING = """
import os, sys
from broker import safefile
here, number = getattr(os, os.environ["CALL"]), int(os.environ["ERRNO"])
def failing(*a, **k):
    if os.environ["CALL"] == "fsync" or ".lease" in repr(a):
        raise OSError(number, os.strerror(number))
    return here(*a, **k)
setattr(safefile.os, os.environ["CALL"], failing)
from broker.cli import main
sys.argv = ["credbroker", "serve"]
sys.exit(main())
"""


class TestFault33:
    """Disk full, read-only, EIO on fsync."""

    @pytest.mark.root
    def test_a_full_disk_heals(self, kept: Kept):
        """One line, then another when there is room."""
        with small_disk(kept.state):
            kept.warm_up()
            room = kept.state / "full"
            with room.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            self._serves_on(kept, "No space left on device")
            room.unlink()
            until(lambda: bool(kept.lines("a file is written again")))
            assert kept.stop() == 0

    @pytest.mark.root
    def test_a_read_only_disk_heals(self, kept: Kept):
        """As a kernel leaves one whose writes fail."""
        with small_disk(kept.state):
            kept.warm_up()
            subprocess.run(["mount", "-o", "remount,ro", kept.state], check=True)
            self._serves_on(kept, "Read-only file system")
            subprocess.run(["mount", "-o", "remount,rw", kept.state], check=True)
            until(lambda: bool(kept.lines("a file is written again")))
            assert kept.stop() == 0

    @pytest.mark.parametrize(("call", "number"), [("fsync", 5), ("rename", 28)])
    def test_a_call_that_fails_leaves_it_serving(self, kept: Kept, call: str, number: int):
        """The old file stays, and nothing beside it."""
        kept.warm_up()
        kept.kill()
        old = kept.files
        kept.command = [CREDBROKER[0], "-P", "-c", FAILING]
        kept.environment |= {"PYTHONPATH": str(Path.cwd()), "CALL": call, "ERRNO": str(number)}
        kept.start()
        self._serves_on(kept, os.strerror(number))

        assert kept.files == old
        assert kept.leftovers == []

    def _serves_on(self, kept: Kept, why: str) -> None:
        before = kept.given()
        kept.refresh()
        until(lambda: kept.metric("write_failures_total", file="state") >= 2)
        after = kept.given()

        assert (after["mine"], after["train"] != before["train"]) == (before["mine"], True)
        (line,) = kept.lines("a file cannot be written; serving goes on")
        assert why in line
        assert f"cannot be written: {why}" not in kept.run("status").out
        assert why in kept.run("status").out


class TestFault35:
    """The folder and the key are not what they should be: serving goes on without, and one line says why."""

    def refused(self, kept: Kept, words: str) -> None:
        """It serves, keeps nothing, and says so."""
        kept.start()
        kept.given()
        (line,) = kept.lines("leases are not kept for the next start; serving goes on")
        assert words in line
        assert words.partition(";")[0] in kept.run("status").out

    def test_a_folder_that_others_can_write(self, kept: Kept):
        """They could put anything there."""
        kept.state.mkdir()
        kept.state.chmod(0o777)
        self.refused(kept, "others may enter it; chmod 700")
        assert list(kept.state.iterdir()) == []

    def test_a_path_that_others_can_lead_elsewhere(self, kept: Kept):
        """The folder above."""
        kept.user.folder.chmod(0o777)
        kept.state.mkdir(mode=0o700)
        kept.start()
        assert kept.lines("others may write to it; chmod go-w")
        kept.user.folder.chmod(0o700)

    def test_a_symbolic_link_in_its_path(self, kept: Kept):
        """Wherever it leads."""
        (kept.user.folder / "real").mkdir(mode=0o700)
        kept.state.symlink_to(kept.user.folder / "real")
        self.refused(kept, "it is a symbolic link; name the folder that it leads to")
        assert list((kept.user.folder / "real").iterdir()) == []

    @pytest.mark.parametrize("kind", ["file", "fifo"])
    def test_no_folder_at_all(self, kept: Kept, kind: str):
        """A start that waits for nobody."""
        kept.state.touch() if kind == "file" else os.mkfifo(kept.state)
        self.refused(kept, "Not a directory; remove what stands there")

    def test_a_foreign_one(self, kept: Kept):
        """Root's own, for an ordinary user; for root, anybody's."""
        if os.geteuid() == 0:
            kept.state.mkdir(mode=0o700)
            os.chown(kept.state, 4711, 4711)
        else:
            kept.configure(CHAIN.replace("STS", kept.sts.url), 'state_dir = "/usr"')
        self.refused(kept, "it belongs to another user; choose a folder of this user")

    def test_a_key_that_others_can_read(self, kept: Kept):
        """Then it seals nothing, and nothing is written in the clear instead."""
        kept.key.chmod(0o644)
        self.refused(kept, "others may read it; chmod 600 it")
        assert kept.files == {}

    def test_a_second_daemon_does_not_share_it(self, kept: Kept):
        """It would take the first one's leases for its own that are gone."""
        given = kept.warm_up()
        files = kept.files
        with newcomer(kept.sts) as user:
            other = Kept(user, kept.sts)
            other.configure(
                CHAIN.replace("STS", kept.sts.url),
                f'state_dir = "{kept.state}"\nstate_key = {{ file = "{kept.key}" }}',
            )
            other.start()
            try:
                assert other.lines("another process uses it; give each daemon one of its own")
            finally:
                other.stop()

        assert kept.files == files
        assert kept.given() == given
