import datetime as dt

import pytest

from broker.config.leaves import DEEPEST, strings, unusable


class TestStrings:
    def test_gives_every_string_and_key_with_its_way(self):
        """Nothing hides in a list of tables."""
        found = list(strings({"a": ["x", {"b": "y"}], "c": 1}))

        assert found == [(("a",), "a"), (("a", 0), "x"), (("a", 1, "b"), "b"), (("a", 1, "b"), "y"), (("c",), "c")]


class TestUnusable:
    def test_ordinary_values_are_usable(self):
        """Tabs and line ends are text; negative numbers are numbers."""
        assert list(unusable({"a": ["x\ty\r\n", -1, 2.5, True], "b": {}})) == []

    @pytest.mark.parametrize(
        ("value", "word"),
        [
            ("\0", "control"),
            ("\x1b[31m", "control"),
            ("\x7f", "control"),
            (2**63, "large"),
            (-(2**64), "large"),
            (float("nan"), "finite"),
            (float("-inf"), "finite"),
            (dt.date(2012, 10, 17), "quotes"),
            (dt.datetime(2012, 10, 17, tzinfo=dt.UTC), "quotes"),
            (dt.time(1, 2), "quotes"),
        ],
    )
    def test_what_could_not_be_sent_or_logged_is_told(self, value: object, word: str):
        """An unquoted policy version is a date to TOML."""
        ((steps, text),) = unusable({"a": [value]})

        assert steps == ("a", 0)
        assert word in text

    def test_a_key_with_a_control_character_is_told(self):
        """It would stand in a message."""
        assert [text for _, text in unusable({"a\x07": 1})] == ["is a key with a control character"]

    def test_too_deep_a_nest_is_told_and_not_followed(self):
        """What encodes it later has a limit of its own."""
        value: object = "x"
        for _ in range(DEEPEST * 3):
            value = [value]

        ((steps, text),) = unusable(value)

        assert (len(steps), text) == (DEEPEST, "is nested too deeply")
