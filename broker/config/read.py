"""Files -> Config and every mistake at once, each with its place.

`survey`, `again` and `take` open files; `parse` works on a Snapshot of them, so that a minter sees what the daemon saw.
Nothing here quotes a value.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from broker.config import disk, zero
from broker.config.callers import Uids, read_caller, uid_of
from broker.config.checks import check_credentials, check_grants, check_listen, sound
from broker.config.credentials import Entry, read_credential
from broker.config.daemon import FIXED, read_daemon
from broker.config.place import Document, Notes
from broker.config.shape import Config, DaemonSettings, Snapshot
from broker.config.table import Table, did_you_mean
from broker.errors import ConfigError, Mistake
from broker.sources import TABLE, Source

SECTIONS = ("daemon", "credentials", "callers")

_LINE = re.compile(r"\(at line (\d+), column \d+\)$")

Sources = Mapping[str, Source]


class Reading:
    """Files as far as they could be read: `config` has what is right, and knows nothing of the rest."""

    def __init__(self, snapshot: Snapshot, documents: Sequence[Document], config: Config, notes: Notes) -> None:
        self.snapshot = snapshot
        self.config = config
        self._documents = documents
        self._notes = notes

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """All that was found so far, in the order of the files."""
        return self._notes.mistakes

    def note(self, steps: tuple[str, str, *tuple[str, ...]], text: str) -> None:
        """One more, in the file that has the first two of the steps, else in the main one."""
        tables = ((document, document.tree.get(steps[0])) for document in self._documents)
        here = (document for document, table in tables if isinstance(table, dict) and steps[1] in table)
        self._notes.add(next(here, self._documents[0]), steps, text)

    def raise_if_any(self) -> None:
        """Raises ConfigError with all of them."""
        self._notes.raise_if_any()


def survey(path: Path, *, table: Sources = TABLE) -> Reading:
    """The configuration in a file and in what it includes: its mistakes are told beside what is right, not raised."""
    notes = Notes()
    return _read(disk.take(path, notes, os.geteuid()), notes, table, uid_of)


def again(path: Path | None, running: DaemonSettings) -> Reading:
    """As `survey`, for a daemon that runs so: a change that needs a restart is a mistake. Raises ConfigError."""
    if path is None:
        raise ConfigError(
            Mistake("zero configuration", "there is no file to read again; a restart looks for an identity anew")
        )
    reading = survey(path)
    if not reading.mistakes:  # else it may be a default that stands in for what is wrong
        for name in FIXED:
            if getattr(reading.config.daemon, name) != getattr(running, name):
                reading.note(("daemon", name), "a change here needs a restart")
    return reading


def take(path: Path) -> Snapshot:
    """The files as they stand, whatever is in them. Raises ConfigError where one cannot be read, or not be trusted."""
    notes = Notes()
    files = disk.take(path, notes, os.geteuid())
    notes.raise_if_any()
    return Snapshot(files)


def parse(snapshot: Snapshot, *, table: Sources = TABLE, uids: Uids = uid_of) -> Config:
    """The configuration in files that were read before. Raises ConfigError; `uids` finds a user's uid."""
    if snapshot.zero is not None:
        return zero.configuration(*snapshot.zero, table=table)
    reading = _read(snapshot.files, Notes(), table, uids)
    reading.raise_if_any()
    return reading.config


def generation(files: disk.Files) -> str:
    """SHA-256 over names and contents in order, each with its length before it."""
    digest = hashlib.sha256()
    for part in (part for name, content in files for part in (os.fsencode(name), content)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _read(files: disk.Files, notes: Notes, sources: Sources, uids: Uids) -> Reading:
    documents = [document for name, content in files if (document := _document(name, content, notes))]
    main = documents[0] if documents and documents[0].path == files[0][0] else None
    for document in documents:
        _check_sections(document, main, notes)
    settings = Table(main, ("daemon",), notes) if main and "daemon" in main.tree else None
    daemon = read_daemon(settings) if settings else DaemonSettings()
    credentials = _credentials(documents, notes, sources)
    callers = {name: read_caller(name, table, uids) for name, table in _named("callers", documents, notes).items()}
    check_credentials(credentials)
    check_grants(callers, credentials)
    if settings:
        check_listen(settings, callers)
    kept = sound(credentials)
    config = Config(
        daemon=daemon,
        credentials=kept,
        callers=tuple(caller.granting(kept) for caller in callers.values() if caller.named),
        generation=generation(files),
        files=tuple(name for name, _ in files),
    )
    return Reading(Snapshot(files), documents, config, notes)


def _credentials(documents: Iterable[Document], notes: Notes, sources: Sources) -> dict[str, Entry]:
    tables = _named("credentials", documents, notes)
    return {name: read_credential(name, table, sources) for name, table in tables.items()}


def _document(path: str, content: bytes, notes: Notes) -> Document | None:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        notes.add_file(path, "is not UTF-8 text", content.count(b"\n", 0, error.start) + 1)
        return None
    try:
        return Document(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        notes.add_file(path, f"is not valid TOML{_reason(str(error))}", line)
    except (ValueError, RecursionError):
        notes.add_file(path, "is not valid TOML: a number is too long, or something is nested too deeply")
    return None


def _reason(message: str) -> str:
    """What TOML's reader found, where its words quote nothing: it may show characters and keys."""
    said = message.partition(" (at ")[0]
    return f": {said[0].lower()}{said[1:]}" if re.fullmatch(r"[A-Za-z ]+", said) else ""


def _check_sections(document: Document, main: Document | None, notes: Notes) -> None:
    for name in document.tree:
        if name not in SECTIONS:
            notes.add(document, (name,), f"unknown table{did_you_mean(name, *SECTIONS)}")
        elif name == "daemon" and document is not main:
            notes.add(document, (name,), "belongs into the main file; an included one has credentials and callers")


def _named(section: str, documents: Iterable[Document], notes: Notes) -> dict[str, Table]:
    """The tables of a section by name, over all files; a name that comes twice is noted with both places."""
    found: dict[str, Table] = {}
    for document in documents:
        content: dict[str, Any] = Table(document, (section,), notes).content if section in document.tree else {}
        for name in content:
            table = Table(document, (section, name), notes)
            if name in found:
                table.note(f"is there already: {found[name].place}")
            else:
                found[name] = table
    return found
