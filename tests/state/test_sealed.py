"""One sealed file: opened whole, with its key, for its spec and label, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.model import AccessToken, IdToken, Value
from broker.secret import Secret
from broker.state.sealed import MAGIC, Box, Content, Unbelieved, label_of
from tests.made import a_token, an_id_token, keys
from tests.state.entries import KEY, OTHER, a_content, a_label, a_lease

SEALED = Box(KEY).seal(a_label(), b"spec", a_content())


class TestBox:
    @pytest.mark.parametrize("value", [keys(), a_token(), an_id_token()])
    def test_it_opens_what_it_has_sealed(self, value: Value):
        """Every kind of lease, and all that is known about it."""
        lease = a_lease()
        content = Content(type(lease)(value, 7, 1.0, 2.0, 3.0, 4.0, lease.facts), 5.0, 6.0)
        data = Box(KEY).seal(a_label(), b"spec", content)

        assert Box(KEY).open(data, b"spec") == content
        assert label_of(data) == a_label()

    def test_no_secret_and_no_spec_can_be_read_in_it(self):
        """Nor is it twice the same."""
        for secret in (b"secret 1", b"session 1", b"ASIA1", b"spec"):
            assert secret not in SEALED
        assert Box(KEY).seal(a_label(), b"spec", a_content()) != SEALED

    def test_another_key_opens_nothing(self):
        """A folder that was copied to another machine."""
        with pytest.raises(Unbelieved, match="damaged, or sealed with another key") as refused:
            Box(OTHER).open(SEALED, b"spec")
        assert refused.value.code == "not-opened"

    def test_another_spec_opens_nothing(self):
        """A file under another lease's name is not that lease."""
        with pytest.raises(Unbelieved):
            Box(KEY).open(SEALED, b"another spec")

    @pytest.mark.parametrize(
        "label", [a_label(boot="two"), a_label(host="there"), a_label(number=2), a_label(credential="tr4in")]
    )
    def test_another_label_opens_nothing(self, label: object):
        """Its boot, its machine and its number are part of what was sealed."""
        import msgspec

        old, new = msgspec.msgpack.encode(a_label()), msgspec.msgpack.encode(label)
        start = len(MAGIC)
        data = MAGIC + len(new).to_bytes(4, "big") + new + SEALED[start + 4 + len(old) :]

        assert label_of(data) == label
        with pytest.raises(Unbelieved):
            Box(KEY).open(data, b"spec")

    @given(st.integers(0, len(SEALED) * 8 - 1))
    def test_no_bit_may_be_flipped(self, bit: int):
        """Anywhere."""
        data = bytearray(SEALED)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unbelieved):
            Box(KEY).open(bytes(data), b"spec") if label_of(bytes(data)) else None

    @given(st.integers(0, len(SEALED) - 1))
    def test_no_byte_may_be_missing(self, length: int):
        """A file that a power cut has left behind."""
        with pytest.raises(Unbelieved):
            Box(KEY).open(SEALED[:length], b"spec") if label_of(SEALED[:length]) else None

    @given(st.binary(max_size=200))
    def test_nothing_else_is_taken_for_one(self, data: bytes):
        """Whatever stands there."""
        for whole in (data, MAGIC + data, MAGIC + b"\x00\x00\x00\x10" + data):
            with pytest.raises(Unbelieved):
                Box(KEY).open(whole, b"spec") if label_of(whole) else None

    def test_only_secrets_are_opened_to_be_sealed(self):
        """Anything else that msgspec does not know is a bug, told without its text."""
        with pytest.raises(TypeError, match="no complex is sealed"):
            Box(KEY).seal(a_label(), b"spec", Content(AccessToken(Secret("x"), 1j), 0.0, 0.0))  # type: ignore[arg-type]  # on purpose

    def test_an_id_token_comes_back_for_its_audience(self):
        """It is no access token."""
        content = Content(type(a_lease())(an_id_token(), 1, 0.0, 0.0, 0.0, 0.0), 0.0, 0.0)
        assert isinstance(Box(KEY).open(Box(KEY).seal(a_label(), b"", content), b"").lease.value, IdToken)
