"""The log: which events deserve a line, how loud, and what never stands in it."""

import json
import logging
import subprocess
import sys
from typing import Any

import msgspec
import pytest
import structlog

from broker import logs
from broker.events import ClockMoved, Event, ReviewsWork
from tests.all_events import (
    AWAY,
    BROKEN,
    DENIED,
    EVENTS,
    EVICTED,
    FAILED,
    GIVEN_UP,
    LEFT,
    MINTED,
    REFUSED,
    RELOADED,
    RETIRED,
)

QUIET = {"AskRefused", "LeaseHanded", "RequestDenied", "TokenIssued", "TokenRevoked", "StaleServed", "UpstreamAsked"}
QUIET |= {"MintBegun", "RefreshAsked", "SocketAnswered", "TurnedAway"}
DETAILS = {"MintBegun", "SocketAnswered", "TurnedAway", "UpstreamAsked"}


def lines(*events: Event) -> list[dict[str, Any]]:
    """What is logged about these, levels included."""
    with structlog.testing.capture_logs() as found:
        for event in events:
            logs.listen(event)
    return [dict(line) for line in found]


def printed(code: str) -> str:
    """What a fresh process prints to standard error after running this."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == ""
    return run.stderr


class TestListen:
    @pytest.mark.parametrize(
        "event", [one for one in EVENTS if type(one).__name__ in QUIET], ids=lambda e: type(e).__name__
    )
    def test_what_happens_with_every_request_is_not_logged(self, event: Event):
        """The audit and the metrics have it."""
        assert lines(event) == []

    @pytest.mark.parametrize(
        ("event", "level"),
        [
            (MINTED, "info"),
            (FAILED, "warning"),
            (REFUSED, "error"),
            (EVICTED, "error"),
            (RELOADED, "info"),
            (RETIRED, "info"),
            (LEFT, "warning"),
            (GIVEN_UP, "error"),
            (BROKEN, "error"),
            (AWAY, "warning"),
            (ClockMoved(0.0, 3600.0), "warning"),
            (ReviewsWork(), "info"),
        ],
        ids=lambda one: one if isinstance(one, str) else type(one).__name__,
    )
    def test_it_is_as_loud_as_it_matters(self, event: Event, level: str):
        """A failing mint is an error only when nothing is held any more."""
        (line,) = lines(event)

        assert line["log_level"] == level

    def test_a_failure_says_what_to_do(self):
        """And whether workers notice."""
        (line,) = lines(FAILED)

        assert (line["credential"], line["code"], line["advice"]) == ("train", "Timeout", "no answer")
        assert (line["retry_in"], line["still_serving"]) == (1.5, True)

    def test_a_clock_that_moved_is_told_in_seconds(self):
        """Whoever wonders why everything was minted anew finds out."""
        (line,) = lines(ClockMoved(7200.04, -0.02))

        assert (line["asleep"], line["wall_clock_ahead"]) == (7200.0, -0.0)

    def test_every_event_passes(self):
        """One that breaks the log would be lost."""
        assert len(lines(*EVENTS)) == len([one for one in EVENTS if type(one).__name__ not in QUIET])


class TestInDetail:
    def test_only_a_log_at_debug_listens_for_details(self):
        """Else each of them would be looked at for nothing."""
        assert [logs.listeners(level) for level in ("info", "warning", "error")] == [(logs.listen,)] * 3
        assert logs.listeners("debug") == (logs.listen, logs.in_detail)

    def test_each_detail_is_a_line_at_debug(self):
        """What is told of already, and what workers ask all day, is none."""
        with structlog.testing.capture_logs() as found:
            for event in EVENTS:
                logs.in_detail(event)

        assert {line["log_level"] for line in found} == {"debug"}
        assert len(found) == len([one for one in EVENTS if type(one).__name__ in DETAILS])

    @pytest.mark.parametrize(("dialect", "count"), [("socket", 1), ("aws", 0), (None, 0)])
    def test_denials_of_the_control_socket_alone_are_told(self, dialect: str | None, count: int):
        """With the reason and the id; guesses at the worker plane would flood it."""
        with structlog.testing.capture_logs() as found:
            logs.in_detail(msgspec.structs.replace(DENIED, dialect=dialect))

        assert [(line["reason"], line["request_id"]) for line in found] == [("not-granted", "request-1")] * count


class TestConfigure:
    def test_under_systemd_a_line_is_json(self):
        """Standard error, one object a line, with its level and a UTC time."""
        text = printed(
            "from broker import logs; from tests.all_events import MINTED;"
            "logs.configure('info', plain=False); logs.listen(MINTED)"
        )

        line = json.loads(text)
        assert (line["event"], line["level"], line["credential"]) == ("lease minted", "info", "train")
        assert line["timestamp"].endswith("Z")

    def test_in_a_terminal_it_is_plain(self):
        """For people."""
        text = printed(
            "from broker import logs; from tests.all_events import MINTED;"
            "logs.configure('info', plain=True); logs.listen(MINTED)"
        )

        assert "lease minted" in text
        assert not text.startswith("{")

    @pytest.mark.parametrize(("level", "count"), [("debug", 2), ("info", 1), ("warning", 0)])
    def test_the_level_holds(self, level: str, count: int):
        """`log_level` of the configuration."""
        text = printed(
            "from broker import logs; from broker.events import OlderLease; from tests.all_events import MINTED;"
            f"logs.configure('{level}', plain=False); logs.listen(MINTED); logs.listen(OlderLease('train', 0.1))"
        )

        assert len(text.splitlines()) == count

    def test_foreign_loggers_never_speak_below_info(self):
        """At DEBUG botocore and urllib3 print keys and bodies."""
        text = printed(
            "import logging; from broker import logs; logs.configure('debug', plain=False)\n"
            "for name in ('botocore', 'urllib3', 'google.auth'):\n"
            "    logging.getLogger(name).debug('SECRET'); logging.getLogger(name).warning('said')"
        )

        assert "SECRET" not in text
        assert text.count("said") == 3

    @pytest.mark.parametrize("plain", [True, False])
    def test_a_traceback_shows_no_locals(self, plain: bool):
        """They are where secrets are."""
        text = printed(
            f"from broker import logs; import structlog; logs.configure('info', plain={plain})\n"
            "def mint():\n"
            "    password = 'SEC' + 'RET'\n"
            "    raise LookupError\n"
            "try:\n"
            "    mint()\n"
            "except LookupError:\n"
            "    structlog.get_logger().exception('failed')"
        )

        assert "LookupError" in text
        assert "SECRET" not in text


class TestLevels:
    def test_the_levels_are_loggings_own(self):
        """So that both mean the same."""
        assert {name.upper(): number for name, number in logs.LEVELS.items()}.items() <= {
            name: getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")
        }.items()
