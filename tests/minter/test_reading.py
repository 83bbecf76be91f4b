"""Which configuration the minter service mints by: the present files, else the last good ones, and never another."""

from pathlib import Path

import pytest

from broker import vetting
from broker.config import read
from broker.config.shape import Snapshot
from broker.errors import MintError
from broker.minter.admission import NotAdmitted
from broker.minter.reading import Reading

TRAINER = "[callers.trainer]\nuid = 1000\ngrants = ['data']\n"
ONE = f"[credentials.data]\nsource = 'gcp-adc'\n{TRAINER}"
TWO = f"{ONE}# another generation\n"
BROKEN = f"{ONE}grants =\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The configuration, good at first."""
    tmp_path.chmod(0o700)
    found = tmp_path / "config.toml"
    found.write_text(ONE)
    found.chmod(0o600)
    return found


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Where the last good files are kept."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder / "last-good"


def generation(file: Path, text: str) -> str:
    """What a daemon calls a configuration of this text in that place."""
    return read.generation(((str(file), text.encode()),))


def reason(reading: Reading, asked: str) -> str:
    """Why there is no Book of that generation."""
    with pytest.raises(NotAdmitted) as caught:
        reading.book(asked)
    assert isinstance(caught.value, MintError)
    return caught.value.reason


class TestPresent:
    def test_the_files_as_they_are_now(self, file: Path, kept: Path):
        """Read anew for each question, parsed once a generation."""
        reading = Reading(file, kept)
        book = reading.book(generation(file, ONE))

        assert set(book.credentials) == {"data"}
        assert reading.book(generation(file, ONE)) is book

    @pytest.mark.parametrize("asked", ["", "0" * 64])
    def test_no_other_generation_is_given(self, file: Path, kept: Path, asked: str):
        """The daemon decides by something that is not there."""
        assert reason(Reading(file, kept), asked) == "generation"
        assert not kept.exists()

    def test_after_an_edit_only_the_new_one_counts(self, file: Path, kept: Path):
        """Also for a process that has minted by the old one: what was taken back is not minted any more."""
        reading = Reading(file, kept)
        reading.book(generation(file, ONE))
        file.write_text(TWO)

        assert reason(reading, generation(file, ONE)) == "generation"
        assert reading.book(generation(file, TWO)).config.generation == generation(file, TWO)

    def test_included_files_count_too(self, file: Path, kept: Path):
        """As the daemon reads them."""
        file.write_text(f"[daemon]\ninclude = 'conf.d/*.toml'\n{ONE}")
        (file.parent / "conf.d").mkdir(mode=0o700)
        more = file.parent / "conf.d" / "a.toml"
        more.write_text("[credentials.more]\nsource = 'gcp-adc'\n")
        more.chmod(0o600)
        asked = vetting.load(file)[0].generation

        assert set(Reading(file, kept).book(asked).credentials) == {"data", "more"}
        more.unlink()
        assert reason(Reading(file, kept), asked) == "generation"


class TestLastGood:
    @pytest.mark.parametrize("state", ["broken", "gone", "writable by others", "not text"])
    def test_mistakes_in_the_files_stop_no_mint(self, file: Path, kept: Path, state: str):
        """An administrator edits: the daemon goes on with what it read, and so does a minter that starts now."""
        Reading(file, kept).book(generation(file, ONE))
        match state:
            case "broken":
                file.write_text(BROKEN)
            case "gone":
                file.unlink()
            case "writable by others":
                file.chmod(0o666)
            case _:
                file.write_bytes(b"\xff")

        assert set(Reading(file, kept).book(generation(file, ONE)).credentials) == {"data"}

    def test_an_older_one_than_the_last_is_not_given(self, file: Path, kept: Path):
        """Even to a connection that has seen it: another one may have gone on."""
        old = Reading(file, kept)
        old.book(generation(file, ONE))
        file.write_text(TWO)
        Reading(file, kept).book(generation(file, TWO))
        file.write_text(BROKEN)

        assert reason(old, generation(file, ONE)) == "configuration"
        assert old.book(generation(file, TWO)).config.generation == generation(file, TWO)

    def test_one_that_the_daemon_never_took_does_not_become_it(self, file: Path, kept: Path):
        """An edit that was not reloaded, then a mistake: the daemon still has the first, and so has the minter."""
        Reading(file, kept).book(generation(file, ONE))
        file.write_text(TWO)
        assert reason(Reading(file, kept), generation(file, ONE)) == "generation"
        file.write_text(BROKEN)

        assert set(Reading(file, kept).book(generation(file, ONE)).credentials) == {"data"}
        assert reason(Reading(file, kept), generation(file, TWO)) == "configuration"

    @pytest.mark.parametrize(
        "content", [b"", b"\xc1", b"\x81\xa5files\x91\x92\xa1a\xa1\xff", Snapshot(zero=("", 0)).pack()]
    )
    def test_what_is_no_snapshot_counts_as_none(self, file: Path, kept: Path, content: bytes):
        """A disk that was full, or another version's."""
        kept.write_bytes(content)
        kept.chmod(0o600)
        file.write_text(BROKEN)

        assert reason(Reading(file, kept), generation(file, ONE)) == "configuration"

    def test_one_that_this_version_cannot_read_counts_as_none(self, file: Path, kept: Path):
        """It was good once."""
        kept.write_bytes(Snapshot(((str(file), BROKEN.encode()),)).pack())
        kept.chmod(0o600)
        file.unlink()

        assert reason(Reading(file, kept), generation(file, BROKEN)) == "configuration"

    def test_without_a_place_to_keep_it_there_is_none(self, file: Path):
        """And nothing is written anywhere."""
        Reading(file, None).book(generation(file, ONE))
        file.write_text(BROKEN)

        assert reason(Reading(file, None), generation(file, ONE)) == "configuration"

    def test_where_it_cannot_be_kept_mints_go_on(self, file: Path, kept: Path, capsys: pytest.CaptureFixture[str]):
        """And an older one is removed: it must not come back some day."""
        Reading(file, kept).book(generation(file, ONE))
        file.write_text(TWO)
        (kept.parent / "second").hardlink_to(kept)  # a file with two names is not written to

        assert set(Reading(file, kept).book(generation(file, TWO)).credentials) == {"data"}
        assert not kept.exists()
        assert "hard link" in capsys.readouterr().err


class TestNameService:
    NAMED = ONE.replace("uid = 1000", "uid = 'root'\nallow_root = true")

    def test_it_is_asked_once_a_generation(self, file: Path, kept: Path, monkeypatch: pytest.MonkeyPatch):
        """A directory server that is down must not stop mints by what is known to be good."""
        file.write_text(self.NAMED)
        Reading(file, kept).book(generation(file, self.NAMED))
        monkeypatch.setattr("pwd.getpwnam", _nobody_is_known)

        assert set(Reading(file, kept).book(generation(file, self.NAMED)).credentials) == {"data"}

    def test_a_name_that_is_none_is_a_mistake_as_it_is_for_the_daemon(self, file: Path, kept: Path):
        """Else the daemon would refuse the edit, the minter believe it, and every mint fail."""
        Reading(file, kept).book(generation(file, ONE))
        file.write_text(ONE.replace("uid = 1000", "uid = 'nobody-is-called-so'"))

        assert set(Reading(file, kept).book(generation(file, ONE)).credentials) == {"data"}


class TestTold:
    def test_mistakes_are_told_once_and_quote_nothing(self, file: Path, kept: Path, capsys: pytest.CaptureFixture[str]):
        """Each with its place, as everywhere; however often the daemon asks."""
        file.write_text(f"{ONE}secret = 'TOP-SECRET'\n")
        reading = Reading(file, kept)
        for _ in range(3):
            reason(reading, generation(file, ONE))
        said = capsys.readouterr().err.splitlines()

        assert said[0] == "credbroker-minter: the configuration has mistakes:"
        assert said[1].startswith(f"credbroker-minter: {file}:6 [callers.trainer] secret: unknown key")
        assert len(said) == 2


def _nobody_is_known(name: str) -> None:
    raise KeyError(name)
