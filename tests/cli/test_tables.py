"""Tables and durations for people."""

import pytest

from broker.cli.tables import span, table


class TestTable:
    def test_columns_are_aligned_and_what_is_unknown_is_a_dash(self):
        """Without spaces at the end of a line."""
        assert table(("NAME", "WHO"), [("train", None), ("x", "alice")]) == "NAME   WHO\ntrain  -\nx      alice"

    def test_without_rows_it_is_its_head(self):
        """One sees what there would be."""
        assert table(("A", "B"), []) == "A  B"


class TestSpan:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (-5, "0s"),
            (0.9, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h 0m"),
            (172_799, "47h 59m"),
            (187_200, "2d 4h"),
        ],
    )
    def test_it_is_as_precise_as_matters(self, seconds: float, text: str):
        """Seconds near the end, hours far from it."""
        assert span(seconds) == text

    def test_what_is_unknown_stays_so(self):
        """The table shows a dash."""
        assert span(None) is None
