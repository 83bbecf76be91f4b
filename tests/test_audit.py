"""Audit lines: who first received which lease, what was refused, tokens, reloads."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.audit import MOST_REMEMBERED, Audit, ToLog
from broker.events import (
    AskRefused,
    Event,
    KeysLeft,
    KeysRetired,
    LeaseEvicted,
    LeaseHanded,
    Limited,
    RefreshAsked,
    Reloaded,
    RequestDenied,
    TokenIssued,
    TokenRevoked,
    WriteFailed,
    WriteHealed,
)
from tests.all_events import ASK_REFUSED, DENIED, EVENTS, HANDED, HELD, ISSUED
from tests.leaping import FakeClock

AUDITED = AskRefused | Limited | LeaseEvicted | LeaseHanded | RefreshAsked | Reloaded | RequestDenied
AUDITED |= TokenIssued | TokenRevoked | KeysRetired | KeysLeft


class Paper:
    """A sink that keeps every line, until a test fills the disk."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.failures = self.lost = self.reopened = 0
        self.why: str | None = None
        self.closed = False

    def write(self, line: bytes) -> None:
        self.raw.append(line)

    def reopen(self) -> None:
        self.reopened += 1

    def close(self) -> None:
        self.closed = True


class Book:
    """An audit on paper, at a time that a test sets."""

    def __init__(self) -> None:
        self.clock, self.paper = FakeClock(), Paper()
        self.events: list[Event] = []
        self.audit = Audit(self.paper, self.events.append, self.clock)

    @property
    def raw(self) -> list[bytes]:
        """What is written."""
        return self.paper.raw

    def lines(self, *events: Event) -> list[dict[str, Any]]:
        """What is written, with what these bring."""
        for event in events:
            self.audit.listen(event)
        return [json.loads(line) for line in self.raw]

    def tick(self, seconds: float = 1.0) -> None:
        """Time goes by, and the audit hears of it."""
        self.clock.pass_time(seconds)
        self.audit.tick()


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
        """A worker in a retry loop does not fill a disk; the count names the last request."""
        book = Book()
        book.lines(*[DENIED] * 5)
        for _ in range(9):
            book.tick()
        book.lines(msgspec.structs.replace(DENIED, request_id="request-9"))
        assert len(book.raw) == 1
        book.tick()

        first, second = book.lines()
        assert (first["request_id"], first.get("repeats")) == ("request-1", None)
        assert (second["request_id"], second["repeats"]) == ("request-9", 5)

    def test_after_that_it_is_written_anew(self):
        """Each window begins with a line."""
        book = Book()
        for _ in range(3):
            book.lines(DENIED, DENIED)
            book.tick(10.0)

        assert [line.get("repeats") for line in book.lines()] == [None, 1] * 3

    def test_no_count_is_lost_if_the_next_one_comes_before_the_tick(self):
        """A busy loop ticks late."""
        book = Book()
        book.lines(DENIED, DENIED)
        book.clock.pass_time(10.5)

        assert [line.get("repeats") for line in book.lines(DENIED)] == [None, 1, None]

    def test_no_count_is_lost_at_the_end(self):
        """The daemon stops."""
        book = Book()
        book.lines(DENIED, DENIED, DENIED)
        book.audit.close()

        assert [line.get("repeats") for line in book.lines()] == [None, 2]
        assert book.paper.closed

    def test_a_single_denial_has_no_count(self):
        """And leaves nothing behind."""
        book = Book()
        book.lines(DENIED)
        book.tick(10.0)

        assert len(book.raw) == 1
        assert not book.audit._windows

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
        """It could hide an hour of denials: windows are counted on the boot clock."""
        book = Book()
        book.lines(DENIED, DENIED)
        book.clock.step(-3600)
        book.tick(10.0)

        assert len(book.lines(DENIED)) == 3

    def test_it_remembers_no_more_than_it_may(self):
        """A scan over uids is no way to memory; no count is lost over it."""
        book = Book()
        book.lines(DENIED, DENIED)
        book.lines(*(RequestDenied("not-granted", 403, "r", uid=uid) for uid in range(3 * MOST_REMEMBERED)))

        assert len(book.raw) == 3 * MOST_REMEMBERED + 1
        assert sum(json.loads(line).get("repeats", 0) for line in book.raw) == 2
        assert len(book.audit._windows) <= MOST_REMEMBERED


class TestSink:
    def test_a_full_disk_is_told_once_and_counted(self):
        """And nobody who is served hears of it."""
        book = Book()
        book.paper.failures, book.paper.why = 1, "No space left on device"
        book.tick()
        book.tick()
        book.paper.failures = 3
        book.tick()

        assert book.events == [
            WriteFailed("audit", "No space left on device", first=True),
            WriteFailed("audit", "No space left on device", first=False),
        ]

    def test_that_it_is_well_again_is_told_with_what_was_lost(self):
        """In the audit too: whoever reads it must know of the gap."""
        book = Book()
        book.paper.failures, book.paper.why = 1, "No space left on device"
        book.tick()
        book.paper.lost, book.paper.why = 7, None
        book.tick()
        book.tick()

        assert book.events[1:] == [WriteHealed("audit", 7)]
        assert [(line["event"], line["count"]) for line in book.lines()] == [("LinesLost", 7)]

    def test_a_gap_of_nothing_is_no_gap(self):
        """The lines waited."""
        book = Book()
        book.paper.failures, book.paper.why = 1, "No space left on device"
        book.tick()
        book.paper.why = None
        book.tick()

        assert (book.events[1:], book.raw) == ([WriteHealed("audit", 0)], [])

    def test_it_is_opened_anew(self):
        """After logrotate."""
        book = Book()
        book.audit.reopen()

        assert book.paper.reopened == 1


class TestToLog:
    def test_a_line_goes_to_standard_error_whole(self, capsys: pytest.CaptureFixture[str]):
        """Where no audit file is configured."""
        log = ToLog()
        log.write(b'{"event":"LeaseHanded"}\n')
        log.reopen()
        log.close()

        assert capsys.readouterr() == ("", '{"event":"LeaseHanded"}\n')
        assert (log.failures, log.lost, log.why) == (0, 0, None)

    def test_what_nobody_reads_any_more_is_counted(self, monkeypatch: pytest.MonkeyPatch):
        """Standard error may be a full disk too."""
        log = ToLog()
        with monkeypatch.context() as patch, Path("/dev/full").open("w") as full:
            patch.setattr("sys.stderr", full)
            log.write(b"{}\n")
            assert (log.failures, log.lost, log.why) == (1, 1, "No space left on device")
            patch.undo()
            with contextlib.suppress(OSError):
                full.close()
        log.write(b"{}\n")

        assert log.why is None


class TestTime:
    def test_it_is_the_wall_clock_unless_told(self):
        """People read it."""
        paper, before = Paper(), datetime.now(UTC).date()
        Audit(paper, lambda _: None).listen(HANDED)

        assert json.loads(paper.raw[0])["time"][:10] in {str(datetime.now(UTC).date()), str(before)}
