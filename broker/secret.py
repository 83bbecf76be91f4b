"""Secret: text that refuses to be shown by accident.

Only minter frames, sources, the renderers and what seals them open one; `tests/test_house.py` holds that.
"""

import hmac
from typing import Never, final


@final
class Secret:
    """A text that cannot be printed, formatted, pickled, copied or encoded; `open()` gives it on purpose."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def open(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __bool__(self) -> bool:
        return bool(self._text)

    def _refuse(self, *_: object) -> Never:
        raise TypeError("a Secret is not shown, copied or stored; open() it where it is used")

    __hash__ = None  # type: ignore[assignment]  # a secret is not a key
    __str__ = _refuse
    __format__ = _refuse
    __reduce_ex__ = _refuse
    __copy__ = _refuse
    __deepcopy__ = _refuse
    __iter__ = _refuse
    __len__ = _refuse
