"""A secret is not shown by accident, whatever is done to it."""

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from broker.model import AwsKeys, Given
from broker.secret import Secret

TEXT = "wJalrXUtnFEMI/K7MDENG"

WAYS: dict[str, Callable[[Any], object]] = {
    "str": str,
    "an f-string": lambda secret: f"{secret}",
    "format": lambda secret: format(secret, ">40"),
    "percent": lambda secret: "%s" % secret,  # noqa: UP031 - one more way that must fail
    "join": ",".join,
    "bytes": bytes,
    "list": list,
    "len": len,
    "in": lambda secret: "w" in secret,
    "plus": lambda secret: "" + secret,
    "hash": hash,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "json": json.dumps,
    "msgspec json": msgspec.json.encode,
    "msgspec msgpack": msgspec.msgpack.encode,
    "msgspec builtins": msgspec.to_builtins,
}


class TestSecret:
    @pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
    def test_it_refuses(self, way: Callable[[Secret], object]):
        """And the refusal does not quote it either."""
        with pytest.raises(TypeError) as caught:
            way(Secret(TEXT))

        assert TEXT not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps])
    def test_a_value_with_one_inside_refuses_too(self, encode: Callable[[Any], object]):
        """Nothing travels that was not opened on purpose."""
        with pytest.raises(TypeError):
            encode(AwsKeys("AKIA", Secret(TEXT), Secret("")))

    def test_its_repr_says_nothing(self):
        """Values are printed by tests, logs and debuggers, with what is inside."""
        assert repr(Secret(TEXT)) == "Secret(...)"
        assert TEXT not in repr(Given(base=AwsKeys("AKIA", Secret(TEXT), Secret(TEXT)), mfa_code=Secret(TEXT)))

    def test_it_opens_on_purpose(self):
        """Whole, and as it was."""
        assert Secret(TEXT).open() == TEXT

    def test_it_equals_another_of_the_same_text_only(self):
        """Never the text itself: that would be a way to guess."""
        assert Secret(TEXT) == Secret(TEXT)
        assert Secret(TEXT) != Secret(TEXT[:-1])
        assert Secret(TEXT) != TEXT
        assert Secret("ü") == Secret("ü")

    def test_an_empty_one_is_false(self):
        """A store without session tokens has an empty one."""
        assert (bool(Secret(TEXT)), bool(Secret(""))) == (True, False)

    def test_it_has_no_room_for_anything_else(self):
        """Neither `vars` nor a new attribute."""
        with pytest.raises(TypeError):
            vars(Secret(TEXT))
        with pytest.raises(AttributeError):
            Secret(TEXT).note = "x"  # type: ignore[attr-defined]  # the point
