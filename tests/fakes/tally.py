"""What the fake stores count by: who asked, and in which folder of a bucket (each client of a test has its own)."""

import hashlib
from collections import Counter
from urllib.parse import unquote

from tests.fakes.serving import Call

_JSON_API = ("/storage/v1/b/", "/download/storage/v1/b/", "/upload/storage/v1/b/")


def tail(token: str) -> str:
    """A name for a secret that does not tell it: what the programs print too."""
    return hashlib.sha256(token.encode()).hexdigest()[:12]


def where(call: Call) -> str:
    """The first folder of the object or prefix that a call is about; empty where its URL does not say."""
    name = call.query.get("prefix") or call.query.get("name", "")
    if not name and call.path.startswith(_JSON_API):
        name = call.path.partition("/o/")[2]
    elif not name:
        name = call.path.removeprefix("/").partition("/")[2]
    return unquote(name).partition("/")[0]


def by_folder(answered: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """How many requests were answered, by folder and then by identity."""
    folders: dict[str, dict[str, int]] = {}
    for (identity, folder), number in sorted(answered.items()):
        folders.setdefault(folder, {})[identity] = number
    return folders
