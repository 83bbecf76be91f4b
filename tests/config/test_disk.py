import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.config import disk
from broker.config.disk import take
from broker.config.place import Notes
from broker.errors import ConfigError

ME = os.geteuid()
STRANGER = ME + 1


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)


def a_file(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def owned_by(path: Path, uid: int) -> os.stat_result:
    fields = list(path.stat())
    fields[4] = uid
    return os.stat_result(fields)


def told(path: Path, reader: int = ME) -> tuple[disk.Files, list[str]]:
    notes = Notes()
    files = take(path, notes, reader)
    try:
        notes.raise_if_any()
    except ConfigError as error:
        return files, [str(mistake) for mistake in error.mistakes]
    return files, []


class TestTake:
    def test_gives_names_and_contents(self, folder: Path):
        """As they were at one moment."""
        path = a_file(folder / "config.toml", "x = 1")

        assert told(path) == (((str(path), b"x = 1"),), [])

    def test_included_files_come_sorted_after_the_main_one(self, folder: Path):
        """The order decides which grant is the first of a kind."""
        path = a_file(folder / "config.toml", f"[daemon]\ninclude = '{folder}/conf.d/*.toml'")
        names = [str(a_file(folder / "conf.d" / f"{name}.toml", name)) for name in ("b", "a", "10")]
        a_file(folder / "conf.d" / "a.toml~")

        files, mistakes = told(path)

        assert ([name for name, _ in files], mistakes) == ([str(path), *sorted(names)], [])

    def test_it_may_be_spelt_by_escapes(self, folder: Path):
        """As TOML allows, though nobody does."""
        path = a_file(folder / "config.toml", '"d\\u0061emon"."inclu\\u0064e" = "conf.d/*.toml"')
        other = a_file(folder / "conf.d" / "a.toml")

        assert [name for name, _ in told(path)[0]] == [str(path), str(other)]

    def test_a_file_that_includes_nothing_is_not_read_for_it(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        """Its thousands of lines are read once, by who makes the configuration of them."""
        path = a_file(folder / "config.toml", "x = 1")
        monkeypatch.delattr("tomllib.loads")

        assert told(path) == (((str(path), b"x = 1"),), [])

    def test_a_relative_pattern_starts_at_the_main_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """Not at wherever the daemon was started, and its folder's name is no pattern."""
        path = a_file(tmp_path / "[e]tc" / "config.toml", "daemon.include = 'conf.d/*.toml'")
        other = a_file(tmp_path / "[e]tc" / "conf.d" / "a.toml")
        monkeypatch.chdir(path.parent)

        assert [name for name, _ in told(Path("config.toml"))[0]] == [str(path), str(other)]

    def test_the_main_file_does_not_include_itself(self, folder: Path):
        """Even where the pattern matches it."""
        path = a_file(folder / "config.toml", "daemon.include = '*.toml'")
        (folder / "again.toml").symlink_to(path)

        assert [name for name, _ in told(path)[0]] == [str(path)]

    @pytest.mark.parametrize(
        "text",
        [
            "daemon = 3 # include",
            "daemon.include = 3",
            "daemon.include = ''",
            'daemon.include = "\\u0000"',
            "include = ",
            "\\",
        ],
    )
    def test_a_main_file_that_is_not_sound_includes_nothing(self, folder: Path, text: str):
        """Whoever reads it tells why."""
        path = a_file(folder / "config.toml", text)

        assert told(path) == (((str(path), text.encode()),), [])

    def test_bytes_that_are_no_text_include_nothing(self, folder: Path):
        """Likewise."""
        path = folder / "config.toml"
        path.write_bytes(b"include \xff")
        path.chmod(0o644)  # whatever the umask is

        assert told(path)[1] == []

    def test_an_absent_file_is_a_mistake(self, folder: Path):
        """As is a dangling link."""
        (folder / "link").symlink_to(folder / "nowhere")

        assert told(folder / "x")[1] == [f"{folder}/x: does not exist"]
        assert told(folder / "link")[1] == [f"{folder}/link: does not exist"]

    def test_what_is_no_regular_file_is_never_opened(self, folder: Path):
        """A FIFO would hold the daemon for ever."""
        os.mkfifo(folder / "fifo")

        assert told(folder / "fifo") == ((), [f"{folder}/fifo: is not a regular file"])
        assert told(folder) == ((), [f"{folder}: is not a regular file"])

    def test_an_unreadable_file_is_a_mistake(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        """Root reads anything, so that the system's refusal is played."""

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        path = a_file(folder / "config.toml")
        monkeypatch.setattr(Path, "open", refuse)

        assert told(path) == ((), [f"{path}: cannot be read: Permission denied"])

    def test_a_huge_file_is_a_mistake(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        """Nobody wrote it by hand, and memory is bounded."""
        monkeypatch.setattr(disk, "LONGEST", 10)

        assert told(a_file(folder / "a", "x" * 10))[1] == []
        assert told(a_file(folder / "b", "x" * 11)) == ((), [f"{folder}/b: is longer than 10 bytes"])


class TestPermissions:
    @pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
    def test_a_file_that_others_can_write_is_a_mistake(self, folder: Path, mode: int):
        """Whoever writes it decides what is minted for whom."""
        path = a_file(folder / "config.toml", mode=mode)

        assert told(path)[1] == [f"{path}: can be changed by others; chmod go-w {path}"]

    @pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
    def test_a_folder_that_others_can_write_is_a_mistake(self, folder: Path, mode: int):
        """They could put another file in its place."""
        path = a_file(folder / "config.toml")
        folder.chmod(mode)

        assert told(path)[1] == [f"{folder}: can be changed by others; chmod go-w {folder}"]

    def test_the_folder_behind_a_link_counts_too(self, folder: Path, tmp_path: Path):
        """Either folder decides what the name leads to."""
        open_folder = tmp_path / "open"
        a_file(open_folder / "config.toml")
        open_folder.chmod(0o777)
        (folder / "config.toml").symlink_to(open_folder / "config.toml")

        assert told(folder / "config.toml")[1] == [f"{open_folder}: can be changed by others; chmod go-w {open_folder}"]

    def test_an_included_file_is_held_to_the_same(self, folder: Path):
        """It grants as much as the main one, and its folder is told once."""
        path = a_file(folder / "config.toml", "daemon.include = 'conf.d/*.toml'")
        first, second = (a_file(folder / "conf.d" / f"{name}.toml", mode=0o666) for name in "ab")
        first.parent.chmod(0o777)

        places = [mistake.partition(": ")[0] for mistake in told(path)[1]]

        assert places == [str(first), str(first.parent), str(second)]

    def test_a_strangers_file_is_a_mistake(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        """Its owner could change it, whatever the mode."""
        path = a_file(folder / "config.toml")
        monkeypatch.setattr(os, "fstat", lambda _: owned_by(path, STRANGER))

        assert told(path)[1] == [
            f"{path}: belongs neither to root nor to the account that reads it: its owner could change it"
        ]

    @pytest.mark.parametrize(("owner", "count"), [(0, 0), (1000, 0), (1001, 1)])
    def test_root_and_the_reader_may_own_it(self, folder: Path, owner: int, count: int):
        """Nobody else."""
        notes = Notes()
        disk._check(folder, owned_by(folder, owner), notes, 1000)

        assert len(notes) == count

    def test_every_mistake_of_a_file_is_told_at_once(self, folder: Path):
        """And its content is read all the same, for the mistakes in there."""
        path = a_file(folder / "odd name.toml", "x", mode=0o666)
        folder.chmod(0o777)

        files, mistakes = told(path)

        assert files == ((str(path), b"x"),)
        assert len(mistakes) == 2
        assert mistakes[0].endswith(f"chmod go-w '{path}'")
