"""What an answer says of time, as every upstream sends it. Pure."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """When an answer came: by our clock, and by upstream's own if it said so."""

    arrived: float
    date: float | None = None

    @property
    def now(self) -> float:
        """The time that upstream's own timestamps are to be compared with."""
        return self.arrived if self.date is None else self.date

    @property
    def skew(self) -> float | None:
        """Our clock less upstream's."""
        return None if self.date is None else self.arrived - self.date


def http_date(text: str) -> float | None:
    """A Date field in seconds since the epoch, or None."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def patience(fields: Mapping[str, str], now: float) -> float | None:
    """Retry-After in seconds, given either way that HTTP allows; None if absent or nonsense."""
    text = fields.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,6}", text):
        return float(text)
    until = http_date(text)
    return None if until is None else max(0.0, until - (http_date(fields.get("date", "")) or now))
