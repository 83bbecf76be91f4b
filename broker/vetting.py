"""Files -> Config and Book, or a ConfigError with every mistake of both: neither stage hides what the other finds.

`config` reads and `plan` renders, and neither knows the other. Who needs no such list asks the two.
"""

from pathlib import Path

from broker.config import read
from broker.config.shape import Config, DaemonSettings, Snapshot
from broker.plan import Book, book_of, faults


def load(path: Path) -> tuple[Config, Snapshot]:
    """The configuration in a file and in what it includes, and these as they were read. Raises ConfigError."""
    reading = read.survey(path)
    _vet(reading)
    return reading.config, reading.snapshot


def again(path: Path | None, running: DaemonSettings) -> tuple[Config, Snapshot, Book]:
    """As `load`, for a daemon that runs so; with the Book. Raises ConfigError, also where a change needs a restart."""
    reading = read.again(path, running)
    return reading.config, reading.snapshot, _vet(reading)


def _vet(reading: read.Reading) -> Book:
    book = book_of(reading.config)  # of what is right so far
    for fault in faults(book):
        reading.note(fault.steps, fault.text)
    reading.raise_if_any()
    return book
