"""Reading the secrets that a spec refers to. Runs in a minter alone, at each mint: what has changed counts at once.

What is read is judged by its form only. No error quotes any of it.
"""

import os

from broker.errors import BrokerError, IdentityMissing
from broker.model import Reference
from broker.safefile import read_private
from broker.secret import Secret

LONGEST = 65_536  # bytes; a key with its certificates has a few thousand


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


def place(reference: Reference) -> str:
    """Where it is read, in words."""
    return f"the file {reference.file}" if reference.file else f"the variable {reference.env} of the minter"


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
