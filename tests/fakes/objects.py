"""Buckets of objects in memory, for the fake stores. No HTTP and no credentials in here."""

import base64
import hashlib
import threading
import time
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count

import msgspec

_generations = count(1)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """One object."""

    name: str
    body: bytes
    content_type: str
    at: float
    generation: int

    @property
    def md5(self) -> bytes:
        """What both stores make their ETag of."""
        return hashlib.md5(self.body, usedforsecurity=False).digest()

    @property
    def etag(self) -> str:
        """With its quotes, as it stands in a header."""
        return f'"{self.md5.hex()}"'

    @property
    def md5_hash(self) -> str:
        """In base64, as Google and Content-MD5 write it."""
        return base64.b64encode(self.md5).decode()

    @property
    def iso(self) -> str:
        """When it was written, as bodies say it."""
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")

    @property
    def http_date(self) -> str:
        """When it was written, as headers say it."""
        return formatdate(self.at, usegmt=True)


class Page(msgspec.Struct, frozen=True):
    """One page of a listing; `after` is where the next begins, None on the last."""

    objects: tuple[Stored, ...]
    prefixes: tuple[str, ...]
    after: str | None


class Missing(Exception):
    """No such bucket, or no such object where `bucket_exists`."""

    def __init__(self, *, bucket_exists: bool) -> None:
        super().__init__(bucket_exists)
        self.bucket_exists = bucket_exists


class Buckets:
    """All buckets of a fake; thread-safe. Buckets are named at the start, as in life."""

    def __init__(self, *names: str) -> None:
        self._buckets: dict[str, dict[str, Stored]] = {name: {} for name in names}
        self._lock = threading.Lock()

    def put(self, bucket: str, name: str, body: bytes, content_type: str = "application/octet-stream") -> Stored:
        """Write one whole object."""
        stored = Stored(name=name, body=body, content_type=content_type, at=time.time(), generation=next(_generations))
        with self._lock:
            self._in(bucket)[name] = stored
        return stored

    def get(self, bucket: str, name: str) -> Stored:
        """The object. Raises Missing."""
        with self._lock:
            try:
                return self._in(bucket)[name]
            except KeyError as error:
                raise Missing(bucket_exists=True) from error

    def delete(self, bucket: str, name: str) -> bool:
        """Whether it was there."""
        with self._lock:
            return self._in(bucket).pop(name, None) is not None

    def names(self, bucket: str | None = None) -> tuple[str, ...]:
        """The names of all buckets, or of all objects of one."""
        with self._lock:
            return tuple(sorted(self._buckets if bucket is None else self._in(bucket)))

    def page(self, bucket: str, prefix: str = "", delimiter: str = "", after: str = "", most: int = 1000) -> Page:
        """Objects and common prefixes whose names sort behind `after`."""
        with self._lock:
            objects = sorted(self._in(bucket).items())
        found: list[Stored] = []
        prefixes: list[str] = []
        last = ""
        for name, stored in objects:
            if not name.startswith(prefix) or name <= after:
                continue
            folder = _folder(name, prefix, delimiter)
            if folder and (folder in prefixes or after.startswith(folder)):
                continue
            if len(found) + len(prefixes) == most:
                return Page(tuple(found), tuple(prefixes), last)
            if folder:
                prefixes.append(folder)
            else:
                found.append(stored)
            last = folder or name
        return Page(tuple(found), tuple(prefixes), None)

    def _in(self, bucket: str) -> dict[str, Stored]:
        try:
            return self._buckets[bucket]
        except KeyError as error:
            raise Missing(bucket_exists=False) from error


def _folder(name: str, prefix: str, delimiter: str) -> str:
    """The common prefix that a name falls under, or an empty text."""
    head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
    return prefix + head + found if found else ""
