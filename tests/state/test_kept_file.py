"""What survives a restart: whole, ours and of this boot, or not at all."""

import os
from pathlib import Path

import msgspec
import pytest

from broker.errors import BrokerError
from broker.state.kept_file import DRIFT, MAGIC, KeptFile, Stamp

OURS = Stamp(owner="/run/a.sock", boot="one", booted=1000.0)


class Thing(msgspec.Struct, frozen=True):
    name: str
    ends: float


THINGS = (Thing("a", 1.5), Thing("b", float("inf")))


def a_file(folder: Path) -> KeptFile[Thing]:
    """The file under test."""
    return KeptFile(folder / "kept", Thing, OURS)


class TestSaveAndLoad:
    def test_what_was_saved_is_loaded(self, tmp_path: Path):
        """Infinity too: some tokens have no end."""
        a_file(tmp_path).save(THINGS)

        assert a_file(tmp_path).load() == THINGS

    def test_no_file_is_nothing(self, tmp_path: Path):
        """The first start of all."""
        assert a_file(tmp_path).load() == ()

    def test_it_is_private_and_makes_its_folder(self, tmp_path: Path):
        """A runtime folder that is configured need not exist."""
        file = KeptFile(tmp_path / "run" / "kept", Thing, OURS)
        file.save(THINGS)

        assert (file.path.stat().st_mode & 0o777, file.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path):
        """With the path and what to do."""
        (tmp_path / "kept").mkdir()

        with pytest.raises(BrokerError, match="not a regular file"):
            a_file(tmp_path).save(THINGS)


class TestUnbelieved:
    def test_every_damage_is_seen(self, tmp_path: Path):
        """Whichever bit falls over, and wherever the file ends."""
        file = a_file(tmp_path)
        file.save(THINGS)
        whole = file.path.read_bytes()
        spoilt = [whole[:at] for at in range(len(whole))]
        spoilt += [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(len(whole))]
        for data in spoilt:
            file.path.write_bytes(data)
            with pytest.raises(BrokerError) as error:
                file.load()
            assert error.value.code == "NotBelieved"

    def test_values_of_another_version_are_not_half_read(self, tmp_path: Path):
        """A field more than was written is another version's."""

        class More(msgspec.Struct, frozen=True):
            name: str
            ends: float
            more: int

        a_file(tmp_path).save(THINGS)

        with pytest.raises(BrokerError, match="another version"):
            KeptFile(tmp_path / "kept", More, OURS).load()

    def test_another_format_is_another_version(self, tmp_path: Path):
        """Its first line tells."""
        a_file(tmp_path).path.write_bytes(MAGIC.replace(b"1", b"2") + b"whatever")
        a_file(tmp_path).path.chmod(0o600)

        with pytest.raises(BrokerError, match="another version"):
            a_file(tmp_path).load()

    def test_a_file_that_others_may_write_is_nobody_s(self, tmp_path: Path):
        """Whoever may write it could add a token."""
        a_file(tmp_path).save(THINGS)
        (tmp_path / "kept").chmod(0o622)

        with pytest.raises(BrokerError, match="others may write"):
            a_file(tmp_path).load()

    @pytest.mark.root
    def test_nor_is_one_that_belongs_to_somebody_else(self, tmp_path: Path):
        """He could put any token into it."""
        a_file(tmp_path).save(THINGS)
        os.chown(tmp_path / "kept", 4711, 4711)

        with pytest.raises(BrokerError, match="another user"):
            a_file(tmp_path).load()


class TestStamp:
    @pytest.mark.parametrize(
        ("other", "known"),
        [
            (OURS, True),
            (msgspec.structs.replace(OURS, owner="/run/b.sock"), False),
            (msgspec.structs.replace(OURS, boot="two"), False),
            (msgspec.structs.replace(OURS, booted=9e9), True),
            (msgspec.structs.replace(OURS, boot=""), True),
            (msgspec.structs.replace(OURS, boot="", booted=1000.0 + DRIFT + 1), False),
        ],
    )
    def test_only_our_own_of_this_boot_is_known(self, other: Stamp, *, known: bool):
        """By the boot's name, or where one of the two is not told, by when it began."""
        assert OURS.knows(other) is known
        assert other.knows(OURS) is known
