"""Files -> Config, or a ConfigError with every mistake at once, each with its place.

`read` and `load` open files; `parse` works on a Snapshot of them, so that a minter sees what the daemon saw. Nothing
here quotes a value.
"""

import hashlib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from broker.config import disk, zero
from broker.config.callers import Uids, read_caller, uid_of
from broker.config.checks import check_credentials, check_grants, check_listen
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


def read(path: Path, *, table: Sources = TABLE, reader_uid: int | None = None) -> Config:
    """The configuration in a file and in what it includes. Raises ConfigError."""
    return load(path, table=table, reader_uid=reader_uid)[0]


def load(path: Path, *, table: Sources = TABLE, reader_uid: int | None = None) -> tuple[Config, Snapshot]:
    """As `read`, with the files as they were read. `reader_uid` is who reads, if not this process's user."""
    notes = Notes()
    files = disk.take(path, notes, os.geteuid() if reader_uid is None else reader_uid)
    return _configured(files, notes, table, uid_of), Snapshot(files)


def again(path: Path | None, running: DaemonSettings) -> tuple[Config, Snapshot]:
    """As `load`, for a daemon that runs so. Raises ConfigError, also where a change needs a restart."""
    if path is None:
        raise ConfigError(Mistake("zero configuration", "there is no file to read again"))
    config, snapshot = load(path)
    changed = [name for name in FIXED if getattr(config.daemon, name) != getattr(running, name)]
    if changed:
        raise ConfigError(*(Mistake(f"{path} [daemon] {name}", "a change here needs a restart") for name in changed))
    return config, snapshot


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
    return _configured(snapshot.files, Notes(), table, uids)


def generation(files: disk.Files) -> str:
    """SHA-256 over names and contents in order, each with its length before it."""
    digest = hashlib.sha256()
    for part in (part for name, content in files for part in (os.fsencode(name), content)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _configured(files: disk.Files, notes: Notes, sources: Sources, uids: Uids) -> Config:
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
    notes.raise_if_any()
    return Config(
        daemon=daemon,
        credentials=tuple(entry.credential for entry in credentials.values() if entry.credential),
        callers=tuple(caller.entry for caller in callers.values()),
        generation=generation(files),
        files=tuple(name for name, _ in files),
    )


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
