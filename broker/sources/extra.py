"""Cloud libraries that not everybody installs: what to say where one is missing."""

import contextlib
from collections.abc import Iterator

from broker.errors import Denied


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of a source that an extra brings. Raises Denied, which names it, where they fail."""
    try:
        yield
    except ModuleNotFoundError:
        advice = f"it needs an extra: install 'credbroker[{name}]' as credbroker was (uv tool install, pipx, pip)"
        raise Denied(advice, code="ExtraMissing") from None
