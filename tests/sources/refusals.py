"""How a mint goes wrong, as a value."""

from collections.abc import Callable

import pytest

from broker.errors import MintError


def refusal(work: Callable[[], object]) -> MintError:
    """The error of some work that must fail."""
    with pytest.raises(MintError) as caught:
        work()
    return caught.value
