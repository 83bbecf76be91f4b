"""Durations as people write them: "45m", "1h30m", or a number of seconds. Pure."""

import re

PATTERN = "^(?=.)([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$"  # also for the JSON schema, hence no named groups
_FORM = re.compile(PATTERN)
_UNITS = ((3600, "h"), (60, "m"), (1, "s"))


def seconds(text: str) -> int | None:
    """The seconds that a text such as "1h30m" means, or None if it has another form."""
    found = _FORM.fullmatch(text)
    if not found:
        return None
    return sum(int(part[:-1]) * unit for part, (unit, _) in zip(found.groups(), _UNITS, strict=True) if part)


def human(count: int) -> str:
    """The shortest text that `seconds` reads back as `count`."""
    parts = []
    for unit, letter in _UNITS:
        amount, count = divmod(count, unit)
        parts.append(f"{amount}{letter}" if amount else "")
    return "".join(parts) or "0s"
