import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config.durations import human, seconds


class TestSeconds:
    @pytest.mark.parametrize(
        ("text", "count"), [("45m", 2700), ("1h", 3600), ("90s", 90), ("1h30m", 5400), ("1h0m5s", 3605), ("0s", 0)]
    )
    def test_reads_what_people_write(self, text: str, count: int):
        """Hours, minutes and seconds, in this order."""
        assert seconds(text) == count

    @pytest.mark.parametrize(
        "text", ["", "1", "h", "30m1h", "1 h", "1.5h", "-1h", "1H", "1d", "1h\n", "\u0661h", "9999999h", "1h1h"]
    )
    def test_refuses_everything_else(self, text: str):
        """A duration that is guessed is worse than a mistake."""
        assert seconds(text) is None


class TestHuman:
    @given(st.integers(0, 10**9))
    def test_is_read_back_as_it_was(self, count: int):
        """The words in a message can be copied into the file."""
        assert seconds(human(count)) == count

    def test_is_short(self):
        """No unit that is zero is named."""
        assert [human(count) for count in (0, 900, 3600, 5400, 43_200)] == ["0s", "15m", "1h", "1h30m", "12h"]
