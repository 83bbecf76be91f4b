"""What header fields say of time, as every upstream sends them. Pure."""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


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
