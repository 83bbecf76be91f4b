"""A folder of sealed leases: what it gives back, what it drops and removes, and that a crash leaves whole files."""

import os

import pytest

from broker.model import CallerFacts
from broker.state import life
from broker.state.vault import Dropped, Loaded, name_of, spread
from tests.leaping import EPOCH
from tests.state.entries import HOUR, OTHER, Place, a_lease, an_entry, codes


class TestLoad:
    def test_what_was_written_is_given_back(self, place: Place):
        """With whom it was for, and for which audience."""
        facts = CallerFacts(caller="other", group="vision")
        place.put(an_entry(), an_entry(b"spec 2", "2", facts=facts, audience="https://service.example"))
        loaded = place.take(b"spec", b"spec 2", later=60)

        assert loaded.dropped == ()
        assert {one.cache_key: one.lease for one in loaded.opened} == {b"spec": a_lease(), b"spec 2": a_lease("2")}
        assert {(one.label.facts, one.label.audience) for one in loaded.opened} >= {(facts, "https://service.example")}
        assert all(one.as_is for one in loaded.opened)

    def test_the_last_write_counts(self, place: Place):
        """One file for a lease."""
        place.put(an_entry(), an_entry(text="2", serial=2))

        assert [one.lease.serial for one in place.take().opened] == [2]
        assert len(place.files) == 1

    def test_files_and_folder_are_private_and_tell_nothing(self, place: Place):
        """Not by their names either."""
        os.umask(0)
        place.put(an_entry())
        os.umask(0o022)

        assert [path.name for path in place.files] == [name_of(b"spec")]
        assert [path.stat().st_mode & 0o777 for path in (place.state, *place.files)] == [0o700, 0o600]

    def test_what_a_reboot_left_is_to_be_sealed_anew(self, place: Place):
        """Under the boot that it is told by now."""
        place.put(an_entry())
        (one,) = place.take(later=60, now=60.0, boot="two").opened

        assert (one.as_is, one.lease.ends) == (False, 60.0 + HOUR - 60)

    def test_what_has_expired_goes_without_a_word(self, place: Place):
        """It is nobody's fault."""
        place.put(an_entry())

        assert place.take(later=HOUR) == Loaded((), ())
        assert place.files == []

    def test_what_a_crashed_write_left_is_removed(self, place: Place):
        """Whichever lease it was of."""
        place.put(an_entry())
        (place.state / f".{name_of(b'gone')}.credbroker-0123456789abcdef").write_bytes(b"half")
        place.take()

        assert len(place.files) == 1

    def test_other_kinds_of_files_stay(self, place: Place):
        """A later version may keep more than leases."""
        place.put(an_entry())
        (place.state / f"{'0' * 64}.reaper").touch()
        place.take()

        assert len(place.files) == 2


class TestDropped:
    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (lambda data: data[:-1], "not-opened"),
            (lambda data: data[: len(data) // 4], "damaged"),
            (lambda _: b"", "other-version"),
            (lambda data: data.replace(b"sealed 1", b"sealed 0"), "other-version"),
            (lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:], "not-opened"),
        ],
    )
    def test_a_damaged_one_alone(self, place: Place, content: object, code: str):
        """The others are given back; what is dropped is removed, so it is told once."""
        place.put(an_entry(), an_entry(b"spec 2", "2"))
        path = place.state / name_of(b"spec")
        path.write_bytes(content(path.read_bytes()))  # type: ignore[operator]  # one of the above
        loaded = place.take(b"spec", b"spec 2")

        assert [one.lease for one in loaded.opened] == [a_lease("2")]
        assert [one.code for one in loaded.dropped] == [code]
        assert place.take(b"spec", b"spec 2").dropped == ()

    def test_one_that_was_sealed_with_another_key(self, place: Place):
        """It says whose it was."""
        place.put(an_entry())

        (dropped,) = place.take(key=OTHER).dropped
        assert (dropped.credential, dropped.code) == ("train", "not-opened")

    def test_one_under_the_name_of_another(self, place: Place):
        """A lease of one caller is never given to the next."""
        place.put(an_entry(), an_entry(b"spec 2", "2"))
        (place.state / name_of(b"spec")).replace(place.state / name_of(b"spec 2"))

        assert codes(place.take(b"spec", b"spec 2")) == ["not-opened"]

    def test_one_whose_spec_or_credential_is_gone(self, place: Place):
        """Two different words for people."""
        place.put(an_entry(), an_entry(b"spec 2"))
        vault = place.vault()
        loaded = vault.load(lambda label: [b"changed"] if label.number == 1 else [])
        vault.close()

        assert codes(loaded) == ["not-configured", "not-configured"]
        assert {one.why for one in loaded.dropped} == {
            "its configuration has changed",
            "its credential, or who it was for, is not configured now",
        }
        assert place.files == []

    def test_an_older_one_that_was_put_back(self, place: Place):
        """Its number was seen before."""
        place.put(an_entry())
        older = place.files[0].read_bytes()
        place.put(an_entry(text="2", serial=2))
        place.files[0].write_bytes(older)

        assert codes(place.take()) == ["replayed"]

    def test_one_that_was_removed_and_put_back(self, place: Place):
        """An evicted lease stays evicted."""
        place.put(an_entry())
        older, path = place.files[0].read_bytes(), place.files[0]
        vault = place.vault()
        vault.load(lambda _: [b"spec"])
        vault.remove(b"spec", EPOCH + HOUR)
        vault.remove(b"spec", EPOCH + HOUR)
        vault.tell(EPOCH)
        vault.close()
        assert place.files == []
        path.write_bytes(older)
        path.chmod(0o600)

        assert codes(place.take()) == ["replayed"]

    def test_one_that_the_clock_throws_doubt_on_stays_for_another_start(self, place: Place):
        """The clock may be set right by then."""
        place.put(an_entry())

        assert codes(place.take(later=60, boot="two", synchronised=False)) == [life.UNSURE]
        assert len(place.take(later=60, boot="two").opened) == 1

    def test_one_that_is_no_file_or_that_others_could_write(self, place: Place):
        """Neither opened nor followed."""
        place.put(an_entry())
        place.files[0].chmod(0o666)
        (place.state / name_of(b"fifo")).mkdir()

        assert sorted(codes(place.take())) == ["UnsafePath", "UnsafePath"]

    def test_a_forgotten_record_of_numbers_drops_nothing_but_is_told(self, place: Place):
        """What it protects from is less than what it would cost."""
        place.put(an_entry())
        place.seen.write_bytes(b"?")
        loaded = place.take()

        assert len(loaded.opened) == 1
        assert [one.code for one in loaded.dropped] == ["numbers"]


class TestSpread:
    def test_one_line_for_each_reason(self):
        """A foreign key is one mishap, not a thousand."""
        dropped = [
            Dropped("a", "not-opened", "damaged"),
            Dropped("b", "not-opened", "damaged"),
            Dropped(None, "x", "y"),
        ]

        assert [(one.code, count, names) for one, count, names in spread([*dropped, dropped[0]])] == [
            ("not-opened", 3, ("a", "b")),
            ("x", 1, ()),
        ]
