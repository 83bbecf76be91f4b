"""Reading the secrets that a spec refers to. Runs in a minter alone, at each mint: what has changed counts at once.

What is read is judged by its form only. No error quotes any of it.
"""

import os
from collections.abc import Mapping

from broker.errors import BrokerError, IdentityMissing
from broker.model import Reference
from broker.safefile import read_private
from broker.secret import Secret

LONGEST = 65_536  # bytes; a key with its certificates has a few thousand
TRIES = 5


def read(reference: Reference, what: str, *, lines: bool = False) -> Secret:
    """The secret, less one line break at its end. `what` names the field for people; `lines` allows several.

    Raises IdentityMissing where it is absent, empty, or not of that form.
    """
    text = _text(reference, what).removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise _unusable(reference, what, "is empty", "Empty")
    if lines:
        return Secret(text)
    if "\n" in text or "\r" in text:
        raise _unusable(reference, what, "has more than one line: only the secret may stand there", "NotOneLine")
    if text != text.strip() or not text.isprintable():
        raise _unusable(reference, what, "has blanks around it or characters that cannot be printed", "NotPrintable")
    return Secret(text)


def read_together(asked: Mapping[str, Reference], *, lines: bool = False) -> dict[str, Secret]:
    """Several secrets that belong together, as they stand at one moment: half of the old with half of the new is none.

    Raises IdentityMissing, also where they change while they are read.
    """
    found = _each(asked, lines)
    for _ in range(TRIES):
        again = _each(asked, lines)
        if again == found:
            return found
        found = again
    raise IdentityMissing(f"{', '.join(asked)}: they change while they are read", code="ReferenceChanging")


def place(reference: Reference) -> str:
    """Where it is read, in words."""
    return f"the file {reference.file}" if reference.file else f"the variable {reference.env} of the minter"


def _each(asked: Mapping[str, Reference], lines: bool) -> dict[str, Secret]:  # noqa: FBT001 - of `read`
    return {name: read(one, name, lines=lines) for name, one in asked.items()}


def _text(reference: Reference, what: str) -> str:
    if reference.env:
        found = os.environ.get(reference.env)
        if found is None:
            raise _unusable(reference, what, "is not set", "Absent")
        return found
    try:
        return read_private(reference.file or "", LONGEST).decode()
    except UnicodeDecodeError:
        raise _unusable(reference, what, "is not UTF-8 text", "NotText") from None
    except BrokerError as error:
        raise IdentityMissing(f"{what}: {error.advice}", code="ReferenceUnreadable") from None


def _unusable(reference: Reference, what: str, fault: str, code: str) -> IdentityMissing:
    return IdentityMissing(f"{what}: {place(reference)} {fault}", code=f"Reference{code}")
