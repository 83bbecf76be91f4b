"""Secrets read where a spec refers to them."""

from pathlib import Path

import pytest

from broker.errors import IdentityMissing
from broker.model import Reference
from broker.sources.references import LONGEST, read


def a_file(folder: Path, content: bytes, mode: int = 0o600) -> Reference:
    """A file with this in it."""
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return Reference(file=str(path))


class TestRead:
    @pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
    def test_a_line_break_at_the_end_is_none_of_it(self, tmp_path: Path, content: bytes):
        """Editors put it there."""
        assert read(a_file(tmp_path, content), "key").open() == "s3cret"

    def test_a_file_is_read_anew_each_time(self, tmp_path: Path):
        """Its owner rotates it."""
        reference = a_file(tmp_path, b"old")
        read(reference, "key")
        a_file(tmp_path, b"new")

        assert read(reference, "key").open() == "new"

    def test_a_variable_is_the_minters(self, monkeypatch: pytest.MonkeyPatch):
        """By its name."""
        monkeypatch.setenv("MY_KEY", "s3cret")

        assert read(Reference(env="MY_KEY"), "key").open() == "s3cret"

    def test_several_lines_are_for_who_expects_them(self, tmp_path: Path):
        """A private key has many."""
        pem = b"-----BEGIN X-----\nabc\n-----END X-----\n"

        assert read(a_file(tmp_path, pem), "key", lines=True).open() == pem.decode().rstrip("\n")

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "ReferenceEmpty"),
            (b"\n", "ReferenceEmpty"),
            (b"  ", "ReferenceEmpty"),
            (b"CANARY\nCANARY", "ReferenceNotOneLine"),
            (b"CANARY\n\n", "ReferenceNotOneLine"),
            (b"CANARY\rX", "ReferenceNotOneLine"),
            (b" CANARY", "ReferenceNotPrintable"),
            (b"CAN\x00ARY", "ReferenceNotPrintable"),
            (b"CANARY\xff", "ReferenceNotText"),
            (b"x" * (LONGEST + 1), "ReferenceUnreadable"),
        ],
    )
    def test_what_can_be_no_secret_is_named_and_not_quoted(self, tmp_path: Path, content: bytes, code: str):
        """The message says which field, and where it is read."""
        with pytest.raises(IdentityMissing, match=r"^access_key_id: .*/key\b") as caught:
            read(a_file(tmp_path, content), "access_key_id")

        assert caught.value.code == code
        assert "CANARY" not in caught.value.advice

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path):
        """It may come: this is no final word."""
        with pytest.raises(IdentityMissing, match="No such file or directory") as caught:
            read(Reference(file=str(tmp_path / "none")), "key")

        assert caught.value.transient

    def test_a_file_that_others_may_write_is_refused(self, tmp_path: Path):
        """Whoever writes it decides what workers use."""
        with pytest.raises(IdentityMissing, match="others may write to it"):
            read(a_file(tmp_path, b"x", 0o666), "key")

    def test_a_variable_that_is_not_set_is_named(self, monkeypatch: pytest.MonkeyPatch):
        """With whose it is to be."""
        monkeypatch.delenv("MY_KEY", raising=False)

        with pytest.raises(IdentityMissing, match=r"^key: the variable MY_KEY of the minter is not set"):
            read(Reference(env="MY_KEY"), "key")
