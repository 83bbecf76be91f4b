"""Audit lines: who first received which lease, what was refused, tokens, reloads."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.audit import MOST_REMEMBERED, Audit, to_file
from broker.events import (
    AskRefused,
    Event,
    LeaseEvicted,
    LeaseHanded,
    Reloaded,
    RequestDenied,
    TokenIssued,
    TokenRevoked,
)
from tests.all_events import ASK_REFUSED, DENIED, EVENTS, HANDED, HELD, ISSUED
from tests.leaping import FakeClock

AUDITED = AskRefused | LeaseEvicted | LeaseHanded | Reloaded | RequestDenied | TokenIssued | TokenRevoked


class Book:
    """An audit that writes into a list, at a time that a test sets."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.raw = list[bytes]()
        self.audit = Audit(self.raw.append, self.clock.wall)

    def lines(self, *events: Event) -> list[dict[str, Any]]:
        """What is written about these."""
        for event in events:
            self.audit.listen(event)
        return [json.loads(line) for line in self.raw]


class TestLines:
    def test_the_audited_events_and_no_others(self):
        """A mint is a metric; who got what is the audit's."""
        names = {line["event"] for line in Book().lines(*EVENTS)}

        assert names == {type(event).__name__ for event in EVENTS if isinstance(event, AUDITED)}

    def test_a_lease_that_is_handed_out(self):
        """All that the contract names."""
        (line,) = Book().lines(HANDED)

        assert line == {
            "time": "2027-01-15T08:00:00.000000Z",
            "event": "LeaseHanded",
            "caller": "trainer",
            "how": "token",
            "uid": 1000,
            "token_id": "t1",
            "credential": "train",
            "identity": "arn",
            "serial": 3,
            "expires_at": "2027-01-15T09:00:00.000000Z",
            "dialect": "aws",
        }

    def test_a_token_that_lives_as_long_as_its_connection_has_no_expiry(self):
        """Nobody knows it."""
        first, second = Book().lines(ISSUED, HELD)

        assert (first["expires_at"], second["expires_at"]) == ("2027-01-15T08:01:00.000000Z", None)

    def test_one_event_is_one_line(self):
        """Whatever stands in an advice."""
        book = Book()
        book.lines(Reloaded("0", error="a.toml:1: is wrong\nb.toml:2: is \x1b[31mwrong\u2028too"))

        assert len(book.raw) == 1
        assert book.raw[0].count(b"\n") == 1
        assert book.raw[0].endswith(b"\n")
        assert b"\x1b" not in book.raw[0]


class TestRepeats:
    def test_the_same_denial_within_ten_seconds_is_counted(self):
        """A worker in a retry loop does not fill a disk."""
        book = Book()
        book.lines(*[DENIED] * 5)
        book.clock.pass_time(9.9)
        book.lines(DENIED)
        book.clock.pass_time(0.2)

        lines = book.lines(DENIED)

        assert [line.get("repeated_before") for line in lines] == [None, 5]

    def test_a_denial_of_another_kind_is_written(self):
        """Another uid, reason or status is another matter; another request id is not."""
        others = [
            RequestDenied("not-granted", 403, "request-2", uid=1000),
            RequestDenied("not-granted", 403, "request-1", uid=1001),
            RequestDenied("unrenderable", 403, "request-1", uid=1000),
            RequestDenied("not-granted", 404, "request-1", uid=1000),
            RequestDenied("not-granted", 403, "request-1", uid=1000, caller="trainer"),
        ]

        assert len(Book().lines(DENIED, *others)) == 5

    def test_what_the_minter_service_refuses_is_counted_too(self):
        """Whoever has taken over the daemon may ask as fast as he can; each other thing that he tries is a line."""
        others = [
            AskRefused("generation", 990, credential="admin", caller="trainer"),
            AskRefused("grant", 990, credential="other", caller="trainer"),
            AskRefused("grant", 990, credential="admin", caller="other"),
            AskRefused("grant", 991, credential="admin", caller="trainer"),
        ]

        assert len(Book().lines(*[ASK_REFUSED] * 5, *others)) == 5

    def test_nothing_else_is_folded(self):
        """Each lease, token and reload is a line of its own."""
        assert len(Book().lines(HANDED, HANDED, ISSUED, ISSUED)) == 4

    def test_a_clock_that_steps_back_hides_nothing(self):
        """It could hide an hour of denials."""
        book = Book()
        book.lines(DENIED)
        book.clock.step(-3600)

        assert len(book.lines(DENIED)) == 2

    def test_it_remembers_no_more_than_it_may(self):
        """A scan over uids is no way to memory."""
        book = Book()
        book.lines(*(RequestDenied("not-granted", 403, "r", uid=uid) for uid in range(3 * MOST_REMEMBERED)))

        assert len(book.raw) == 3 * MOST_REMEMBERED
        assert len(book.audit._denials) <= MOST_REMEMBERED


class TestToFile:
    def test_it_appends_to_a_private_file(self, tmp_path: Path):
        """Across restarts, and readable by nobody else."""
        path = tmp_path / "audit.jsonl"
        for line in (b"one\n", b"two\n"):
            to_file(str(path))(line)

        assert path.read_bytes() == b"one\ntwo\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_it_follows_no_link(self, tmp_path: Path):
        """Whoever could write the folder would choose the file."""
        (tmp_path / "link").symlink_to(tmp_path / "target")

        with pytest.raises(OSError, match="symbolic"):
            to_file(str(tmp_path / "link"))

    def test_no_child_inherits_it(self, tmp_path: Path):
        """A minter has no business in the audit."""
        path = tmp_path / "audit.jsonl"
        to_file(str(path))
        ours = [int(link.name) for link in Path("/proc/self/fd").iterdir() if link.resolve() == path]

        assert [os.get_inheritable(descriptor) for descriptor in ours] == [False]


class TestTime:
    def test_it_is_the_wall_clock_unless_told(self):
        """People read it."""
        lines, before = list[bytes](), datetime.now(UTC).date()
        Audit(lines.append).listen(HANDED)

        assert json.loads(lines[0])["time"][:10] in {str(datetime.now(UTC).date()), str(before)}
