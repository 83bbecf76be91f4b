import pytest

from broker.sources.http_fields import http_date, patience


class TestPatience:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("7", 7.0),
            (" 7 ", 7.0),
            ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
            ("-7", None),
            ("1e9", None),
            ("soon", None),
            ("", None),
        ],
    )
    def test_both_forms_of_retry_after_are_read(self, text: str, seconds: float | None):
        """HTTP allows seconds and dates; nonsense is no wish at all."""
        assert patience({"retry-after": text}, now=100.0) == seconds

    def test_a_date_is_compared_with_upstreams_own_clock(self):
        """Ours may be wrong."""
        fields = {"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT", "date": "Thu, 01 Jan 1970 00:01:30 GMT"}

        assert patience(fields, now=1e6) == 30.0


class TestHttpDate:
    @pytest.mark.parametrize("text", ["", "yesterday", "Thu, 99 Jan 1970 00:00:00 GMT", "01 Jan 1970 00:00:00 -0000"])
    def test_nonsense_and_a_date_without_a_zone_are_no_date(self, text: str):
        """A wrong date would be taken for a wrong clock."""
        assert http_date(text) is None
