"""Folders that nobody else could have prepared, and what crashed writers left in them."""

import os
from pathlib import Path

import pytest

from broker.errors import BrokerError
from broker.safefile import absent_step, read_private, straight_folder, sweep_folder, write_private
from tests.other_user import given_away, ordinary_place


def refused(match: str) -> pytest.RaisesExc[BrokerError]:
    return pytest.raises(BrokerError, match=match)


def used(path: Path) -> os.stat_result:
    """The folder as it was opened."""
    folder = straight_folder(path)
    try:
        return os.fstat(folder)
    finally:
        os.close(folder)


class TestAbsentStep:
    def test_nothing_is_made_and_no_lock_is_taken(self, tmp_path: Path):
        """A daemon may hold it, and goes on holding it."""
        state = tmp_path / "state"
        assert absent_step(state) == state
        assert not state.exists()
        held = straight_folder(state)
        try:
            assert absent_step(state) is None
        finally:
            os.close(held)

    def test_it_names_the_first(self, tmp_path: Path):
        """Of several."""
        assert absent_step(tmp_path / "a" / "b") == tmp_path / "a"

    def test_what_would_be_refused_is_refused(self, tmp_path: Path):
        """By the same rules."""
        (tmp_path / "state").mkdir(0o755)
        (tmp_path / "link").symlink_to(tmp_path)
        with refused("others may enter it"):
            absent_step(tmp_path / "state")
        with refused("it is a symbolic link"):
            absent_step(tmp_path / "link" / "state")

    def test_a_step_that_cannot_be_made_is_refused(self):
        """Root makes any: so this is an ordinary user's."""
        with ordinary_place() as place:
            place.chmod(0o500)
            with refused("will not make .*: this user may not write above it"):
                absent_step(place / "state")
            place.chmod(0o700)
            assert absent_step(place / "state") == place / "state"


class TestStraightFolder:
    def test_it_is_made_private_whatever_the_umask(self, tmp_path: Path):
        """Its last step alone: a path that is mistyped makes no tree."""
        before = os.umask(0)
        made = used(tmp_path / "state")
        os.umask(before)

        assert made.st_mode & 0o777 == 0o700
        assert made.st_ino == (tmp_path / "state").stat().st_ino
        with refused("No such file or directory; create it, or correct the path"):
            straight_folder(tmp_path / "none" / "state")

    @pytest.mark.parametrize("where", ["state", "above/state"])
    def test_no_step_may_be_a_symbolic_link(self, tmp_path: Path, where: str):
        """The error names the step."""
        (tmp_path / "real" / "state").mkdir(0o700, parents=True)
        step = tmp_path / where.split("/", maxsplit=1)[0]
        step.symlink_to(tmp_path / "real")
        with refused(f"{step}: it is a symbolic link; name the folder that it leads to"):
            straight_folder(tmp_path / where)

    @pytest.mark.parametrize("mode", [0o720, 0o702])
    def test_others_may_not_write_to_any_step(self, tmp_path: Path, mode: int):
        """They could put another folder in its place."""
        above = tmp_path / "above"
        above.mkdir()
        above.chmod(mode)
        with refused(f"{above}: others may write to it; chmod go-w"):
            straight_folder(above / "state")

    def test_they_may_where_nobody_can_take_what_is_anothers(self, tmp_path: Path):
        """As in /tmp."""
        above = tmp_path / "above"
        above.mkdir()
        above.chmod(0o1777)

        assert used(above / "state")

    def test_a_step_may_be_one_that_can_only_be_passed(self, tmp_path: Path):
        """As another user's home often is; root reads it anyway."""
        above = tmp_path / "above"
        above.mkdir()
        above.chmod(0o111)
        (above / "state").mkdir(0o700) if os.geteuid() == 0 else above.chmod(0o311)

        assert used(above / "state")

    def test_nobody_else_may_enter_the_last(self, tmp_path: Path):
        """Not even to read."""
        (tmp_path / "state").mkdir()
        (tmp_path / "state").chmod(0o750)
        with refused("others may enter it; chmod 700"):
            straight_folder(tmp_path / "state")

    @pytest.mark.parametrize("where", ["state", "above/state"])
    def test_no_step_belongs_to_another_user(self, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch):
        """But root's lead the way everywhere."""
        (tmp_path / where).mkdir(0o700, parents=True)
        given_away(tmp_path / where.split("/", maxsplit=1)[0], monkeypatch)
        with refused("belongs to another user"):
            straight_folder(tmp_path / where)

    def test_a_file_is_no_folder(self, tmp_path: Path):
        """Told as such."""
        (tmp_path / "state").touch()
        with refused("a folder is needed"):
            straight_folder(tmp_path / "state")

    def test_a_second_holder_is_refused_and_nothing_stays_open(self, tmp_path: Path):
        """Until the first lets go."""
        first, before = straight_folder(tmp_path / "state"), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count
        for _ in range(3):
            with refused("another process uses it; give each daemon one of its own"):
                straight_folder(tmp_path / "state")
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - a count
        os.close(first)

        assert used(tmp_path / "state")


class TestSweepFolder:
    def test_leftovers_of_any_name_go_and_nothing_else(self, tmp_path: Path):
        """A living writer holds a lock on its own."""
        kept = ["a", ".a", "a.credbroker-0123456789abcdef", ".a.credbroker-0123"]
        for name in (*kept, ".a.credbroker-0123456789abcdef", ".b.c.credbroker-0123456789abcdef"):
            (tmp_path / name).touch()
        folder = os.open(tmp_path, os.O_RDONLY)
        sweep_folder(folder)
        os.close(folder)

        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)

    def test_a_write_may_leave_it_to_that(self, tmp_path: Path):
        """Else a thousand writes would look at a thousand names each."""
        (tmp_path / ".a.credbroker-0123456789abcdef").touch()
        write_private(tmp_path / "a", b"x", sweep=False)
        assert len(list(tmp_path.iterdir())) == 2
        write_private(tmp_path / "a", b"x")
        assert len(list(tmp_path.iterdir())) == 1


class TestReadSecret:
    @pytest.mark.parametrize(
        ("mode", "ours", "roots"), [(0o600, True, True), (0o440, False, True), (0o604, False, False)]
    )
    def test_nobody_else_may_read_it(
        self, tmp_path: Path, mode: int, ours: bool, roots: bool, monkeypatch: pytest.MonkeyPatch
    ):
        """Of root's own a group may: that is how a service is given one."""
        path = tmp_path / "key"
        path.write_bytes(b"x")
        path.chmod(mode)
        fine = roots if os.geteuid() == 0 else ours
        if fine:
            assert read_private(path, 10, secret=True) == b"x"
        else:
            with refused("others may read it; chmod 600 it"):
                read_private(path, 10, secret=True)
        if os.geteuid() == 0 and roots != ours:
            os.chown(path, 4711, 4711)
            monkeypatch.setattr("broker.safefile.os.geteuid", lambda: 4711)
            with refused("others may read it"):
                read_private(path, 10, secret=True)
