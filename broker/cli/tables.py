"""Tables and durations for people. Pure."""

from collections.abc import Iterable, Sequence

LASTING = "not short-lived"  # where a span would stand


def table(head: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
    """Aligned columns, two spaces between; what is None is a dash."""
    lines = [list(head), *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def span(seconds: float | None) -> str | None:
    """A duration as people say it: 43s, 12m, 3h 5m, 2d 4h."""
    if seconds is None:
        return None
    whole = max(int(seconds), 0)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 120:  # noqa: PLR2004 - below two minutes the seconds matter
        return f"{whole}s"
    if hours < 2:  # noqa: PLR2004 - likewise minutes below two hours
        return f"{minutes}m"
    if days < 2:  # noqa: PLR2004 - and hours below two days
        return f"{hours}h {minutes % 60}m"
    return f"{days}d {hours % 24}h"
