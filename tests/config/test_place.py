import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.config.place import Document, Notes, find, lines, shown
from broker.errors import ConfigError
from tests.config.toy import toml

TEXT = '''# a comment with [brackets] and a = sign
[daemon]
listen = [
    "127.0.0.1:1",  # in a list: x = 1
    "[::1]:2",
]
admin = "x"
limits.connections = 3
[ "credentials" . 'a.b' ]
source = """
[callers.fake]
uid = 0
""\\""""""
policy = { a = "[", b = [ { c = "=" } ] }
"odd key" = \'\'\'
[fake] \'\'\'\'
  [credentials.train]   # ] = [
duration = "it's"
[[credentials.train.policy.Statement]]
Effect = "Allow"

[callers.x]'''


def document(text: str = TEXT, path: str = "/etc/config.toml") -> Document:
    return Document(path, text, tomllib.loads(text))


class TestLines:
    def test_finds_headers_and_keys_and_nothing_else(self):
        """Strings, comments and lists may look like both."""
        assert lines(TEXT) == {
            ("daemon",): 2,
            ("daemon", "listen"): 3,
            ("daemon", "admin"): 7,
            ("daemon", "limits"): 8,
            ("daemon", "limits", "connections"): 8,
            ("credentials",): 9,
            ("credentials", "a.b"): 9,
            ("credentials", "a.b", "source"): 10,
            ("credentials", "a.b", "policy"): 14,
            ("credentials", "a.b", "odd key"): 15,
            ("credentials", "train"): 17,
            ("credentials", "train", "duration"): 18,
            ("credentials", "train", "policy"): 19,
            ("credentials", "train", "policy", "Statement"): 19,
            ("credentials", "train", "policy", "Statement", "Effect"): 20,
            ("callers",): 22,
            ("callers", "x"): 22,
        }

    @given(st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.lists(st.text())), max_size=5))
    def test_agrees_with_toml_about_any_key_and_any_text(self, table: Any):
        """Quotes, escapes and what looks like TOML inside a string."""
        text = "".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items())

        assert lines(text) == {(key,): number for number, key in enumerate(tomllib.loads(text), 1)}


class TestShown:
    @pytest.mark.parametrize(
        ("steps", "text"),
        [
            (("daemon",), "[daemon]"),
            (("daemon", "listen", 1), "[daemon] listen[1]"),
            (("daemon", "limits", "connections"), "[daemon.limits] connections"),
            (("credentials",), "[credentials]"),
            (("credentials", "train", "duration"), "[credentials.train] duration"),
            (("callers", "x", "any", 1, "uid"), "[callers.x] any[1].uid"),
            (("credentials", "a", "policy", "Statement", 0, "s3:x"), '[credentials.a] policy.Statement[0]."s3:x"'),
            (("demon",), "demon"),
            (("callers", "a\n\x1b[31m\u202e"), '[callers."a\\n\\u001b[31m\\u202e"]'),
        ],
    )
    def test_is_how_people_write_it(self, steps: Any, text: str):
        """A name that could play tricks on a terminal is quoted and escaped."""
        assert shown(steps) == text

    def test_a_long_name_is_cut(self):
        """A place is no room for a novel."""
        assert len(shown(("callers", "x" * 5000))) < 100


class TestNotes:
    def test_a_place_has_file_line_table_and_key(self):
        """All that is needed to go there."""
        place = Notes().place(document(), ("credentials", "train", "duration"))

        assert place == "/etc/config.toml:18 [credentials.train] duration"

    def test_a_place_that_begins_no_line_has_the_one_around_it(self):
        """Inside of inline tables and lists."""
        place = Notes().place(document(), ("credentials", "a.b", "policy", "b", 0))

        assert place == '/etc/config.toml:14 [credentials."a.b"] policy.b[0]'

    def test_a_place_without_any_line_has_none(self):
        """It is still a place."""
        assert Notes().place(document("daemon.admin = 3"), ("callers",)) == "/etc/config.toml [callers]"

    def test_all_mistakes_are_told_in_the_order_of_the_files(self):
        """Whenever they were found."""
        notes = Notes()
        notes.add_file("/etc/config.toml", "is late")
        notes.add(document(), ("callers", "x"), "second")
        notes.add(document(path="/etc/z.toml"), ("daemon",), "third")
        notes.add(document(), ("daemon", "admin"), "first")
        notes.add_file("/etc/config.toml", "on a line", 3)

        with pytest.raises(ConfigError) as caught:
            notes.raise_if_any()

        assert [mistake.text for mistake in caught.value.mistakes] == [
            "is late",
            "on a line",
            "first",
            "second",
            "third",
        ]
        assert caught.value.mistakes[1].place == "/etc/config.toml:3"

    def test_the_same_mistake_is_told_once(self):
        """A folder is looked at for each of its files."""
        notes = Notes()
        notes.add_file("/etc", "can be changed by others")
        notes.add_file("/etc", "can be changed by others")

        assert len(notes) == 1

    def test_nothing_noted_raises_nothing(self):
        """A sound file goes on."""
        notes = Notes()

        notes.raise_if_any()

        assert len(notes) == 0


class TestFind:
    FILES = (
        ("/etc/a.toml", b"[callers.x]\nuid = 1\n"),
        ("/etc/b.toml", b"\n[callers.y]\n[credentials]\nx.source = 1\n"),
    )

    @pytest.mark.parametrize(
        ("steps", "place"),
        [
            (("callers", "x"), "/etc/a.toml:1 [callers.x]"),
            (("callers", "y"), "/etc/b.toml:2 [callers.y]"),
            (("credentials", "x"), "/etc/b.toml:4 [credentials.x]"),
            (("callers", "z"), None),
        ],
    )
    def test_a_table_is_found_in_whichever_file_it_stands(self, steps: tuple[str, str], place: str | None):
        """By its line; nowhere under zero configuration."""
        assert find(self.FILES, *steps) == place
        assert find((), *steps) is None

    def test_files_are_read_once_a_generation(self, monkeypatch: pytest.MonkeyPatch):
        """Thousands of lines take a while, and any user may have a caller explained."""
        files = (("/etc/once.toml", b"[callers.x]\n[callers.y]\n"),)
        find(files, "callers", "x")
        monkeypatch.setattr("broker.config.place.lines", None)
        monkeypatch.setattr("broker.config.place.tomllib", None)

        assert find(files, "callers", "y") == "/etc/once.toml:2 [callers.y]"
