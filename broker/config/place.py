"""Where things stand in a configuration file, and the mistakes found there. Pure."""

import functools
import json
import re
import tomllib
from typing import Any

import msgspec

from broker.config.leaves import Steps
from broker.errors import ConfigError, Mistake

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'  # a multi-line string may end in up to five quotes
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}=\n]"
    r"|[^\[\]{}=\n\"'\#]+",
    re.DOTALL,
)
_BARE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_SHOWN = 70


class Document(msgspec.Struct, frozen=True, eq=False):
    """A file that is valid TOML; `path` is absolute."""

    path: str
    text: str
    tree: dict[str, Any]


class Notes:
    """Collects the mistakes of one reading, so that all are told at once and in the order of the files."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int, Mistake], None] = {}  # a folder may be looked at once for each of its files
        self._lines: dict[str, dict[Steps, int]] = {}
        self._files: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._found)

    def add(self, document: Document, steps: Steps, text: str) -> None:
        """A mistake at a table or key of a document."""
        line = self._line(document, steps)
        self._add(document.path, line, Mistake(self.place(document, steps), text, document.path, line))

    def add_file(self, path: str, text: str, line: int | None = None) -> None:
        """A mistake of a whole file, or on one line of it."""
        place = path if line is None else f"{path}:{line}"
        self._add(path, line, Mistake(place, text, path, line))

    def place(self, document: Document, steps: Steps) -> str:
        """A place in words: `config.toml:14 [credentials.train] duration`."""
        line = self._line(document, steps)
        return f"{document.path}{f':{line}' if line else ''} {shown(steps)}".rstrip()

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """All that was found."""
        return tuple(mistake for _, _, mistake in sorted(self._found, key=lambda found: found[:2]))

    def raise_if_any(self) -> None:
        """Raises ConfigError with all that was found."""
        if self._found:
            raise ConfigError(*self.mistakes)

    def _add(self, path: str, line: int | None, mistake: Mistake) -> None:
        order = self._files.setdefault(path, len(self._files))
        self._found[order, line or 0, mistake] = None

    def _line(self, document: Document, steps: Steps) -> int | None:
        if document.path not in self._lines:
            self._lines[document.path] = lines(document.text)
        known = self._lines[document.path]
        return next((known[steps[:end]] for end in range(len(steps), 0, -1) if steps[:end] in known), None)


def find(files: tuple[tuple[str, bytes], ...], *steps: str) -> str | None:
    """Where a table of a configuration without mistakes stands, in words; None if it is in no file."""
    documents, notes = _read(files)
    for document in documents:
        if steps[1] in document.tree.get(steps[0], ()):
            return notes.place(document, steps)
    return None


@functools.lru_cache(maxsize=1)
def _read(files: tuple[tuple[str, bytes], ...]) -> tuple[tuple[Document, ...], Notes]:
    """The files of one generation, read once: thousands of lines take a while."""
    texts = ((path, content.decode()) for path, content in files)
    return tuple(Document(path, text, tomllib.loads(text)) for path, text in texts), Notes()


def shown(steps: Steps) -> str:
    """The way to a value as people write it: `[callers.trainer] any[1].uid`."""
    daemon = 2 if steps[1:2] in {("limits",), ("kubernetes",)} else 1
    depth = {"daemon": daemon, "credentials": 2, "callers": 2}.get(str(steps[:1][0]), 0)
    table = ".".join(_name(step) for step in steps[:depth])
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in steps[depth:])
    return f"[{table}] {key[1:]}".rstrip() if table else key[1:]


def lines(text: str) -> dict[Steps, int]:
    """The line of each table header and each key that begins a line, in a text that is valid TOML."""
    found: dict[Steps, int] = {}
    table: Steps = ()
    begun, in_value, depth, number = "", False, 0, 1
    for piece in _PIECE.findall(f"{text}\n"):
        if in_value:
            depth += (piece in ("[", "{")) - (piece in ("]", "}"))
            in_value = depth > 0 or piece != "\n"
        elif piece == "=":
            _remember(found, (*table, *_path(begun)), number)
            begun, in_value = "", True
        elif piece == "\n":
            if begun.strip():
                table = _path(begun.strip().strip("[]"))
                _remember(found, table, number)
            begun = ""
        elif piece[0] != "#":
            begun += piece
        number += piece.count("\n")
    return found


def _remember(found: dict[Steps, int], steps: Steps, number: int) -> None:
    """A table stands where it is first written, be it only as a part of a longer name."""
    for end in range(1, len(steps) + 1):
        found.setdefault(steps[:end], number)


def _path(key: str) -> Steps:
    """The parts of a dotted key, some of them quoted perhaps: TOML's own reader takes it apart."""
    tree: Any = tomllib.loads(f"{key} = 0")
    parts = []
    while isinstance(tree, dict):
        ((part, tree),) = tree.items()
        parts.append(part)
    return tuple(parts)


def _name(step: str | int) -> str:
    name = str(step)
    if _BARE.fullmatch(name):
        return name
    quoted = json.dumps(name)  # pure ASCII: nothing in a name can play tricks on a terminal
    return quoted if len(quoted) <= _LONGEST_SHOWN else f'{quoted[:_LONGEST_SHOWN]}..."'
