from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, inspect

from broker.config import fields
from broker.config.fields import Unfit, converted, expected

Seconds = Annotated[int, Meta(ge=900, le=43_200, extra={"unit": "seconds"})]


PATTERN = r"\{(?:caller|hostname|uid|user|group)\}"


class Reference(msgspec.Struct, forbid_unknown_fields=True):
    file: str | None = None
    env: str | None = None


def words(type_: Any) -> str:
    return expected(inspect.type_info(type_))


def unfit(value: object, type_: Any) -> Unfit:
    with pytest.raises(Unfit) as caught:
        converted(value, type_)
    return caught.value


class TestConverted:
    @pytest.mark.parametrize(
        ("value", "type_", "result"),
        [
            ("x", str, "x"),
            (["a", "b"], tuple[str, ...], ("a", "b")),
            ({"a": [1]}, dict[str, Any] | None, {"a": [1]}),
            ({"file": "/k"}, Reference, Reference(file="/k")),
            ("keep", Literal["evict", "keep"], "keep"),
            (3, float, 3.0),
        ],
    )
    def test_gives_the_type_that_was_declared(self, value: object, type_: Any, result: object):
        """TOML's lists become tuples, its tables structs."""
        assert converted(value, type_) == result

    @pytest.mark.parametrize("type_", [Seconds, Seconds | None, Annotated[Seconds | None, Meta(description="x")]])
    @pytest.mark.parametrize(("value", "count"), [("45m", 2700), ("1h30m", 5400), (900, 900)])
    def test_a_duration_is_text_or_seconds(self, type_: Any, value: object, count: int):
        """However deep the declaration says that it is one."""
        assert converted(value, type_) == count

    @pytest.mark.parametrize("type_", [Seconds, Seconds | None])
    @pytest.mark.parametrize("value", ["14m", "13h", "soon", "", 899, 3600.0, True, ["1h"], {}])
    def test_a_wrong_duration_is_told_its_limits_as_people_write_them(self, type_: Any, value: object):
        """The words can be copied into the file."""
        assert unfit(value, type_).text == 'must be a duration such as "45m" or "1h", 15m to 12h'

    @pytest.mark.parametrize(
        ("value", "type_"), [("yes", bool), (1, bool), (True, int), ("1", int), (1, str), ("a", tuple[str, ...])]
    )
    def test_nothing_is_taken_for_what_it_is_not(self, value: object, type_: Any):
        """Strict: a one is not a true."""
        assert unfit(value, type_).text.startswith("must be ")

    @pytest.mark.parametrize(
        ("value", "type_", "steps"),
        [
            (["a", 3], tuple[str, ...], (1,)),
            ({"a": 3}, dict[str, str], ()),
            ({"file": 3}, Reference, ("file",)),
            ([{"env": "x"}, {"env": 3}], list[Reference], (1, "env")),
        ],
    )
    def test_the_way_to_the_wrong_item_is_told(self, value: object, type_: Any, steps: Any):
        """As far as it can be told without quoting what people wrote."""
        assert unfit(value, type_).steps == steps

    def test_what_can_be_used_nowhere_is_refused_whatever_the_type(self):
        """Even where anything goes."""
        assert unfit({"a": "\0"}, dict[str, Any]).steps == ("a",)

    @pytest.mark.parametrize(
        "type_", [int, bool, Literal["a"], Annotated[str, Meta(pattern="^a$")], Reference, Seconds]
    )
    def test_no_message_quotes_the_value(self, type_: Any):
        """It may be a secret in the wrong place, and msgspec's own words would show it."""
        error = unfit("CANARY", type_)

        assert "CANARY" not in error.text
        assert error.__suppress_context__


class TestExpected:
    @pytest.mark.parametrize(
        ("type_", "text"),
        [
            (bool, "true or false"),
            (int, "a whole number"),
            (float | None, "a number"),
            (str, "text"),
            (Annotated[str, Meta(min_length=1)], "text that is not empty"),
            (Annotated[str, Meta(min_length=2, max_length=64)], "text of 2 to 64 characters"),
            (Annotated[str, Meta(max_length=64, pattern="^a$")], "text of at most 64 characters of the form a"),
            (
                Annotated[str, Meta(pattern=r"^(?:[a-z]|\{(?:caller|hostname|uid|user|group)\})+$(?!\n)")],
                "text of the form (?:[a-z])+",
            ),
            (Annotated[str, Meta(pattern="^a$", examples=["aaa"])], "text such as aaa"),
            (Annotated[str, Meta(description="a profile")] | None, "text (a profile)"),
            (Annotated[int, Meta(ge=1)], "a whole number, at least 1"),
            (Literal["evict", "keep"], "one of evict, keep"),
            (int | str, "a whole number or text"),
            (tuple[bool, ...], "a list, each item true or false"),
            (Annotated[list[str], Meta(min_length=1)], "a list that is not empty, each item text"),
            (Annotated[dict[str, str], Meta(max_length=50)], "a table of at most 50 keys"),
            (Reference, "a table of file, env"),
            (tuple[Any, ...], "a list, each item anything"),
        ],
    )
    def test_says_it_in_words(self, type_: Any, text: str):
        """They follow "must be"."""
        assert words(type_) == text


class TestUnits:
    def test_a_path_is_declared_like_a_duration(self):
        """By its unit, at any depth."""
        path = Annotated[str, Meta(extra={"unit": "path"})] | None

        assert fields.is_path(path)
        assert not fields.is_path(Seconds)
        assert not fields.in_seconds(path)

    def test_a_type_is_looked_into_once(self, monkeypatch: pytest.MonkeyPatch):
        """A thousand credentials have a thousand durations of the same type, and looking takes longest."""
        assert converted("45m", Seconds) == 2700
        monkeypatch.delattr(inspect, "type_info")

        assert converted("1h", Seconds) == 3600
