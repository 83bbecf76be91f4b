import tomllib
from typing import Any

import pytest

from broker.config.place import Document, Notes
from broker.config.table import Table, did_you_mean
from broker.errors import ConfigError


def table(text: str, *steps: str | int) -> tuple[Table, Notes]:
    notes = Notes()
    return Table(Document("/etc/c.toml", text, tomllib.loads(text)), steps or ("daemon",), notes), notes


def told(notes: Notes) -> list[str]:
    try:
        notes.raise_if_any()
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]
    return []


class TestTake:
    def test_gives_a_value_or_its_default(self):
        """Absent is not wrong."""
        daemon, notes = table("[daemon]\na = 1")

        assert (daemon.take("a", int), daemon.take("b", int), daemon.take("c", int, 3)) == (1, None, 3)
        assert told(notes) == []

    def test_a_wrong_value_is_noted_and_the_default_stands_in(self):
        """So that the rest of the file is read too."""
        daemon, notes = table("[daemon]\na = [1, 'x']")

        assert daemon.take("a", tuple[int, ...], ()) == ()
        assert told(notes) == ["/etc/c.toml:2 [daemon] a[1]: must be a list, each item a whole number"]


class TestTakePath:
    @pytest.mark.parametrize(
        ("given", "path"), [("/run/x", "/run/x"), ("x/y", "/etc/x/y"), ("../x", "/etc/../x"), (None, None)]
    )
    def test_is_absolute(self, given: str | None, path: str | None):
        """From the folder of the file that it is written in: daemon and minter have working folders of their own."""
        daemon, notes = table(f"[daemon]\n{f'a = {given!r}' if given else ''}")

        assert daemon.take_path("a", str) == path
        assert told(notes) == []

    def test_a_tilde_is_a_mistake(self):
        """Whose home folder it would be depends on who reads."""
        daemon, notes = table("[daemon]\na = '~/x'")
        daemon.take_path("a", str)

        assert told(notes) == ["/etc/c.toml:2 [daemon] a: ~ is not expanded; write the whole path"]


class TestClose:
    def test_unknown_keys_get_a_suggestion_from_those_that_were_asked_for(self):
        """A misspelt key is never ignored."""
        daemon, notes = table("[daemon]\nlistne = 1\nzzz = 2\nlisten = 3\nlimits = {}")
        daemon.take("listen", int)
        daemon.below("limits")
        daemon.close()

        assert told(notes) == [
            "/etc/c.toml:2 [daemon] listne: unknown key; did you mean `listen`?",
            "/etc/c.toml:3 [daemon] zzz: unknown key",
        ]


class TestTable:
    @pytest.mark.parametrize("value", ["3", "'x'", "[]", "[{}]"])
    def test_a_value_that_is_no_table_is_noted_and_read_as_an_empty_one(self, value: object):
        """One line for one mistake."""
        daemon, notes = table(f"daemon = {value}")
        daemon.take("a", int)
        daemon.close()

        assert told(notes) == ["/etc/c.toml:1 [daemon]: must be a table"]

    def test_a_table_in_a_list_is_reached_by_its_number(self):
        """As the rules of a caller."""
        caller, notes = table("[callers.x]\nany = [{ uid = 1 }, { uid = 'y' }]", "callers", "x")
        item = caller.below("any", 1)

        assert item.take("uid", int) is None
        assert item.mistakes == 1
        assert told(notes) == ["/etc/c.toml:2 [callers.x] any[1].uid: must be a whole number"]
        assert caller.place == "/etc/c.toml:1 [callers.x]"


class TestDidYouMean:
    @pytest.mark.parametrize(
        ("name", "text"), [("duraton", "; did you mean `duration`?"), ("xyz", ""), (3, ""), ("", "")]
    )
    def test_suggests_what_is_close(self, name: Any, text: str):
        """Never by quoting what was written."""
        assert did_you_mean(name, "duration", "region") == text
