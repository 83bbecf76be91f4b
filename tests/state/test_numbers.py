"""Numbers of writes: each is given once, and an older file is known by its own."""

from pathlib import Path

from broker.state.kept_file import KeptFile, Stamp
from broker.state.numbers import Numbers, Seen
from tests.leaping import EPOCH

STAMP = Stamp(owner="/state", boot="one", booted=0.0)


def numbers_of(folder: Path, stamp: Stamp = STAMP) -> Numbers:
    """As each start makes them."""
    return Numbers(KeptFile(folder / "sealed", Seen, stamp))


def some(folder: Path) -> Numbers:
    """As each start has them."""
    numbers = numbers_of(folder)
    assert numbers.load() is None
    return numbers


class TestNumbers:
    def test_what_was_written_since_is_outdated(self, tmp_path: Path):
        """The next start knows it too."""
        numbers = some(tmp_path)
        first, second = numbers.next(), numbers.next()
        numbers.done("a", first, EPOCH + 60)
        numbers.done("a", second, EPOCH + 60)
        numbers.save(EPOCH)
        again = some(tmp_path)

        assert [again.outdated("a", number) for number in (first, second)] == [True, False]
        assert again.next() > second

    def test_a_write_that_failed_outdates_nothing(self, tmp_path: Path):
        """The file that is there is still the last one."""
        numbers = some(tmp_path)
        numbers.done("a", written := numbers.next(), EPOCH + 60)
        numbers.next()

        assert not numbers.outdated("a", written)

    def test_one_that_was_never_told_is_not_outdated(self, tmp_path: Path):
        """Killed between the file and its number: the file is the newer one."""
        numbers = some(tmp_path)
        numbers.met(7)

        assert not numbers.outdated("a", 7)
        assert numbers.next() == 8

    def test_what_has_expired_need_not_be_known(self, tmp_path: Path):
        """An older lease has too, so the record does not grow for ever."""
        numbers = some(tmp_path)
        numbers.done("a", numbers.next(), EPOCH + 60)
        numbers.done("b", numbers.next(), EPOCH + 120)
        numbers.save(EPOCH + 60)

        assert some(tmp_path).outdated("b", 1)
        assert not some(tmp_path).outdated("a", 0)

    def test_nothing_new_is_not_written(self, tmp_path: Path):
        """No write without a reason."""
        some(tmp_path).save(EPOCH)

        assert not (tmp_path / "sealed").exists()

    def test_a_damaged_record_is_told(self, tmp_path: Path):
        """Then an older file cannot be known."""
        numbers = some(tmp_path)
        numbers.done("a", numbers.next(), EPOCH + 60)
        numbers.save(EPOCH)
        (tmp_path / "sealed").write_bytes(b"credbroker kept 1\n?")
        again = numbers_of(tmp_path)

        assert "damaged" in str(again.load())
        assert not again.outdated("a", 0)

    def test_a_record_of_another_boot_is_nothing(self, tmp_path: Path):
        """Where the runtime folder outlives a reboot."""
        numbers = some(tmp_path)
        numbers.done("a", numbers.next(), EPOCH + 60)
        numbers.save(EPOCH)
        again = numbers_of(tmp_path, Stamp(owner="/state", boot="two", booted=0.0))

        assert again.load() is None
        assert not again.outdated("a", 0)
