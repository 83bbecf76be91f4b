"""Run credbroker on a boot clock that is ahead by what a file says: `python moved_clock.py FILE COMMAND...`.

The clock of the whole machine goes on for everybody else, upstream included.
"""

import sys
from pathlib import Path

from broker import clock


def main() -> None:
    """Move the clock before anybody has looked at it, then be credbroker."""
    ahead, true_now = Path(sys.argv.pop(1)), clock.now
    setattr(clock, "now", lambda: true_now() + float(ahead.read_text() or 0))  # noqa: B010 - mypy wants it so
    from broker.cli import main as credbroker

    credbroker()


if __name__ == "__main__":
    main()
