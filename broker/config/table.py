"""One table of a document while it is read: values by key, mistakes noted, and at the end whatever nobody asked for."""

from pathlib import PurePath
from typing import Any

from broker.config import fields
from broker.config.leaves import Steps
from broker.config.place import Document, Notes


class Table:
    """A table at `steps` of a document. A value that is not a table is noted and read as an empty one."""

    def __init__(self, document: Document, steps: Steps, notes: Notes) -> None:
        self.document = document
        self.steps = steps
        self._notes = notes
        self._asked: dict[str, None] = {}
        content: Any = document.tree
        for step in steps:
            content = content[step]
        if not isinstance(content, dict):
            notes.add(document, steps, "must be a table")
        self.content: dict[str, Any] = content if isinstance(content, dict) else {}

    def __contains__(self, key: str) -> bool:
        return key in self.content

    @property
    def mistakes(self) -> int:
        """How many mistakes the whole reading has found so far."""
        return len(self._notes)

    @property
    def place(self) -> str:
        """Where the table stands, in words."""
        return self._notes.place(self.document, self.steps)

    def below(self, *steps: str | int) -> "Table":
        """A table inside this one."""
        self._asked[str(steps[0])] = None
        return Table(self.document, (*self.steps, *steps), self._notes)

    def take(self, key: str, type_: Any, default: Any = None) -> Any:
        """The value of a key as its type; the default where it is absent, and where it is wrong, which is noted."""
        self._asked[key] = None
        if key not in self.content:
            return default
        try:
            return fields.converted(self.content[key], type_)
        except fields.Unfit as unfit:
            self.note(unfit.text, key, *unfit.steps)
            return default

    def take_path(self, key: str, type_: Any) -> str | None:
        """A path, absolute: a relative one starts at the folder of the file that it is written in."""
        given: str | None = self.take(key, type_)
        if given is None:
            return None
        if given.startswith("~"):
            self.note("~ is not expanded; write the whole path", key)
        return str(PurePath(self.document.path).parent / given)

    def note(self, text: str, *steps: str | int) -> None:
        """A mistake at this table, or at a key of it."""
        self._notes.add(self.document, (*self.steps, *steps), text)

    def close(self) -> None:
        """Note every key that was not asked for."""
        for key in self.content:
            if key not in self._asked:
                self.note(f"unknown key{did_you_mean(key, *self._asked)}", key)


def did_you_mean(name: object, *known: str) -> str:
    """A suggestion to append, if anything known resembles the name; the name itself is not quoted."""
    import difflib

    close = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"; did you mean `{close[0]}`?" if close else ""
